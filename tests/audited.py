"""What tests of audits share: a stream of items that one model labels, and people who answer what was drawn."""

from datetime import date

import polars as pl

from schemas.run import started
from tasks.audit import draw_audit
from tasks.consensus import settle
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.known import known
from tasks.split import assign_splits
from tasks.store import Ids, Store

MODEL = "  - {name: m1, kind: llm, model: none}\n"
VERSIONS = {"m1": "v-m1"}
DAYS = ("2026-11-15", "2026-11-16", "2026-11-17")
ACCEPT = "{max_error: 0.2, confidence: 0.9, audit: 40}"
STAMP = ("document_id", "off_label_share", "entropy_nats", "reason", "reply_id", "path", "position", "event_at")


def stream(*groups):
    """Return documents {id: text}: `count label score truth` of each group; the id tells what model and people say."""
    rows = {}
    for group in groups:
        count, label, score, truth = group.split()
        for _ in range(int(count)):
            rows[f"{len(rows):04}-{label}-{score}-{truth}"] = f"text {len(rows):04} {label} {truth} {score}"
    return rows


def curation(written, folder, documents, accept=ACCEPT, **more):
    settings = {"review": "{budget: 100}", "clean": "{near_duplicates: 1.0}"} | more
    return written(folder, documents, {}, MODEL, accept=accept, **settings)


def night(curation, home, day, versions=VERSIONS, labels="then"):
    """Return a run that has read its documents, with the store's `told` labels of the model, and drawn its audit."""
    run = started(str(curation), date.fromisoformat(day), labels, str(home))
    read_documents.fn(run, run.curation.sources[0])
    for stage in (make_items, find_neighbours, assign_splits):
        stage.fn(run)
    say(run, versions)
    draw_audit.fn(run, versions)
    return run


def say(run, versions=VERSIONS):
    """Let the model say of each document what its id tells: `…-good-0.90` is the label good with a probability of .90."""
    rows = known(run).sql("select item_id, source_id from document").fetchall()
    Store(run.store).merge("annotation", [_said(run, item_id, *told.split("-")[1:3], versions["m1"])
                                          for item_id, told in rows])  # fmt: skip


def _said(run, item_id, label, share, version):
    other, share = {"good": "bad", "bad": "good"}[label], float(share)
    shares = [{"label": label, "probability": share}, {"label": other, "probability": 1 - share}]
    return dict.fromkeys(STAMP) | {
        "annotation_id": Ids("tiny").id("annotation", item_id, version), "item_id": item_id, "annotator_id": "m1",
        "annotator_kind": "llm", "annotator_version": version, "label": label, "distribution": shares,
        "distribution_source": "logprobs", "guideline_version": "none", "recorded_at": run.started_at,
        "available_on": run.as_of, "run_id": run.run_id,
    }  # fmt: skip


def draws(run, versions=VERSIONS):
    """Return the draws of the epoch in force, in their order, each with the source's id of its document."""
    query = """
        select draw_now.*, min(source_id) as source_id
        from draw_now join document using (item_id)
        group by all order by place
    """
    return known(run, versions).sql(query).pl()


def answer(run, answers, who="ann", shown=False):
    """Store people's answers {source id of a document: label} to items handed out, with or without the suggestion."""
    store, ids = Store(run.store), Ids("tiny")
    places = {source: pair for source, *pair in
              known(run).sql("select source_id, item_id, document_id from document").fetchall()}  # fmt: skip
    handouts, rows = [], []
    for source, label in answers.items():
        item_id, document_id = places[source]
        handout_id = ids.id("handout", item_id, shown)
        handouts.append({
            "handout_id": handout_id, "item_id": item_id, "document_id": document_id, "policy": "audit", "epoch_id": None,
            "inclusion_probability": None, "seed": None, "is_suggestion_shown": shown, "available_on": run.as_of,
            "recorded_at": run.started_at,
        })  # fmt: skip
        rows.append(dict.fromkeys((*STAMP, "distribution", "item_id")) | {
            "annotation_id": ids.id("annotation", item_id, who, label, shown), "document_id": document_id,
            "annotator_id": who, "annotator_kind": "human", "annotator_version": who, "label": label,
            "distribution_source": "none", "handout_id": handout_id, "guideline_version": "none",
            "recorded_at": run.started_at, "available_on": run.as_of, "run_id": run.run_id,
        })  # fmt: skip
    store.merge("handout", handouts)
    store.merge("annotation", rows)


def answer_all(run, versions=VERSIONS):
    """Let people say of everything drawn what is true."""
    answer(run, {source: truly(source) for source in draws(run, versions)["source_id"]})


def later(prefix, *groups):
    """Return documents of another night: their ids and texts begin with a prefix of their own."""
    return {f"{prefix}{id}": f"{prefix} {text}" for id, text in stream(*groups).items()}


def truly(source):
    """Return what people say of a document: the last part of its id."""
    return source.split("-")[3]


def statuses(run, versions=VERSIONS):
    """Return {source id: (status, label)} of the consensus."""
    settle.fn(run, versions)
    named = dict(known(run).sql("select item_id, source_id from document").fetchall())
    rows = pl.read_parquet(run.drafts / "consensus.parquet").to_dicts()
    return {named[row["item_id"]]: (row["status"], row["label"]) for row in rows}
