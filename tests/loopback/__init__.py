"""An OpenAI-compatible endpoint on loopback that is slow, limited, faulty and counted as told, all decided by a seed."""

from loopback.faults import FATAL, FAULTS, UNSEEN
from loopback.options import Options
from loopback.server import Loopback, serving

__all__ = ["FATAL", "FAULTS", "UNSEEN", "Loopback", "Options", "serving"]
