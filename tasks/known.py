"""What is known as of a run: the facts of its store that its date and its label cutoff let it see."""

from datetime import date

import duckdb

from schemas.run import Run
from tasks import epoch
from tasks.sql import query
from tasks.store import Store

_VIEWS = ("known_item", "vote", "model_vote", "epoch_now", "candidate_now", "blind_answer", "draw_now")


def known(run: Run, versions: dict[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """Return a connection with the store's tables and, as of the run, the views known_item, vote, model_vote and draw_now.

    `versions` names the version of each model or labelling function that counts; without it no such label is seen.
    """
    connection = Store(run.store).connect(run.as_of)
    connection.execute("set variable labels_until = $until", {"until": run.as_of if run.labels == "then" else date.max})
    present = sorted(f"{annotator} {version}" for annotator, version in (versions or {}).items())
    connection.execute("set variable versions = $versions::varchar[]", {"versions": present})
    calibrated = [model.name for model in run.curation.models if model.calibration == "batch"]
    connection.execute("set variable calibrated = $names::varchar[]", {"names": calibrated})
    cascades = "set variable cascades = $cascades::struct(annotator varchar, first varchar, least double)[]"
    connection.execute(cascades, {"cascades": _cascades(run)})
    connection.execute("set variable label_values = $labels", {"labels": list(run.curation.labels.values)})
    accept, model = run.curation.accept, run.curation.accepted_model
    connection.execute("set variable terms = $terms", {"terms": epoch.terms(run, versions or {})})
    connection.execute("set variable is_batch = $batch", {"batch": bool(accept and accept.claim == "batch")})
    connection.execute("set variable accepted = $name", {"name": model.name if model else ""})
    for view in _VIEWS:
        connection.execute(f"create view {view} as {query(view)}")
    return connection


def _cascades(run: Run) -> list[dict[str, object]]:
    """Return, for each annotator of a cascade, every one before it, and the least entropy it must have."""
    only = {model.name: model.only_where for model in run.curation.models if model.only_where}
    found = []
    for name in only:
        at = name
        while at in only:
            found.append({"annotator": name, "first": only[at].annotator, "least": only[at].min_entropy_nats})
            at = only[at].annotator
    return found
