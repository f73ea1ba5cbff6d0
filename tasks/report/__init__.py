"""The report: the pages and pictures a release shows people, made from its evidence and nothing else."""

from tasks.report.page import agreement_picture, card, report

__all__ = ["agreement_picture", "card", "report"]
