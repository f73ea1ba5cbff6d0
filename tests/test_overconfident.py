"""A model that is sure and wrong, asked over the wire as any other: none of its labels is ever published unseen."""

import asyncio
import csv
import json
import math
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from prefect.logging import disable_run_logger
from scripted import says

from flows.__main__ import main
from flows.answers import answers
from flows.handout import queue
from schemas.release import LedgerEntry
from schemas.run import started
from tasks.annotation import label_items, unlabelled, versions
from tasks.audit import draw_audit
from tasks.consensus import settle
from tasks.document import read_documents
from tasks.draft import keep_latest
from tasks.endpoint import switchboard
from tasks.endpoint.call import Patience
from tasks.item import find_neighbours, make_items
from tasks.known import known
from tasks.release.certificate import certificate
from tasks.review import draw_queue
from tasks.split import assign_splits
from tasks.store import Store
from tasks.text import clean

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DAYS = ("2026-11-15", "2026-11-16", "2026-11-17", "2026-11-18")
MODEL = "  - {name: hosted, kind: llm, model: m-1, concurrency: 16}\n"
ACCEPT = "{max_error: 0.2, confidence: 0.9, audit: 40}"
OTHER = {"good": "bad", "bad": "good"}


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


def sure(label, share):
    """Return a script: the label, and the log-probability of its token beside that of the other label's."""
    listed = [{"token": name, "logprob": math.log(p)} for name, p in ((label, share), (OTHER[label], 1 - share))]
    tokens = [{"token": '{"label":"'}, listed[0] | {"top_logprobs": listed}, {"token": '"}'}]
    content = [{"logprob": -1e-6, "top_logprobs": []} | token for token in tokens]
    return says(f'{{"label":"{label}"}}', logprobs={"content": content, "refusal": None})


def stream(seed, count, right, share, start=0):
    """Return rows (text, what is true, what the model says, how sure it is): `right` and `share` are of one's number."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(start, start + count):
        true = ("good", "bad")[int(draw.random() < 0.5)]
        p = share(draw)
        rows.append((f"headline number {number:05}", true, true if draw.random() < right(p) else OTHER[true], p))
    return rows


def overconfident(seed, count, start=0):
    """Return a stream whose model is .9 to .99 sure and right 7 times of 10, whatever it says."""
    return stream(seed, count, lambda _: 0.7, lambda draw: round(draw.uniform(0.9, 0.99), 3), start)


def honest(seed, count, start=0):
    """Return a stream whose model is right as often as it says, and mostly quite sure."""
    return stream(seed, count, lambda share: share, quite, start)


def quite(draw):
    """Return how sure a model is that is mostly quite sure: 97 in a hundred on average."""
    return min(round(0.5 + draw.beta(15, 1) / 2, 3), 0.999)


def less(draw):
    """Return how sure a model is that is less so: 60 to 80 in a hundred."""
    return round(draw.uniform(0.6, 0.8), 3)


class Nights:
    """A curation that lives night by night: documents arrive, the model is asked over the wire, people answer its audit."""

    def __init__(self, written, folder, stub, accept=ACCEPT, **settings):
        more = {"review": "{budget: 40}", "clean": "{near_duplicates: 1.0}", "accept": accept} | settings
        self.folder, self.home, self.stub, self.true = written(folder / "c", {}, {}, MODEL, **more), folder, stub, {}

    def arrive(self, day, rows):
        """Let rows (text, what is true, what the model says, how sure it is) arrive."""
        lines = [json.dumps({"id": text, "text": text}) + "\n" for text, *_ in rows]
        (self.folder / "data" / f"{day}.jsonl").write_text("".join(lines))
        for text, true, label, share in rows:
            self.true[text], self.stub.script[text] = true, sure(label, share)

    def night(self, day, rows=()):
        """Let rows arrive and a night pass, and return the labels that were accepted of the model, by text."""
        self.arrive(day, rows)
        self.run = run = started(str(self.folder), date.fromisoformat(day), "then", str(self.home))
        read_documents.fn(run, run.curation.sources[0])
        for stage in (make_items, find_neighbours, assign_splits):
            stage.fn(run)
        self.present = versions.fn(run)
        (model,) = run.curation.models
        version = self.present[model.name]
        asyncio.run(label_items.fn(run, model, version, unlabelled.fn(run, model, self.present)))
        draw_audit.fn(run, self.present)
        return self.settled()

    def settled(self):
        """Return the labels that are accepted of the model, by text."""
        settle.fn(self.run, self.present)
        draft = self.run.drafts / "consensus.parquet"
        query = f"select source_id, label from '{draft}' join document using (item_id) where status = 'accepted'"
        return dict(Store(self.run.store).connect().sql(query).fetchall())

    def answer(self, most=None):
        """Let someone who knows the truth answer audits, the others of the queue not; return what is accepted then."""
        sheet = self.home / "queue.jsonl"
        self.draw_queue()
        queue(str(self.folder), "table", sheet, False, True, str(self.home))
        query = "select item_id from draw_now where not is_answered order by place"
        drawn = [item_id for (item_id,) in known(self.run, self.present).sql(query).fetchall()][:most]
        rows = [row for row in map(json.loads, sheet.read_text().splitlines()) if row["item_id"] in drawn]
        assert len(rows) == len(drawn)
        filled = [row | {"label": self.true[row["text"]], "annotator_id": "ann"} for row in rows]
        sheet.write_text("".join(json.dumps(row) + "\n" for row in filled))
        found = answers(str(self.folder), sheet, "table", None, self.run.as_of, str(self.home))
        assert found["accepted"] == len(rows)
        return self.settled()

    def draw_queue(self):
        """Draw the queue of the consensus, and let the night be judged: then it can be handed out."""
        draw_queue.fn(self.run, self.present)
        entry = {"entry_id": f"verdict:{self.run.as_of}", "kind": "verdict", "as_of": self.run.as_of}
        stamp = {"recorded_at": self.run.started_at, "run_id": self.run.run_id}
        Store(self.run.store).merge("ledger", [dict.fromkeys(LedgerEntry.model_fields) | entry | stamp])
        for name in ("failing", "kept_out"):  # what the gate would have left, and nobody reads here
            (self.run.drafts / f"{name}.parquet").touch()
        keep_latest(self.run)

    def write(self, old, new):
        """Write the curation with one thing changed."""
        text = (self.folder / "curation.yaml").read_text()
        assert old in text
        (self.folder / "curation.yaml").write_text(text.replace(old, new))

    def epoch(self):
        """Return number and reason of the epoch in force."""
        query = "select generation, reason from epoch_now order by generation desc limit 1"
        return known(self.run, self.present).sql(query).fetchone()

    def certificate(self):
        """Return the certificate a release of this night would carry."""
        return certificate(known(self.run, self.present), self.run.curation.accept, ["good", "bad"])

    def error(self, accepted):
        """Return the share of accepted labels that are wrong."""
        return np.mean([label != self.true[text] for text, label in accepted.items()])


@pytest.fixture
def nights(written, tmp_path, stub, monkeypatch):
    monkeypatch.setattr(switchboard, "PATIENCE", Patience(attempts=3, first_wait_s=0.01, longest_wait_s=0.1))
    return lambda **settings: Nights(written, tmp_path, stub, **settings)


def test_of_a_model_that_is_sure_and_wrong_nothing_is_accepted_however_much_is_audited(nights):
    line = nights()
    assert line.night(DAYS[0], overconfident(1, 120)) == {}
    assert line.answer() == {}
    found = line.certificate()
    assert (found["statement"], found["audited"], found["accepted"]) == (None, 40, 0)
    assert found["errors"] > 4 and found["reason"].startswith("No label may be accepted without a person")
    assert line.night(DAYS[1], overconfident(2, 60, 1_000)) == {}
    assert line.answer() == {}


@pytest.mark.slow
def test_a_model_as_good_as_it_says_is_accepted_after_its_audit_until_its_prompt_or_what_it_is_asked_changes(nights):
    line = nights()
    assert line.night(DAYS[0], honest(1, 160)) == {}
    assert line.answer(most=10) == {}  # the thirty without an answer count as wrong
    accepted = line.answer()
    assert len(accepted) >= 80 and line.error(accepted) <= 0.2
    line.write("It is good.", "It is rather good.")
    assert line.night(DAYS[1]) == {}
    assert line.epoch() == (0, "version")
    assert len(line.answer()) >= 60
    assert line.night(DAYS[2], stream(2, 120, lambda _: 0.99, less, 1_000)) == {}
    assert line.epoch() == (1, f"scores_changed on {DAYS[2]}")
    accepted = line.answer()
    assert accepted and line.error(accepted) <= 0.2


@pytest.mark.slow
def test_a_model_that_turns_bad_and_is_as_sure_as_ever_is_accepted_no_more(nights):
    line = nights(review="{budget: 400}")  # twenty of a night's items are drawn to keep watch
    line.night(DAYS[0], honest(1, 120))
    assert len(line.answer()) >= 60
    for number, day in enumerate(DAYS[1:], start=2):
        line.night(day, stream(number, 40, lambda _: 0.3, quite, 1_000 * number))
        if line.epoch()[0]:
            break
        line.answer()
    assert line.epoch()[0] == 1 and line.epoch()[1].startswith("errors_changed")
    assert line.settled() == {}
    assert line.answer() == {}


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data sets")
def test_a_real_model_that_is_surer_than_right_is_refused_and_a_better_one_of_the_same_texts_is_not(nights):
    """Ask for GPT-4o's labels of headlines (Candès, Ilyas and Zrnic 2025): of those it is .9 sure of, 14 % are wrong."""
    line = nights(accept="{max_error: 0.1, confidence: 0.9, audit: 120}", review="{budget: 120}")
    with (SHARED / "pac_labels" / "misinfo.csv").open() as file:
        rows = {row["headline"]: row for row in csv.DictReader(file) if clean(row["headline"]) == row["headline"]}
    meant = {"real": "good", "misinfo": "bad"}
    real = [
        (text, meant[row["Y"]], meant[row["Yhat (GPT4o)"]], max(float(row["confidence"]), 0.51))
        for text, row in list(rows.items())[:240]
    ]
    assert line.night(DAYS[0], real) == {}
    assert line.answer() == {}
    assert line.certificate()["errors"] >= 18
    draw = np.random.default_rng(1)
    better = [(text, true, true if draw.random() < 0.98 else OTHER[true], share) for text, true, _, share in real]
    line.write("model: m-1", "model: m-2")
    assert line.night(DAYS[0], better) == {}
    accepted = line.answer()
    assert len(accepted) >= 100 and line.error(accepted) <= 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("harness")
def test_the_whole_line_publishes_what_people_said_and_nothing_of_a_model_that_is_sure_and_wrong(nights, capsys):
    line = nights()
    line.arrive(DAYS[0], overconfident(1, 120))
    sheet, told = line.home / "queue.jsonl", []
    for day in DAYS[:2]:
        assert main(["run", str(line.folder), "--as-of", day, "--json", "--home", str(line.home)]) in (0, 3)
        told.append(json.loads(capsys.readouterr().out))
        main(["queue", str(line.folder), "--out", str(sheet), "--home", str(line.home)])
        rows = [json.loads(text) for text in sheet.read_text().splitlines()]
        filled = [
            row | {"label": line.true[row["text"]], "annotator_id": who} for row in rows for who in ("ann", "bob")
        ]
        sheet.write_text("".join(json.dumps(row) + "\n" for row in filled))
        assert main(["import", str(line.folder), str(sheet), "--as-of", day, "--home", str(line.home)]) == 0
        capsys.readouterr()
    first, second = told
    assert (first["consensus"]["accepted"], first["consensus"]["human"]) == (0, 0)
    assert (second["consensus"]["accepted"], second["consensus"]["human"]) == (0, 40)
    assert second["certificate"]["statement"] is None and second["certificate"]["audited"] == 40
    published = pl.concat(
        [pl.read_parquet(file) for file in (line.folder / second["release"] / "data").glob("*.parquet")]
    )
    assert Counter(published["status"]) == {"human": 40}
