"""The Batch API: half the price, an answer within a day, and a job that outlives the run that sent it."""

from tasks.endpoint.batch.ask import Outcome, ask
from tasks.endpoint.batch.harvest import error
from tasks.endpoint.batch.jobs import Owner
from tasks.endpoint.batch.plan import Request

__all__ = ["Outcome", "Owner", "Request", "ask", "error"]
