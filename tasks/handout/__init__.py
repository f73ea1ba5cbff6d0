"""Hand-outs: the review queue as files of annotation tools, and people's answers out of them."""

from tasks.handout.answers import Answers, Parser, recognised
from tasks.handout.formats import FORMATS, TOOLS, checked, labelling_interface, write
from tasks.handout.queue import Entry, Queue, hand_out, latest

__all__ = [
    "FORMATS", "TOOLS", "Answers", "Entry", "Parser", "Queue", "checked", "hand_out", "labelling_interface", "latest",
    "recognised", "write",
]  # fmt: skip
