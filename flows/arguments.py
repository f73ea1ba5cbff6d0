"""Arguments of the `assay` command: what each part of it can be told, and how a value is read."""

import argparse
import csv
import math
from datetime import date
from pathlib import Path
from typing import Any


class Mixed(argparse.ArgumentParser):
    """Parser of one command that takes an argument after an option, too, where it may be left out."""

    _is_within = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        """Read options and arguments in any order; argparse does so in two passes, which come here again."""
        if self._is_within:
            return super().parse_known_args(args, namespace)
        self._is_within = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_within = False


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: YYYY-MM-DD") from None


def curation(command: argparse.ArgumentParser) -> None:
    command.add_argument("curation", metavar="CURATION", help="a YAML file, or a folder that holds curation.yaml")


def night(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("--as-of", type=_date, metavar="DATE", help="the logical date (default: today, UTC)")
    command.add_argument("--max-usd", type=_usd, metavar="X", help="stop when models have cost this much")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def nights(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("--from", type=_date, metavar="DATE", required=True, dest="start", help="first logical date")
    command.add_argument("--to", type=_date, metavar="DATE", required=True, dest="end", help="last logical date")
    command.add_argument(
        "--labels", choices=("now", "then"), default="now",
        help="people's labels to see: every one known now, or those known by each date (default: now)",
    )  # fmt: skip
    command.add_argument("--max-usd", type=_usd, metavar="X", help="stop when models have cost this much")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _columns(command: argparse.ArgumentParser) -> None:
    def add(flag: str, metavar: str, help: str, **more: Any) -> None:
        command.add_argument(f"--{flag}", metavar=metavar, help=help, **more)

    command.add_argument("file", metavar="FILE", type=Path, help="csv, jsonl or parquet, plain, .gz or .zst")
    add("item", "C", "column of the item (default: item_id)", default="item_id")
    add("annotator", "C", "column of the annotator (default: annotator_id)", default="annotator_id")
    add("label", "C", "column of the label (default: label)", default="label")
    add("wide", "C,C", "one row per item: these columns, or all others, are an annotator each", nargs="?", const=(), type=_names)  # fmt: skip
    add("count", "C", "column of the number of votes: one row per item and label, no annotators", default="")
    add("time", "C", "column of the time, if there is one: the latest label counts (default: time)", default="time")
    add("annotator-kind", "C", "column of human, llm, function or model, if there is one (default: annotator_kind)", default="annotator_kind")  # fmt: skip
    add("distribution", "C", "column of a machine's probability of each label, if there is one (default: distribution)", default="distribution")  # fmt: skip
    add("kind", "K", "choice, choices, rating or preference (default: choice)", default="choice")
    add("labels", "L,L", "the labels there are, a rating's in their order; others are refused", type=_names)
    add("memory-limit", "SIZE", "spill to disk beyond this, as 4GB (default: most of the memory)")


def measure(command: argparse.ArgumentParser) -> None:
    _columns(command)
    command.add_argument("--metric", metavar="M", help="nominal, ordinal, interval, ratio, masi or jaccard (default: as the kind has it)")  # fmt: skip
    command.add_argument("--slice", metavar="C", default="", help="column to report by")
    command.add_argument("--group", metavar="C", default="", help="column of what belongs together, and is resampled together")  # fmt: skip
    command.add_argument("--seconds", metavar="C", default="seconds", help="column of the seconds a label took, if there is one (default: seconds)")  # fmt: skip
    command.add_argument("--items", metavar="OUT", type=Path, help="also write a table with one row per item")
    command.add_argument("--annotators", metavar="OUT", type=Path, help="also write a scorecard of each annotator")
    command.add_argument("--pairs", metavar="OUT", type=Path, help="also write the agreement of each pair of annotators")  # fmt: skip


def aggregate(command: argparse.ArgumentParser) -> None:
    _columns(command)
    command.add_argument("--method", metavar="M", help=
        "majority, weighted-majority, one-coin, dawid-skene, mace, glad, ordinal, crowdlab or log-pool "
        "(default: dawid-skene; of ratings ordinal, of counts majority)")  # fmt: skip
    command.add_argument("--gold", metavar="C", default="", help="column of an item's label that is known")
    command.add_argument("--start", metavar="FILE", type=Path, help="an earlier result, to go on from")
    command.add_argument("--annotators", metavar="OUT", type=Path, help="also write the quality of each annotator")
    command.add_argument("--errors", metavar="OUT", type=Path, help="also write people's labels that machines contradict")  # fmt: skip
    command.add_argument("-o", "--out", metavar="OUT", required=True, type=Path, help="csv, jsonl or parquet file to write")  # fmt: skip


def certify(command: argparse.ArgumentParser) -> None:
    def add(flag: str, metavar: str, help: str, **more: Any) -> None:
        command.add_argument(f"--{flag}", metavar=metavar, help=help, **more)

    command.add_argument("file", metavar="FILE", type=Path, help="csv, jsonl or parquet, plain, .gz or .zst")
    add("max-error", "A", "largest share of the accepted labels that may be wrong, as 0.05", type=float, required=True)
    add("confidence", "C", "probability with which this is to hold (default: 0.95)", type=float, default=0.95)
    add("total", "N", "items of the batch, if the promise is for it alone; without it, it is for the source", type=int)
    add("slice", "C", "column to certify by: each slice for itself, all of them at once", default="")
    add("item", "C", "column of the item (default: item_id)", default="item_id")
    add("label", "C", "column of the model's label (default: label)", default="label")
    add("score", "C", "column of how sure the model is, 0 to 1 (default: confidence)", default="confidence")
    add("audited", "C", "column of the label people gave, empty where they did not (default: audited_label)", default="audited_label")  # fmt: skip
    add("drawn", "C", "column of whether the item was drawn at random for the audit, if there is one; a drawn item without an answer counts as wrong (default: drawn)", default="drawn")  # fmt: skip
    command.add_argument("-o", "--out", metavar="OUT", type=Path, help="also write each item with its status: accepted or person")  # fmt: skip


def annotate(command: argparse.ArgumentParser) -> None:
    def add(flag: str, metavar: str, help: str, **more: Any) -> None:
        command.add_argument(flag, metavar=metavar, help=help, **more)

    add("file", "FILE", "csv, jsonl or parquet, plain, .gz or .zst", type=Path)
    add("--labels", "L", "the labels, as good,bad,none; or a YAML file: each label and what it means", required=True)
    add("--model", "M", "the model's name at its endpoint; `embedded` is the one inside this process", required=True)
    add("--base-url", "U", "the endpoint (default: OPENAI_BASE_URL, else OpenAI's)")
    command.add_argument("-o", "--out", metavar="OUT", required=True, type=Path, help=
        "csv, jsonl or parquet file to write: each row with label, distribution, entropy_nats, status and reason")  # fmt: skip
    add("--id", "C", "column of the id, which is kept (default: id; none is needed)")
    add("--text", "C", "column of the text (default: text)", default="text")
    add("--context", "C,C", "columns that are shown beside the text", type=_listed, default=())
    add("--guidelines", "G", "file with the guidelines for annotators", type=Path)
    add("--samples", "N", "ask about each text so often (default: 1)", type=int)
    add("--max-usd", "X", "stop when the model has cost this much", type=_usd)
    add("--price", "IN,OUT", "what the model costs, in US dollars for a million tokens", type=_price)
    add("--service-tier", "T", "auto, default, flex or priority")
    add("--api", "A", "chat or responses (default: chat)")
    add("--api-key-env", "E", "environment variable that holds the key (default: OPENAI_API_KEY)")
    add("--concurrency", "N", "calls in flight at once, at most (default: 64)", type=int)
    add("--requests-per-minute", "N", "the endpoint's limit, where it does not tell it", type=int)
    add("--tokens-per-minute", "N", "the endpoint's limit, where it does not tell it", type=int)
    command.add_argument("--reason", action="store_true", help="let the model write down its reason before the label")
    command.add_argument("--stated-confidence", action="store_true", help="let the model state how sure it is")


def queue(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("--format", metavar="F", help="table (csv, jsonl or parquet, by OUT's name), label-studio, argilla, prodigy or doccano (default: table)")  # fmt: skip
    command.add_argument("-o", "--out", metavar="OUT", type=Path, help="file to write (default: print it)")
    command.add_argument("--show-suggestions", action="store_true", help="show the model's label; not while the queue holds audits")  # fmt: skip


def answers(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("file", metavar="FILE", type=Path, help="what people filled in, or what their tool exports")
    command.add_argument("--format", metavar="F", help="table, label-studio, argilla, prodigy or doccano (default: recognised)")  # fmt: skip
    command.add_argument("--annotator", metavar="NAME", help="who gave all of them, whatever the file says")
    command.add_argument("--as-of", type=_date, metavar="DATE", help="the logical date they belong to (default: today, UTC)")  # fmt: skip


def monitor(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("file", metavar="FILE", type=Path, help=
        "new traffic that the model has labelled, as `assay annotate` writes it, or with the columns label and confidence: csv, jsonl or parquet")  # fmt: skip


def verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("release", metavar="RELEASE", help="the folder of a release")
    command.add_argument("--digest", metavar="D", help="sha256 of its manifest, from a place you trust (default: the store's ledger)")  # fmt: skip


def diff(command: argparse.ArgumentParser) -> None:
    command.add_argument("older", metavar="A", help="the folder of a release")
    command.add_argument("newer", metavar="B", help="the folder of a later one")
    command.add_argument("-o", "--out", metavar="OUT", type=Path, help="also write a row for each item that changed: csv, jsonl or parquet")  # fmt: skip


def rollback(command: argparse.ArgumentParser) -> None:
    curation(command)
    command.add_argument("release", metavar="RELEASE", help="the release to return to, as 2026-11-19.1; every later one is withdrawn")  # fmt: skip


def erase(command: argparse.ArgumentParser) -> None:
    curation(command)
    one = command.add_mutually_exclusive_group(required=True)
    one.add_argument("--item", metavar="ID", help="an item, by its id")
    one.add_argument("--document", metavar="ID", help="a document, by its id here or the source's own")
    one.add_argument("--group", metavar="G", help="all documents of a group")
    command.add_argument("--by", metavar="NAME", help="who signs the report (default: the user of this machine)")
    command.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")


def sql(command: argparse.ArgumentParser) -> None:
    command.add_argument("query", metavar="QUERY", help="DuckDB SQL, as \"select status, count(*) from consensus group by 1\"")  # fmt: skip
    command.add_argument(
        "curation", metavar="CURATION", nargs="?", default=".", help="default: the curation in this folder"
    )


def serve(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "curations", metavar="CURATION", nargs="+", help="YAML files, or folders that hold curation.yaml"
    )
    command.add_argument("--port", type=int, default=4200, help="port of the UI on 127.0.0.1 (default: 4200)")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _names(text: str) -> tuple[str, ...]:
    """Return names with commas between them; one that has a comma stands in quotes, as in csv."""
    return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))


def _usd(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no sum of US dollars: a number, 0 or more")
    return amount


def _price(text: str) -> dict[str, float]:
    try:
        asked, answered = map(_usd, text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is no price: two numbers, as 0.15,0.60, none below 0") from None
    return {"input": asked, "output": answered}
