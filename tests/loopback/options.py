"""What the endpoint is told to be like, from Python or from the command line."""

import argparse
import json
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from loopback.faults import FAULTS


@dataclass(frozen=True)
class Options:
    """How the endpoint behaves; each field is a flag of `python -m loopback` too."""

    seed: int = field(default=0, metadata={"help": "decides labels, slow answers and faults"})
    latency_s: float = field(default=0.1, metadata={"help": "seconds an answer takes"})
    slow_share: float = field(default=0.01, metadata={"help": "share of answers that are slow, 0-1"})
    slow_factor: float = field(default=10.0, metadata={"help": "times as long a slow answer takes"})
    fault_rate: float = field(default=0.3, metadata={"help": "share of answers that are faulty, 0-1"})
    faults: tuple[str, ...] = field(default=FAULTS, metadata={"help": "kinds of fault, with commas"})
    max_faults_per_key: int | None = field(default=4, metadata={"help": "most faults of one request; none: no end"})
    unauthorised_after: int | None = field(default=None, metadata={"help": "every request after so many is a 401"})
    quota_after: int | None = field(default=None, metadata={"help": "every one after so many is insufficient_quota"})
    retry_after_s: float = field(default=0.05, metadata={"help": "Retry-After of a 429 that is a fault, in seconds"})
    hang_s: float | None = field(default=None, metadata={"help": "a timeout closes after so long; none: never"})
    drip_s: float = field(default=0.05, metadata={"help": "seconds between two bytes of a slow drip"})
    requests_per_minute: int | None = field(default=None, metadata={"help": "requests a minute"})
    tokens_per_minute: int | None = field(default=None, metadata={"help": "tokens a minute"})
    enforcement: str = field(default="bucket", metadata={"help": "bucket (refills evenly) or window (slides)"})
    minute_s: float = field(default=60.0, metadata={"help": "how long a minute of the limits is, in seconds"})
    limit_counts: str = field(default="used", metadata={"help": "used tokens, or reserved: prompt + the answer's cap"})
    lacks: tuple[str, ...] = field(default=(), metadata={"help": "features answered with 400"})
    ignores: tuple[str, ...] = field(default=(), metadata={"help": "features dropped without a word"})
    max_top_logprobs: int = field(default=20, metadata={"help": "alternatives a token has at most"})
    models: tuple[str, ...] = field(default=(), metadata={"help": "models there are; none named: any"})
    api_key: str | None = field(default=None, metadata={"help": "the only key that is let in"})
    tier_served: str | None = field(default=None, metadata={"help": "service tier that answers, whatever was asked"})
    keep_alive: bool = field(default=True, metadata={"help": "false: one answer a connection"})
    usd_input: float = field(default=0.15, metadata={"help": "dollars a million prompt tokens"})
    usd_cached: float = field(default=0.075, metadata={"help": "dollars a million cached prompt tokens"})
    usd_output: float = field(default=0.6, metadata={"help": "dollars a million completion tokens"})
    tier_factors: dict[str, float] = field(
        default_factory=lambda: {"batch": 0.5, "flex": 0.5, "priority": 2.0},
        metadata={"help": "times the price a service tier costs, as JSON"},
    )
    batch: dict[str, Any] = field(default_factory=dict, metadata={"help": "options of the Batch API, as JSON"})

    def __post_init__(self):
        """Raise ValueError for an enforcement or a way of counting there is not, and for an unknown fault."""
        from loopback.faults import KINDS

        if self.enforcement not in ("bucket", "window") or self.limit_counts not in ("used", "reserved"):
            raise ValueError("enforcement is bucket or window, limit_counts is used or reserved")
        if unknown := set(self.faults) - set(KINDS):
            raise ValueError(f"no such fault: {sorted(unknown)}; there are {', '.join(KINDS)}")


def from_json(values: dict[str, Any]) -> Options:
    """Return options given as JSON, whose lists become tuples."""
    return Options(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def from_flags(arguments: list[str] | None = None) -> tuple[Options, int]:
    """Return the options a command line states, and the port."""
    parser = argparse.ArgumentParser("python -m loopback", description="An OpenAI-compatible endpoint on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    for option in fields(Options):
        default = option.default if option.default is not MISSING else option.default_factory()
        flag, shown = "--" + option.name.replace("_", "-"), ",".join(default) if isinstance(default, tuple) else default
        text = f"{option.metadata['help']} (default: {shown})"
        parser.add_argument(flag, type=_reader(option.type), default=default, help=text, metavar="…")
    values = vars(parser.parse_args(arguments))
    port = values.pop("port")
    return Options(**values), port


def _reader(kind: Any) -> Any:
    """Return what turns a flag's text into a value of a field's type."""
    if kind in (int, float, str):
        return kind
    if kind is bool:
        return lambda text: text.lower() in ("1", "true", "yes")
    if kind == tuple[str, ...]:
        return lambda text: tuple(filter(None, text.split(",")))
    if kind in (dict[str, float], dict[str, Any]):
        return json.loads
    inner = next(part for part in kind.__args__ if part is not type(None))
    return lambda text: None if text == "none" else inner(text)
