"""How often labels are right, and how common each label is: from a few audits and what a model foretold of every item."""

from tasks.accuracy.interval import Interval
from tasks.accuracy.prevalence import one_hot, prevalence
from tasks.accuracy.share import Stratum, estimate, stratified
from tasks.accuracy.tuned import Tuned, tuned

__all__ = ["Interval", "Stratum", "Tuned", "estimate", "one_hot", "prevalence", "stratified", "tuned"]
