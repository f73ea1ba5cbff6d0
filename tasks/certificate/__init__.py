"""Certificates: which of a model's labels may be accepted without a person, proven by a random audit of them."""

from tasks.certificate.claim import METHODS, Claim, Found, Grid, Sample
from tasks.certificate.grid import least_audits, thresholds
from tasks.certificate.search import certify
from tasks.certificate.slices import certify_slices
from tasks.certificate.wording import statement, statement_of_slices

__all__ = [
    "METHODS",
    "Claim",
    "Found",
    "Grid",
    "Sample",
    "certify",
    "certify_slices",
    "least_audits",
    "statement",
    "statement_of_slices",
    "thresholds",
]
