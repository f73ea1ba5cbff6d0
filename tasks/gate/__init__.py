"""Frames and suites become a verdict: DuckDB reduced, Great Expectations judges."""

import logging
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefect import get_run_logger

from tasks.stage import stage
from tasks.text import canonical


@stage
def judge(frames: Path, suites: list[Any]) -> dict[str, Any]:
    """Return the verdict on a DuckDB file of frames: {passed, failed, suites: [{suite, sha256, checks}]}.

    Each suite is run over the table of its name. Passed means that no critical expectation failed; one that raises
    has failed.
    """
    judged = _judged(frames, suites)
    failed = [
        f"{suite['suite']}: {check['what']} (observed: {check['observed']})"
        for suite in judged
        for check in suite["checks"]
        if not check["success"] and check["severity"] == "critical"
    ]
    for suite in judged:
        for check in suite["checks"]:
            if not check["success"]:
                get_run_logger().warning(
                    "%s, does not hold: %s (observed: %s)", check["severity"], check["what"], check["observed"]
                )
    return {"passed": not failed, "failed": failed, "suites": judged}


def _judged(frames: Path, suites: list[Any]) -> list[dict[str, Any]]:
    import great_expectations as gx  # six seconds, so only where it is used
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    from tasks.gate import dialect

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # no docs site: it would copy values, unescaped, into a temporary folder nobody removes
    memory = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    context = gx.get_context(mode="ephemeral", project_config=memory)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_sql("frames", connection_string=f"{dialect.NAME}:///{frames}")
    judged = []
    for suite in suites:
        batch = source.add_table_asset(suite.name, table_name=suite.name).add_batch_definition_whole_table("all")
        result = batch.get_batch().validate(context.suites.add(suite), result_format="BASIC")
        judged.append(
            {"suite": suite.name, "sha256": _digest(suite), "checks": [_check(one) for one in result.results]}
        )
    return judged


def _digest(suite: Any) -> str:
    """Return the sha256 of what a suite promises: its expectations with their settings, words and severities."""
    promises = [
        [one.type, one.kwargs, one.meta, str(getattr(one.severity, "value", one.severity))]
        for one in (expectation.configuration for expectation in suite.expectations)
    ]
    return sha256(canonical({"promises": promises}).encode()).hexdigest()


def _check(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    return {
        "expectation": config.type,
        "what": (config.meta or {}).get("what", config.type),
        "severity": str(getattr(config.severity, "value", config.severity)),
        "success": bool(result.success),
        "observed": _observed(result),
        "expected": _expected(config.kwargs),
    }


def _observed(result: Any) -> str:
    """Return what was found, as figures; never a value of a frame beyond the one-row measures."""
    raised = result.exception_info or {}
    if raised.get("raised_exception") or any(
        isinstance(v, dict) and v.get("raised_exception") for v in raised.values()
    ):
        return "could not be judged"
    found = result.result or {}
    if "unexpected_count" in found:
        # of an empty frame the count is null
        return f"{found['unexpected_count'] or 0:,} of {found['element_count'] or 0:,} otherwise"
    value = found.get("observed_value")
    return "undefined" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _expected(settings: dict[str, Any]) -> str:
    if "value_set" in settings:
        values = [str(value).lower() if isinstance(value, bool) else str(value) for value in settings["value_set"]]
        return ("one of " if len(values) > 1 else "") + ", ".join(values)
    low, high = settings.get("min_value"), settings.get("max_value")
    if low is not None and low == high:
        return f"{low:g}"
    return " and ".join(
        f"{word} {bound:,g}" for word, bound in (("at least", low), ("at most", high)) if bound is not None
    )
