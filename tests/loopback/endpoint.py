"""The endpoint without its sockets: a request body becomes the plan of an answer, and its bill."""

import json
import math
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from loopback import answers
from loopback.bills import Bills, Record, Usage
from loopback.faults import BROKEN, MESSAGES, SAID, STATUS, error, fault_of, fraction, refusal
from loopback.limits import Limits
from loopback.options import Options
from loopback.question import Question, canonical, not_taken, question

MOST_SYSTEMS = 10_000  # system messages remembered for the cache


@dataclass(slots=True)
class Plan:
    """How one request is answered: what is sent, in what manner, after how long, and what it is billed."""

    status: int
    body: bytes
    headers: str = ""
    manner: str = "whole"
    """whole, timeout, reset, slow_drip, truncated; garbage and the like are sent whole."""
    delay_s: float = 0.0
    record: Record | None = None
    usage: Usage | None = None
    """What it is billed; None where nothing was generated."""
    is_deliverable: bool = True
    """Whether the body, sent whole, is an answer."""
    fault: str | None = None


class Endpoint:
    """What one endpoint remembers: its options, limits and bills."""

    def __init__(self, options: Options):
        self.options = options
        self.bills = Bills((options.usd_input, options.usd_cached, options.usd_output), options.tier_factors)
        self.limits = Limits(
            options.requests_per_minute, options.tokens_per_minute, options.enforcement, options.minute_s
        )
        self.systems: set[str] = set()

    def plan(self, api: str, raw: bytes, at: float, authorization: str | None = None, tier: str | None = None) -> Plan:
        """Return the plan for a body that came at a time in seconds; `tier` overrules the one it asks for."""
        try:
            body = json.loads(raw.decode())
            key = sha256(canonical(body).encode()).hexdigest()
            record = self.bills.arrived(key)
            if found := not_taken(api, body, self.options):
                return self._refused(400, *found)
            asked = question(api, body, self.options)
        except (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError):
            return self._refused(
                400, "invalid_request", error("The body is no request.", "invalid_request_error", None)
            )
        if turned_away := self._let_in(asked, authorization):
            return turned_away
        prompt = math.ceil(len(raw) / 4)
        asked.tier = tier or asked.tier
        return self._served(asked, key, record, prompt, at)

    def _let_in(self, asked: Question, authorization: str | None) -> Plan | None:
        """Return the refusal of a caller or a model, or None."""
        options = self.options
        if options.api_key is not None and authorization != f"Bearer {options.api_key}":
            return self._refused(401, "invalid_api_key", refusal("unauthorised", ""))
        if options.models and asked.model not in options.models:
            body = error("The model does not exist.", "invalid_request_error", "model_not_found")
            return self._refused(404, "model_not_found", body)
        return None

    def _refused(self, status: int, code: str, body: bytes) -> Plan:
        self.bills.refused[code] += 1
        return Plan(status, body)

    def _served(self, asked: Question, key: str, record: Record, prompt: int, at: float) -> Plan:
        """Return the plan of a request that may be answered: by the limits, then by its fault, then well."""
        options = self.options
        fault = self._fault(key, record)
        pick = self._pick(asked, key, record, fault)
        part, completion = answers.said(asked.api, pick, asked.top, asked.cap)
        headers = ""
        if asked.tier != "batch":  # batches have a limit of their own
            counted = prompt + (completion if options.limit_counts == "used" else asked.cap or completion)
            wait_s, limit = self.limits.admit(at, counted)
            headers = self.limits.headers(at)
            if wait_s:
                return self._limited(wait_s, limit, headers)
            self.bills.admitted(at, counted)
        record.served += 1
        is_slow = options.slow_share and fraction(options.seed, key, record.served, "slow") < options.slow_share
        delay_s = options.latency_s * (options.slow_factor if is_slow else 1.0)
        if fault:
            record.faults += 1
            self.bills.faults[fault] += 1
        if fault in STATUS:
            return self._status(fault, asked, headers, delay_s, record)
        usage = Usage(prompt, self._cached(asked.system, prompt), completion, asked.tier)
        whole = answers.body(asked.api, part, key, asked.model, asked.tier, options.seed, usage)
        plan = Plan(200, whole, headers, delay_s=delay_s, record=record, usage=usage, fault=fault)
        return self._broken(plan, asked) if fault in BROKEN or fault == "reset" else plan

    def _pick(self, asked: Question, key: str, record: Record, fault: str | None) -> answers.Pick:
        """Return what is answered; above temperature 0 it is drawn by the seed asked with, else anew at each call."""
        form = answers.form_of(asked.schema, asked.system)
        nth = f"{key}/{record.served}" if asked.seed is None else str(asked.seed)
        sampled = nth if asked.temperature > 0 else None
        return answers.pick(form, self.options.seed, asked.asked, sampled, fault if fault in SAID else None)

    def _fault(self, key: str, record: Record) -> str | None:
        """Return the fault this call meets; none once the request has had its share."""
        options, nth = self.options, record.served
        served = self.bills.admissions
        if options.unauthorised_after is not None and served >= options.unauthorised_after:
            return "unauthorised"
        if options.quota_after is not None and served >= options.quota_after:
            return "quota"
        if options.max_faults_per_key is not None and record.faults >= options.max_faults_per_key:
            return None
        return fault_of(options.fault_rate, options.faults, fraction(options.seed, key, nth))

    def _cached(self, system: str, prompt: int) -> int:
        """Return how many prompt tokens are remembered: those of a system message seen before."""
        if system in self.systems:
            return min(prompt, len(system) // 4)
        if len(self.systems) >= MOST_SYSTEMS:
            self.systems.clear()
        self.systems.add(system)
        return 0

    def _limited(self, wait_s: float, limit: str, headers: str) -> Plan:
        self.bills.limited += 1
        # whole seconds on a real minute; a scaled one needs the fraction
        shown = f"{math.ceil(wait_s)}" if self.options.minute_s >= 60 else f"{wait_s:.3f}"
        waits = f"retry-after: {shown}\r\nretry-after-ms: {math.ceil(wait_s * 1000)}\r\n"
        return Plan(429, error(MESSAGES["rate_limit"][0], limit, "rate_limit_exceeded"), headers + waits)

    def _status(self, fault: str, asked: Question, headers: str, delay_s: float, record: Record) -> Plan:
        if fault == "rate_limit":
            headers += f"retry-after: {self.options.retry_after_s:g}\r\n"
        body = refusal(fault, asked.asked[:60])
        return Plan(STATUS[fault], body, headers, delay_s=delay_s, record=record, fault=fault)

    def _broken(self, plan: Plan, asked: Question) -> Plan:
        """Return the plan of an answer that was made and does not arrive; a reset comes before it is made."""
        if plan.fault == "reset":
            plan.manner, plan.usage = "reset", None
        elif plan.fault in ("timeout", "slow_drip", "truncated"):
            plan.manner = plan.fault
        else:
            plan.is_deliverable = False
            plan.body = _garbage(plan.fault, asked.api, plan.body)
        return plan

    def settle(self, plan: Plan, is_delivered: bool) -> None:
        """Bill a plan that has ended; one without usage costs nothing."""
        if plan.usage is not None and plan.record is not None:
            self.bills.bill(plan.record, plan.usage, is_delivered and plan.is_deliverable)

    def stats(self, keys: bool = False) -> dict[str, Any]:
        """Return what was asked, delivered and billed; with `keys` for each request too."""
        return self.bills.stats(keys)


def _garbage(fault: str, api: str, body: bytes) -> bytes:
    """Return what a 200 brings instead of an answer: a page, half an answer, or an error."""
    if fault == "garbage_html":
        return b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>"
    if fault == "garbage_json":
        return body[: len(body) // 2]
    if api == "chat":
        return error("Provider returned error", "server_error", None)
    failed = {"code": "server_error", "message": "The model failed to generate a response."}
    return json.dumps(
        {"id": "resp_0", "object": "response", "status": "failed", "error": failed, "output": []}
    ).encode()
