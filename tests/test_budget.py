"""The budget: what models have cost, what a run may still spend, and where it stops."""

import json
import re
from datetime import UTC, date, datetime
from types import SimpleNamespace

import duckdb
import pytest
from loopback import Options, serving

from flows.__main__ import main
from flows.sql import sql
from schemas.annotation import Annotation
from schemas.curation import load
from schemas.errors import RequestError
from schemas.run import started
from tasks.report import card, report
from tasks.spending import allowance, asked, brought, day_spend, month_spend, month_spent, priced, run_spend
from tasks.sql import relation
from tasks.store import Store

PRICED = "  - {name: m, kind: llm, model: gpt-4.1-mini}\n"
UNPRICED = "  - {name: m, kind: llm, model: llama3.2}\n"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def table(columns, *rows):
    cells = ", ".join("(" + ", ".join("null" if cell is None else str(cell) for cell in row) + ")" for row in rows)
    return f"select * from (values {cells}) as given({columns})"


def costs(name, votes, annotations, replies):
    """Return the rows of a relation over tables of [annotation, item, annotator], [annotation, reply, replies], replies."""
    connection = duckdb.connect()
    label = "null::varchar as label, null::double as entropy_nats"
    connection.execute(
        f"create view model_vote as select *, {label} from ({table('annotation_id, item_id, annotator_id', *votes)})"
    )
    connection.execute(f"create view annotation as {table('annotation_id, reply_id, reply_ids', *annotations)}")
    columns = "reply_id, prompt_tokens, cached_tokens, completion_tokens, usd"
    rows = f"select * replace (usd::double as usd) from ({table(columns, *replies)})"
    connection.execute(f"create view reply as {rows}")
    found = relation(connection, name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


VOTES = [("'a1'", "'X'", "'m'"), ("'a2'", "'Y'", "'m'"), ("'a3'", "'X'", "'n'")]
ANNOTATIONS = [
    ("'a1'", "'r1'", "['r1', 'r2']"),  # two samples
    ("'a2'", "'r3'", "null::varchar[]"),  # a store of an earlier version
    ("'a3'", "'r1'", "['r1']"),  # what another annotator asked already
    ("'old'", "'r9'", "['r9']"),  # of a version that counts no more
]
REPLIES = [
    ("'r1'", 100, 10, 1, 0.001),
    ("'r2'", 200, 0, 2, 0.002),
    ("'r3'", 300, "null", 3, 0.004),
    ("'r9'", 900, 0, 9, 0.9),
]


def test_a_release_costs_every_reply_that_it_rests_on_once():
    # r1 + r2 + r3: tokens 600, 10 and 6; $0.007
    expected = {"calls": 3, "prompt_tokens": 600, "cached_tokens": 10, "completion_tokens": 6, "usd": 0.007}
    assert costs("cost", VOTES, ANNOTATIONS, REPLIES) == [expected]


def test_an_annotator_costs_all_the_replies_it_used_also_those_it_shares():
    m, n = costs("annotator_cost", VOTES, ANNOTATIONS, REPLIES)
    # m: r1, r2 and r3 for two items, $0.007, of a thousand $3.50; n: r1 for one item, of a thousand $1
    assert (m["annotator_id"], m["items"], m["calls"], m["prompt_tokens"], m["cached_tokens"]) == ("m", 2, 3, 600, 10)
    assert (m["usd"], m["usd_per_1000_items"]) == (0.007, 3.5)
    assert (n["annotator_id"], n["calls"], n["usd"], n["usd_per_1000_items"]) == ("n", 1, 0.001, 1.0)


def test_a_reply_without_a_known_price_makes_the_sum_unknown_and_not_smaller():
    replies = [*REPLIES[1:], ("'r1'", 100, 10, 1, "null::double")]
    assert costs("cost", VOTES, ANNOTATIONS, replies)[0]["usd"] is None
    assert [row["usd"] for row in costs("annotator_cost", VOTES, ANNOTATIONS, replies)] == [None, None]


def test_without_a_model_nothing_was_spent():
    none = [("'old'", "'X'", "'m'")]
    found = costs("cost", none, [("'old'", "null", "null::varchar[]")], REPLIES)
    assert found == [{"calls": 0, "prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0, "usd": 0.0}]


def reply(key, at, usd, **more):
    return {
        "reply_id": key, "annotator_id": "m", "item_id": "X", "model": "gpt-4.1-mini", "model_served": "gpt-4.1-mini",
        "service_tier": None, "finish_reason": "stop", "content": "{}", "refusal": None, "logprobs": None,
        "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 2, "usd": usd, "latency_ms": 1.0,
        "event_at": at, "recorded_at": at, "run_id": "one",
    } | more  # fmt: skip


def lost(key, at, usd, **more):
    return {
        "call_id": key, "annotator_id": "m", "item_id": "X", "model": "gpt-4.1-mini", "kind": "timeout",
        "usd_at_most": usd, "event_at": at, "run_id": "one",
    } | more  # fmt: skip


def batch(key, step, at, usd):
    return {
        "event_id": f"{key} {step}", "batch_key": key, "step": step, "base_url": "http://x", "annotator_id": "m",
        "remote_id": None, "requests": None, "status": None, "answered": None, "failed": None, "usd_at_most": usd,
        "recorded_at": at, "run_id": "one",
    }  # fmt: skip


@pytest.fixture
def store(written, tmp_path):
    """Return a function that writes a curation and returns a run of it on 15 November, 2026, and its store."""

    def make(models=PRICED, **settings):
        folder = written(tmp_path / "a", {"2026-11-15": {"a": "soup"}}, {}, models, **settings)
        run = started(str(folder), date(2026, 11, 15), home=str(tmp_path / "home"))
        run = run.model_copy(update={"started_at": datetime(2026, 11, 15, 12, tzinfo=UTC), "run_id": "one"})
        return SimpleNamespace(run=run, store=Store(run.store), folder=folder, home=tmp_path / "home")

    return make


def at(month, day, hour=12):
    return datetime(2026, month, day, hour, tzinfo=UTC)


def test_a_month_has_cost_its_replies_its_lost_calls_and_all_pending_batches(store):
    here = store()
    here.store.merge("reply", [
        reply("r1", at(10, 31, 23), 64.0), reply("r2", at(11, 1, 0), 1.0), reply("r3", at(11, 30, 23), 2.0),
        reply("r4", at(12, 1, 0), 64.0), reply("r5", at(11, 3), None),
    ])  # fmt: skip
    here.store.merge(
        "lost_call", [lost("c1", at(11, 2), 4.0), lost("c2", at(10, 2), 64.0), lost("c3", at(11, 2), None)]
    )
    here.store.merge("batch", [
        batch("b1", "planned", at(10, 31), 8.0), batch("b1", "submitted", at(10, 31), 8.0),
        batch("b2", "planned", at(11, 1), 64.0), batch("b2", "ended", at(11, 2), None),
        batch("b3", "planned", at(11, 1), 64.0), batch("b3", "abandoned", at(11, 2), None),
    ])  # fmt: skip
    assert month_spend(here.run) == {"usd": 3.0, "usd_at_risk": 4.0, "usd_pending": 8.0}
    assert month_spent(here.run) == 15.0


def test_a_new_store_has_cost_nothing(store):
    here = store()
    assert month_spent(here.run) == 0.0
    assert (run_spend(here.run), day_spend(here.run)) == ({}, [])


@pytest.mark.parametrize(
    ("budget", "max_usd", "left"),
    [
        ("{}", None, None),
        ("{}", 0.5, 0.5),
        ("{usd_per_run: 5}", None, 5.0),
        ("{usd_per_run: 5}", 7.0, 5.0),
        ("{usd_per_run: 5, usd_per_month: 4}", None, 3.0),  # 4 − 1
        ("{usd_per_run: 2, usd_per_month: 4}", None, 2.0),
        ("{usd_per_month: 0.5}", 7.0, 0.0),  # 0.5 − 1: nothing, and not less
    ],
)
def test_a_run_may_spend_the_least_of_its_limits(store, budget, max_usd, left):
    here = store(budget=budget)
    here.store.merge("reply", [reply("r1", at(11, 1), 1.0)])
    assert allowance(here.run.model_copy(update={"max_usd": max_usd})) == left


@pytest.mark.parametrize(
    ("models", "budget", "max_usd", "named"),
    [
        (UNPRICED, "{usd_per_run: 5}", None, "budget.usd_per_run"),
        (UNPRICED, "{usd_per_month: 5}", None, "budget.usd_per_month"),
        (UNPRICED, "{}", 1.0, "--max-usd"),
    ],
)
def test_a_limit_on_what_has_no_known_price_is_refused(store, models, budget, max_usd, named):
    curation = load(store(models, budget=budget).folder / "curation.yaml")
    with pytest.raises(RequestError, match=f"{named} cannot be kept: no price is known for m; give each its `price"):
        priced(curation, max_usd)


def test_a_limit_on_what_has_a_price_is_taken_and_no_limit_asks_for_none(store, tmp_path):
    given = UNPRICED.replace("llama3.2", "llama3.2, price: {input: 0, output: 0}")
    for models, budget in ((PRICED, "{usd_per_run: 5}"), (given, "{usd_per_run: 5}"), (UNPRICED, "{}")):
        assert priced(load(store(models, budget=budget).folder / "curation.yaml")) is None, budget


def test_spend_adds_up_by_item_annotator_run_day_model_and_tier(store):
    here = store()
    here.store.merge("reply", [
        reply("r1", at(11, 1), 0.25), reply("r2", at(11, 1, 23), 0.5), reply("r3", at(11, 2), 1.0),
        reply("r4", at(11, 1), None, service_tier="flex"),
    ])  # fmt: skip
    here.store.merge("lost_call", [lost("c1", at(11, 1), 0.125)])
    query = "select day, service_tier, calls, lost_calls, prompt_tokens, cached_tokens, usd, usd_at_risk from spend order by 1, 2"
    assert sql(query, str(here.folder), str(here.home))["rows"] == [
        ["2026-11-01", "flex", 1, 0, 10, 4, None, 0.0],
        # r1 and r2, and a call that brought nothing and may have been billed
        ["2026-11-01", None, 2, 1, 20, 8, 0.75, 0.125],
        ["2026-11-02", None, 1, 0, 10, 4, 1.0, 0.0],
    ]


def test_a_day_and_a_run_have_cost_what_was_asked_on_it_and_in_it(store):
    here = store()
    here.store.merge("reply", [
        reply("r1", at(11, 1), 0.25), reply("r2", at(11, 2), 0.5), reply("r3", at(11, 2), 1.0, run_id="two"),
    ])  # fmt: skip
    here.store.merge("lost_call", [lost("c1", at(11, 2), 0.125)])
    days = [(day["day"], day["calls"], day["usd"], day["usd_at_risk"]) for day in day_spend(here.run)]
    assert days == [("2026-11-02", 2, 1.5, 0.125), ("2026-11-01", 1, 0.25, 0.0)]
    runs = {name: (run["calls"], run["lost_calls"], run["usd"]) for name, run in run_spend(here.run).items()}
    assert runs == {"one": (2, 1, 0.75), "two": (1, 0, 1.0)}


def given(item, label, reason=None, **more):
    unsaid = dict.fromkeys(Annotation.model_fields)
    return unsaid | {
        "annotation_id": item, "item_id": item, "annotator_id": "m", "annotator_kind": "llm", "annotator_version": "1",
        "label": label, "reason": reason, "distribution_source": "none", "guideline_version": "none",
        "recorded_at": at(11, 1), "available_on": date(2026, 11, 1), "run_id": "one",
    } | more  # fmt: skip


def test_what_a_stopped_run_asked_is_told_from_the_store(store):
    here = store()
    here.store.merge("reply", [reply("r1", at(11, 1), 0.25), reply("r2", at(11, 1), 0.5, run_id="two")])
    here.store.merge("lost_call", [lost("c1", at(11, 1), 0.125)])
    here.store.merge("annotation", [
        given("A", "good"), given("B", "bad"), given("C", None, "refusal"), given("D", None, "content_filter"),
        given("E", "bad", annotator_kind="human"), given("F", "bad", run_id="two"),
    ])  # fmt: skip
    unanswered = {"annotator_id": "m", "annotator_version": "1", "reason": "llm_unavailable", "detail": None,
                  "recorded_at": at(11, 1), "run_id": "one"}  # fmt: skip
    here.store.merge("unanswered", [unanswered | {"unanswered_id": "u", "item_id": "G"}])
    # A, B labelled; C abstained; D set aside, and G for want of an answer: 2 + 1 + 2 = 5
    assert asked(here.run) == {
        "asked": 5, "labelled": 2, "abstained": 1, "quarantined": 2, "failed": 1, "calls": 2, "prompt_tokens": 10,
        "cached_tokens": 4, "completion_tokens": 2, "usd": 0.25, "usd_at_risk": 0.125,
    }  # fmt: skip
    assert brought(here.run) == 5


def test_a_report_says_what_each_annotator_cost():
    model = {"annotator_id": "m", "annotator_kind": "llm", "calls": 1302, "prompt_tokens": 199107,
             "cached_tokens": 60416, "completion_tokens": 6002, "usd": 0.40615, "usd_per_1000_items": 0.6769}  # fmt: skip
    spent = {"usd": 0.40615, "calls": 1302, "prompt_tokens": 199107, "cached_tokens": 60416, "completion_tokens": 6002}
    evidence = {
        "curation": "tiny", "release": "2026-11-19.1", "as_of": "2026-11-19", "splits": {"train": 600},
        "annotations": {"by_annotator": [model]}, "cost": spent | {"price_table": "2026-11-21"},
    }  # fmt: skip
    page = report(evidence)
    section = re.sub(r"(<[^>]*>|\s)+", " ", page[page.index('id="cost"') : page.index('id="provenance"')])
    assert "m 1,302 199,107 60,416 6,002 $0.41 $0.68" in section
    assert "199,107, 60,416 of them remembered by the endpoint" in section
    assert "Price table of 2026-11-21" in section
    assert "the table of 2026-11-21" in card(evidence)


@pytest.fixture
def endpoint(monkeypatch):
    """Return an endpoint that bills $1 for a million tokens asked with and $2 for a million answered with."""
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    prices = {"usd_input": 1.0, "usd_cached": 1.0, "usd_output": 2.0}
    with serving(Options(latency_s=0.01, slow_share=0.0, fault_rate=0.0, **prices)) as server:
        yield server


def priced_model(url, **more):
    settings = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  - {{name: m, kind: llm, model: stub, base_url: '{url}', price: {{input: 1, output: 2}}{settings}}}\n"


def assay(capsys, *arguments):
    capsys.readouterr()
    status = main([*map(str, arguments), "--json"])
    return status, json.loads(capsys.readouterr().out)


# A call about one of the dozen takes some 260 tokens and 5, $0.00027; the body's bytes make it at most some $0.0012.
# A run's first call is its probe of the endpoint.


@pytest.mark.usefixtures("harness")
def test_a_run_stops_with_4_before_it_costs_more_and_the_next_one_goes_on(endpoint, twelve, capsys, tmp_path):
    models, home = priced_model(endpoint.address, max_answer_tokens=16, concurrency=2), tmp_path / "home"
    folder = twelve(tmp_path / "a", models, budget="{usd_per_run: 0.003}")
    status, first = assay(capsys, "run", folder, "--as-of", "2026-11-17", "--home", home)
    assert (status, first["status"], first["release"]) == (4, "budget_stop", None)
    assert "the budget of $0.003 is used up" in first["error"]
    assert not list(tmp_path.rglob("manifest.json"))
    # what is booked is what was billed, and it comes within a call at its most of the limit
    assert first["llm"]["usd"] == pytest.approx(endpoint.stats()["usd"])
    assert 0.0018 < first["llm"]["usd"] <= 0.003
    labelled = first["annotations"]["by_annotator"]["m"]
    assert labelled == first["llm"]["asked"] == first["llm"]["labelled"]
    assert 0 < labelled == first["llm"]["calls"] - 1 < 12
    assert first["annotations"]["new"] == 36 + labelled  # and 36 of people

    (folder / "curation.yaml").write_text((folder / "curation.yaml").read_text().replace("0.003", "3"))
    status, second = assay(capsys, "run", folder, "--as-of", "2026-11-17", "--home", home)
    assert (status, second["status"]) == (0, "published")
    assert (first["llm"]["calls"] - 1) + (second["llm"]["calls"] - 1) == 12  # nothing was paid for twice
    assert first["llm"]["usd"] + second["llm"]["usd"] == pytest.approx(endpoint.stats()["usd"])

    _, held = assay(capsys, "status", folder, "--home", home)
    assert [run["spend"]["usd"] for run in held["runs"]] == pytest.approx([second["llm"]["usd"], first["llm"]["usd"]])
    assert held["spend"]["month"]["usd"] == pytest.approx(endpoint.stats()["usd"])
    assert sum(day["usd"] for day in held["spend"]["days"]) == pytest.approx(endpoint.stats()["usd"])


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_a_backfill_spends_its_limit_over_all_its_dates_and_begins_none_after(endpoint, twelve, capsys, tmp_path):
    models = priced_model(endpoint.address, max_answer_tokens=16, concurrency=2)
    folder = twelve(tmp_path / "a", models)
    # the first date's probe and four items cost $0.00135; of the second's the probe and, at most, one or two still fit
    given = ("--from", "2026-11-15", "--to", "2026-11-17", "--labels", "then", "--max-usd", 0.003)
    status, result = assay(capsys, "backfill", folder, *given, "--home", tmp_path / "home")
    assert (status, result["status"]) == (4, "budget_stop")
    ends = [(one["as_of"], one["status"]) for one in result["dates"]]
    assert ends == [("2026-11-15", "published"), ("2026-11-16", "budget_stop")]
    assert result["usd"] == pytest.approx(endpoint.stats()["usd"])
    assert result["usd"] <= 0.003


def test_a_limit_without_a_price_is_refused_before_anything_starts(store, capsys):
    folder = store(UNPRICED, budget="{usd_per_run: 5}").folder
    for command in (["check", folder], ["run", folder, "--dry-run"]):
        status, said = assay(capsys, *command)
        assert (status, "no price is known for m" in said["error"]) == (2, True)
