"""Traffic nobody has labelled is held against the items people settled: how accurate is the model on it, and may one say so?"""

from tasks.monitor.figures import figures
from tasks.monitor.reference import labelled, monitored, reference, released
from tasks.monitor.traffic import Columns, traffic

__all__ = ["Columns", "figures", "labelled", "monitored", "reference", "released", "traffic"]
