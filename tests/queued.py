"""A queue that people can be handed, with and without audits in it, without the line that draws it."""

import csv
import json
import shutil
from contextlib import redirect_stdout
from datetime import UTC, date, datetime
from io import StringIO

import pyarrow.parquet as pq
from conftest import write
from prefect.logging import disable_run_logger

from flows.__main__ import main
from schemas.consensus import Consensus
from schemas.review import QueueEntry
from schemas.run import started
from tasks.document import read_documents
from tasks.item import make_items
from tasks.split import assign_splits
from tasks.store import Store
from tasks.store.tables import arrow

DAY, NEXT = "2026-11-17", "2026-11-18"
TEXTS = {
    "a": {"text": "=cold soup, “again”", "aspect": "food"}, "b": {"text": "good cake", "aspect": "food"},
    "c": {"text": "loud\nmusic", "aspect": "noise"}, "d": {"text": "fair prices", "aspect": "label"},
}  # fmt: skip
AUDITED = {"a": "audit", "b": "dispute", "c": "audit", "d": "uncertain"}
PLAIN = {"a": "dispute", "b": "uncertain"}


class Desk:
    """A curation whose documents are items, the queue drawn of them, and the two commands."""

    def __init__(self, folder):
        self.folder, self.home = write(folder / "c", {DAY: TEXTS}, {}), folder / "home"
        file = self.folder / "curation.yaml"
        file.write_text(file.read_text().replace("text: text,", "text: text, context: [aspect],"))
        self.run = started(str(self.folder), date.fromisoformat(DAY), home=str(self.home))
        with disable_run_logger():
            read_documents.fn(self.run, self.run.curation.sources[0])
            make_items.fn(self.run)
            assign_splits.fn(self.run)
        self.items = dict(self.sql("select source_id, item_id from document"))
        self.documents = dict(self.sql("select source_id, document_id from document"))

    def copied(self, folder):
        """Return a desk with all that this one holds, in another folder."""
        copy = Desk.__new__(Desk)
        copy.__dict__ |= self.__dict__ | {"folder": folder / "c", "home": folder / "home"}
        copy.run = self.run.model_copy(update={"folder": copy.folder, "home": copy.home})
        for place in ("folder", "home"):
            shutil.copytree(getattr(self, place), getattr(copy, place))
        return copy

    def draw(self, policies, as_of=DAY):
        """Keep a queue of {document: policy} as the nightly of a date would; the model says `good` of each."""
        latest = self.run.store / "derived" / "latest"
        latest.mkdir(parents=True, exist_ok=True)
        drawn = {"epoch_id": "epoch_1", "inclusion_probability": 0.5, "seed": "s"}
        rows = [
            dict.fromkeys(QueueEntry.model_fields) | {"item_id": self.items[one], "place": place, "policy": policy}
            | (drawn if policy == "audit" else {"gain_nats": 0.1})
            for place, (one, policy) in enumerate(policies.items(), start=1)
        ]  # fmt: skip
        judged = [
            dict.fromkeys(Consensus.model_fields) | {"item_id": item, "status": "review", "suggestion": "good"}
            | {"people": 0, "models": 1, "is_tie": False}
            for item in self.items.values()
        ]  # fmt: skip
        pq.write_table(arrow(QueueEntry, rows), latest / "queue.parquet")
        pq.write_table(arrow(Consensus, judged), latest / "consensus.parquet")
        verdict = {"entry_id": f"verdict:{as_of}", "kind": "verdict", "as_of": date.fromisoformat(as_of),
                   "recorded_at": datetime.now(UTC), "run_id": "r"}  # fmt: skip
        names = self.sql("describe ledger")
        Store(self.run.store).merge("ledger", [{name: verdict.get(name) for name, *_ in names}])
        return self

    def sql(self, query):
        return Store(self.run.store).connect().sql(query).fetchall()

    def assay(self, command, *arguments):
        """Return the exit status of a command and its JSON answer."""
        words = [command, str(self.folder), *map(str, arguments), "--json", "--home", str(self.home)]
        with redirect_stdout(StringIO()) as said:
            status = main(words)
        return status, json.loads(said.getvalue())

    def queue(self, name="queue.csv", *arguments):
        """Hand the queue out; return its file and, where it is a table, its rows by the document's id."""
        out = self.folder / name
        status, found = self.assay("queue", "-o", out, *arguments)
        assert status == 0, found
        if not name.endswith(".csv"):
            return out, found
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        names = {item: one for one, item in self.items.items()}
        return out, {names[row["item_id"]]: row for row in rows}

    def answer(self, name, *lines, columns=("queue_id", "item_id", "label", "annotator_id", "time")):
        """Write a csv file of answers, each a row of cells; return it."""
        file = self.folder / name
        with file.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([columns, *lines])
        return file

    def take(self, file, *arguments, as_of=NEXT):
        """Import a file of answers; return the exit status and the JSON answer."""
        return self.assay("import", file, "--as-of", as_of, *arguments)
