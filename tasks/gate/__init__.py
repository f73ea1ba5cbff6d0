"""Measures and suites become a verdict: DuckDB has reduced, Great Expectations judges."""

import logging
from hashlib import sha256
from typing import Any

from prefect import get_run_logger

from schemas.promise import ROW_COUNT
from tasks.stage import stage
from tasks.text import canonical


@stage
def judge(measures: dict[str, dict[str, float | None]], suites: list[Any]) -> dict[str, Any]:
    """Return the verdict on measures by suite: {passed, failed, suites: [{suite, sha256, measures, checks}]}.

    Passed means that no critical expectation failed; one that raises, or that has nothing to judge, is critical.
    """
    judged = _judged(measures, suites)
    broken = [check for suite in judged for check in suite["checks"] if not check["success"]]
    for check in broken:
        get_run_logger().warning(
            "%s, does not hold: %s: %s (observed: %s)",
            *(check[key] for key in ("severity", "name", "what", "observed")),
        )
    failed = [
        f"{check['name']}: {check['what']} (observed: {check['observed']})"
        for check in broken
        if check["severity"] == "critical"
    ]
    return {"passed": not failed, "failed": failed, "suites": judged}


def _judged(measures: dict[str, dict[str, float | None]], suites: list[Any]) -> list[dict[str, Any]]:
    import great_expectations as gx  # six seconds, so only where it is used
    import pandas as pd
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    # no docs site: it would leave a temporary folder that nobody removes
    memory = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    context = gx.get_context(mode="ephemeral", project_config=memory)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_pandas("measures")
    judged = []
    for suite in suites:
        found = measures.get(suite.name, {})
        row = pd.DataFrame([found], dtype="float64", index=[0])
        batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("all")
        result = batch.get_batch({"dataframe": row}).validate(context.suites.add(suite), result_format="BASIC")
        judged.append(
            {
                "suite": suite.name,
                "sha256": _digest(suite),
                "measures": found,
                "checks": [_check(one, found) for one in result.results],
            }
        )
    return judged


def _digest(suite: Any) -> str:
    """Return the sha256 of what a suite promises: its expectations with their settings, words, SQL and severities."""
    promises = [
        [one.type, one.kwargs, one.meta, str(getattr(one.severity, "value", one.severity))]
        for one in (expectation.configuration for expectation in suite.expectations)
    ]
    return sha256(canonical({"promises": promises}).encode()).hexdigest()


def _check(result: Any, found: dict[str, float | None]) -> dict[str, Any]:
    config = result.expectation_config
    return {
        "name": config.meta["name"],
        "expectation": config.type,
        "what": config.meta["what"],
        "severity": "critical" if _has_raised(result) else str(getattr(config.severity, "value", config.severity)),
        "policy": config.meta["policy"],
        "success": bool(result.success),
        "observed": _observed(config, found),
        "expected": _expected(config),
    }


def _has_raised(result: Any) -> bool:
    """Return whether nothing could be judged, whatever was asked: Great Expectations keeps what raised by metric."""
    return not result.success and (result.exception_info or {}).get("raised_exception") is not False


def _observed(config: Any, found: dict[str, float | None]) -> str:
    """Return what was found, as figures."""
    if config.kwargs["column"] not in found:
        return "could not be judged"
    value = found[config.kwargs["column"]]
    if value is None:
        return "undefined"
    return (
        _number(value) if config.type == _MEASURE else f"{_number(value)} of {_number(found[ROW_COUNT])} rows otherwise"
    )


_MEASURE = "expect_measure_to_be_between"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.6g}"


def _expected(config: Any) -> str:
    if config.type != _MEASURE:
        return "every row"
    low, high = config.kwargs.get("min_value"), config.kwargs.get("max_value")
    if low is not None and low == high:
        return _number(low)
    return " and ".join(
        f"{word} {_number(bound)}" for word, bound in (("at least", low), ("at most", high)) if bound is not None
    )
