"""The gate over a million examples and five: beside plain SQL for the same checks, and Great Expectations on pandas."""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
from deltalake import write_deltalake

from bench.process import timed
from schemas.curation import Curation
from schemas.run import Run

SIZES = (1_000_000, 5_000_000)
SPLITS = ("train", "validation", "test")
CURATION = {
    "name": "gate",
    "labels": {"kind": "choice", "values": {"good": "It is good.", "bad": "It is bad.", "none": "It is neither."}},
    "sources": [{"path": "data.jsonl", "fields": {"id": "id", "group": "group", "slice": "slice"}}],
    "annotators": [{"name": "crowd", "kind": "human", "path": "labels.csv"}],
    "gates": {"min_alpha": 0.0},
}
# What is known of item i of `range(n)`: 0.9 of votes agree, ten slices, groups of three, a text of some 120 characters.
ITEM = """
    create table known as
    select
        'itm_' || substr(md5(i::varchar), 1, 26) as item_id,
        'doc_' || substr(md5('d' || i), 1, 26) as document_id,
        'group ' || i // 3 as group_id,
        'slice ' || i % 10 as slice,
        md5('t' || i) || ' the soup was cold and the waiter forgot us twice, but the cake made my day ' || i as text,
        ['good', 'bad', 'none'][1 + i * 7919 % 3] as label,
        case when hash(i // 3) % 10 < 8 then 'train' when hash(i // 3) % 10 = 8 then 'validation' else 'test' end as split
    from range($n) as numbers(i)
"""
FACTS = {
    "item": "select item_id, text, '{}' as context, group_id, slice from known",
    "split": "select item_id, split from known",
    "document": "select document_id, item_id, group_id, date '2026-11-17' as available_on from known",
    "annotation": """
        select
            'ann_' || who || substr(document_id, 5) as annotation_id, document_id, who as annotator_id,
            'human' as annotator_kind, label, date '2026-11-17' as available_on, timestamptz '2026-11-17 12:00:00Z' as recorded_at
        from known, (values ('ann'), ('bob')) as people(who)
    """,
}
CONSENSUS = """
    select
        item_id, 'human' as status, label, 2::bigint as people, 0::bigint as models, 0.95::double as posterior_share,
        false as is_tie, 0.0::double as entropy_nats
    from known order by item_id
"""
TABLE = """
    select
        item_id, split, text, '{{}}' as context, label, 'human' as status, 2::bigint as people, 0::bigint as models,
        0.95::double as posterior_share, 0.0::double as entropy_nats, group_id, slice
    from known where split = '{split}' order by item_id
"""
CHATS = """
    select [
        {{'role': 'system', 'content': repeat('What does the reviewer say of it? Answer with one of the labels. ', 8)}},
        {{'role': 'user', 'content': '<item X>' || chr(10) || {{'text': text}}::json::varchar || chr(10) || '</item X>'}},
        {{'role': 'assistant', 'content': {{'label': label}}::json::varchar}}
    ] as messages
    from known where split = '{split}' order by item_id
"""
FIGURES = {"people": {"labels": {"good": 1, "bad": 1, "none": 1}, "entropy": {"mean_nats": 0.2, "unanimous_share": 0.8},
           "agreement": {"krippendorff_alpha": {"low": 0.5}, "gwet_ac1": {"low": 0.5}}}}  # fmt: skip

OURS = """
import logging, time
from pathlib import Path
from prefect.logging import disable_run_logger
from bench.gate import run_in
from expectations.suites import expected, suites
from tasks.gate import judge
from tasks.release.frames import framed
from tasks.release.measure import failing, measures
def work():
    run, steps = run_in(Path(folder)), [time.perf_counter()]
    promised = suites(run.curation, run.folder)
    connection = framed(run, {}, "content", run.releases / ".staging")
    steps.append(time.perf_counter())
    found = measures(connection, promised)
    broken = failing(connection, promised, found).num_rows
    connection.close()
    steps.append(time.perf_counter())
    with disable_run_logger():
        verdict = judge.fn(found, expected(promised))
    steps.append(time.perf_counter())
    assert verdict["passed"] and not broken, verdict["failed"]
    return [after - before for before, after in zip(steps, steps[1:])]
def tell(found):
    return found
"""

# The same checks as one would write them for this data, by hand, with nothing between the files and DuckDB.
BARE = """
import duckdb
TABLES, STAGED = {tables!r}, {staged!r}
def work():
    sql = duckdb.connect()
    for table, files in TABLES.items():
        sql.execute(f"create view {{table}} as from read_parquet({{files}})")
    sql.execute("create view known as select item_id, text, slice, split from item join split using (item_id) semi join "
                "(select item_id from document where available_on <= date '2026-11-17') using (item_id)")
    sql.execute("create view published as " + " union all ".join(
        f"select *, '{{split}}' as file from '{{STAGED}}/data/{{split}}.parquet'" for split in {splits!r}))
    sql.execute("create view chat as " + " union all ".join(
        f"select messages, '{{split}}' as file from read_json('{{STAGED}}/{{split}}.jsonl', format = 'newline_delimited', "
        "columns = {{messages: 'struct(role varchar, content varchar)[]'}})" for split in {splits!r}))
    return [sql.sql(query).fetchall() for query in {queries!r}]
"""
VOTE = """
    select annotation_id, document.item_id, label from (
        select *, row_number() over (partition by document_id, annotator_id order by recorded_at desc, annotation_id desc) as age
        from annotation where annotator_kind = 'human'
    ) join document using (document_id) join known using (item_id) where age = 1
"""
QUERIES = [
    "select count(*), count(*) - count(distinct item_id), count(*) filter (not length(text) between 1 and 20000), "
    "count(*) filter (split not in ('train', 'validation', 'test')) from known",
    "select count(*) from document anti join known using (item_id)",
    f"select count(*), count(*) - count(distinct annotation_id), count(*) filter (item_id is null), "
    f"count(*) filter (label not in ('good', 'bad', 'none')) from ({VOTE})",
    "select count(*) - count(distinct item_id), count(*) filter (status not in ('human', 'accepted', 'review', 'unresolved')), "
    "count(*) filter (status = 'human' and (people < 2 or posterior_share < 0.9 or is_tie)), "
    "count(*) filter (entropy_nats > ln(3)), avg((status = 'unresolved')::int) from consensus",
    "select count(*) from known anti join consensus using (item_id)",
    "select count(*), count(*) - count(distinct published.item_id), count(*) filter (label not in ('good', 'bad', 'none')), "
    "count(*) filter (status not in ('human', 'accepted')), count(*) filter (given.split is distinct from file), "
    "avg((people > 0)::int) from published left join split as given using (item_id)",
    "select count(*) from (select text from published group by text having count(distinct file) > 1)",
    "select count(*) from (select document.group_id from document join published using (item_id) "
    "group by all having count(distinct file) > 1)",
    "select file, slice, label, count(*) from published group by all",
    "select count(*) from (select file, messages[-1].content->>'$.label' as label, "
    "split_part(messages[-2].content, chr(10), 2)->>'$.text' as text from chat except all "
    "select file, label, text from published)",
]
# Expectations of its own over the whole table, as its tutorials have them: of the examples alone.
PANDAS = """
import great_expectations as gx, great_expectations.expectations as gxe, pandas as pd
COLUMNS = ["item_id", "split", "label", "status", "people", "models", "posterior_share", "entropy_nats", "slice"]
def work():
    table = pd.concat(pd.read_parquet(f"{staged}/data/{split}.parquet", columns=COLUMNS) for split in splits)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("examples")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    suite = gx.ExpectationSuite("split", expectations=[
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToNotBeNull(column="item_id"),
        gxe.ExpectColumnValuesToBeUnique(column="item_id"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=["good", "bad", "none"]),
        gxe.ExpectColumnValuesToBeInSet(column="status", value_set=["human", "accepted"]),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=list(splits)),
        gxe.ExpectColumnValuesToBeBetween(column="people", min_value=1),
        gxe.ExpectColumnValuesToBeBetween(column="posterior_share", min_value=0.9),
    ])
    return batch.validate(context.suites.add(suite), result_format="BASIC").success
def tell(found):
    return found
"""
IMPORT = """
def work():
    import great_expectations
"""


def run_in(folder: Path) -> Run:
    """Return a run over the facts, drafts and staged files in a folder."""
    return Run(run_id="gate", as_of=date(2026, 11, 17), labels="then", started_at=datetime(2026, 11, 17, tzinfo=UTC),
               home=folder / "home", folder=folder, curation=Curation.model_validate(CURATION))  # fmt: skip


def made(folder: Path, n: int) -> None:
    """Write n items with two people's labels each as a store, and as examples that are about to be published."""
    run, staged = run_in(folder), run_in(folder).releases / ".staging"
    (staged / "data").mkdir(parents=True)
    run.drafts.mkdir(parents=True)
    with duckdb.connect(str(folder / "made.duckdb")) as known:
        known.execute(ITEM.replace("$n", str(n)))
        for table, query in FACTS.items():
            write_deltalake(str(run.store / table), known.sql(query).to_arrow_reader(100_000))
        known.execute(f"copy ({CONSENSUS}) to '{run.drafts}/consensus.parquet'")
        for split in SPLITS:
            known.execute(f"copy ({TABLE.format(split=split)}) to '{staged}/data/{split}.parquet' (compression zstd)")
            known.execute(f"copy ({CHATS.format(split=split)}) to '{staged}/{split}.jsonl' (format json)")
    (folder / "made.duckdb").unlink()
    (run.drafts / "agreement.json").write_text(json.dumps(FIGURES), encoding="utf-8")


def figures() -> Iterator[str]:
    """Yield a line per size: seconds and peak memory of the gate, of plain SQL, and of Great Expectations on pandas."""
    imported = timed(IMPORT, times=1)["seconds"]
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            made(Path(folder), size)
            yield from _beside(Path(folder), size, imported)


def _beside(folder: Path, size: int, imported: float) -> Iterator[str]:
    run = run_in(folder)
    staged = str(run.releases / ".staging")
    tables = {table: [str(file) for file in (run.store / table).glob("*.parquet")] for table in FACTS}
    tables["consensus"] = [str(run.drafts / "consensus.parquet")]
    bare = timed(BARE.format(tables=tables, staged=staged, splits=SPLITS, queries=QUERIES), times=1)
    ours = timed(OURS, times=1, folder=str(folder))
    theirs = timed(PANDAS, times=1, staged=staged, splits=SPLITS)
    most = 2 * bare["seconds"] + imported
    yield (
        f"gate of {size:>9,} examples: {ours['seconds']:.1f} s at {ours['peak']:,.0f} MB; plain SQL for the same checks "
        f"{bare['seconds']:.1f} s at {bare['peak']:,.0f} MB (twice that and the import of Great Expectations: {most:.1f} s); "
        f"Great Expectations on pandas, of the examples alone, {theirs['seconds']:.1f} s at {theirs['peak']:,.0f} MB"
    )
    framed, measured, judged = ours["told"]
    yield f"  frames {framed:.1f} s, measures {measured:.1f} s, verdict {judged:.1f} s, the import of {imported:.1f} s in it"
