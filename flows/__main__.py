"""The `assay` command: its arguments, and nothing else."""

import argparse
import csv
import json
import math
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

from schemas.errors import AssayError


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status of a command: 0 done, 2 wrong request, 3 refused, 4 budget, 5 bad source, 1 our fault."""
    given = _parser().parse_args(arguments)
    try:
        status = given.command(given)
    except AssayError as error:
        return _stop(given, str(error), error.status)
    except KeyboardInterrupt:
        return _stop(given, "interrupted; what was done is kept, and the next run goes on from there", 130)
    except BrokenPipeError:  # `assay … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0


def _stop(given: argparse.Namespace, message: str, status: int) -> int:
    if given.json:
        print(json.dumps({"status": "error", "error": message, "exit": status}))
    print(f"assay {given.name}: {message}", file=sys.stderr)
    return status


class _Mixed(argparse.ArgumentParser):
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay",
        description="Raw text in; a fine-tuning data set you can prove things about out.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, dest="name", parser_class=_Mixed
    )

    def add(name: str, does: str, command: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=does, description=does[0].upper() + does[1:] + ".")
        one.add_argument("--json", action="store_true", help="print one JSON object on stdout; logs go to stderr")
        one.add_argument("--home", metavar="DIR", help="where the store lives (default: ASSAY_HOME, else .assay here)")
        one.set_defaults(command=command)
        return one

    add("init", "write a commented curation with ten sample rows, which runs at once", _init).add_argument(
        "folder", metavar="NAME", help="folder to write it to"
    )
    _curation(add("check", "validate a curation, read a sample of its sources, try its models; write nothing", _check))

    _night(add("run", "run the line once, for one logical date", _run))
    _nights(add("backfill", "run the line for each date of a range that is missing or has changed", _backfill))
    _curation(add("status", "say what the store holds, what the last runs did, what the next would do", _status))
    _measure(add("measure", "agreement and entropy of any table of labels (csv, jsonl, parquet)", _measured))
    _aggregate(add("aggregate", "one consensus label per item of any table of labels", _aggregated))
    _annotate(add("annotate", "label a file of texts with a model (csv, jsonl, parquet)", _annotated))
    _curation(add("releases", "list the published versions of a curation", _releases))
    sql = add("sql", "query the tables of the store and of the latest release, read-only", _sql)
    sql.add_argument("query", metavar="QUERY", help="DuckDB SQL, as \"select status, count(*) from consensus group by 1\"")  # fmt: skip
    sql.add_argument(
        "curation", metavar="CURATION", nargs="?", default=".", help="default: the curation in this folder"
    )
    add("schema", "print the JSON Schema of a curation, for editors to complete", _schema)
    serve = add("serve", "start Prefect's server and a worker, and deploy the curations", _serve)
    serve.add_argument(
        "curations", metavar="CURATION", nargs="+", help="YAML files, or folders that hold curation.yaml"
    )
    serve.add_argument("--port", type=int, default=4200, help="port of the UI on 127.0.0.1 (default: 4200)")
    return parser


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: YYYY-MM-DD") from None


def _curation(command: argparse.ArgumentParser) -> None:
    command.add_argument("curation", metavar="CURATION", help="a YAML file, or a folder that holds curation.yaml")


def _night(command: argparse.ArgumentParser) -> None:
    _curation(command)
    command.add_argument("--as-of", type=_date, metavar="DATE", help="the logical date (default: today, UTC)")
    command.add_argument("--max-usd", type=_usd, metavar="X", help="stop when models have cost this much")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _nights(command: argparse.ArgumentParser) -> None:
    _curation(command)
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


def _measure(command: argparse.ArgumentParser) -> None:
    _columns(command)
    command.add_argument("--metric", metavar="M", help="nominal, ordinal, interval, ratio, masi or jaccard (default: as the kind has it)")  # fmt: skip
    command.add_argument("--slice", metavar="C", default="", help="column to report by")
    command.add_argument("--group", metavar="C", default="", help="column of what belongs together, and is resampled together")  # fmt: skip
    command.add_argument("--seconds", metavar="C", default="seconds", help="column of the seconds a label took, if there is one (default: seconds)")  # fmt: skip
    command.add_argument("--items", metavar="OUT", type=Path, help="also write a table with one row per item")
    command.add_argument("--annotators", metavar="OUT", type=Path, help="also write a scorecard of each annotator")
    command.add_argument("--pairs", metavar="OUT", type=Path, help="also write the agreement of each pair of annotators")  # fmt: skip


def _aggregate(command: argparse.ArgumentParser) -> None:
    _columns(command)
    command.add_argument("--method", metavar="M", help=
        "majority, weighted-majority, one-coin, dawid-skene, mace, glad, ordinal, crowdlab or log-pool "
        "(default: dawid-skene; of ratings ordinal, of counts majority)")  # fmt: skip
    command.add_argument("--gold", metavar="C", default="", help="column of an item's label that is known")
    command.add_argument("--start", metavar="FILE", type=Path, help="an earlier result, to go on from")
    command.add_argument("--annotators", metavar="OUT", type=Path, help="also write the quality of each annotator")
    command.add_argument("--errors", metavar="OUT", type=Path, help="also write people's labels that machines contradict")  # fmt: skip
    command.add_argument("-o", "--out", metavar="OUT", required=True, type=Path, help="csv, jsonl or parquet file to write")  # fmt: skip


def _annotate(command: argparse.ArgumentParser) -> None:
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


def _answer(given: argparse.Namespace, result: Any, story: Callable[[Any], str]) -> None:
    print(json.dumps(result, ensure_ascii=False) if given.json else story(result), flush=True)


def _init(given: argparse.Namespace) -> None:
    from flows.init import init, story

    _answer(given, init(Path(given.folder)), story)


def _check(given: argparse.Namespace) -> int:
    from flows.check import check, story

    found = check(given.curation, given.home)
    _answer(given, found, story)
    return 5 if any(part["refused"] for part in found["sources"] + found["label_tables"]) else 0


def _run(given: argparse.Namespace) -> int:
    if given.dry_run:
        from flows.plan import plan
        from flows.plan import story as plan_story

        return _answer(given, plan(given.curation, given.as_of, given.home), plan_story)
    from flows.run import run, story

    summary, status = run(given.curation, given.as_of, given.home, given.max_usd)
    _answer(given, summary, story)
    return status


def _backfill(given: argparse.Namespace) -> int:
    if given.dry_run:
        from flows.plan import plan_range
        from flows.plan import story as plan_story

        return _answer(given, plan_range(given.curation, given.start, given.end, given.labels, given.home), plan_story)
    from flows.run import backfill_story, backfilled

    summary, status = backfilled(given.curation, given.start, given.end, given.labels, given.max_usd, given.home)
    _answer(given, summary, backfill_story)
    return status


def _status(given: argparse.Namespace) -> None:
    from flows.status import status, story

    _answer(given, status(given.curation, given.home), story)


def _end_cleanly() -> None:
    """Let SIGTERM end the command as an error does, so that what it spilled is removed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _measured(given: argparse.Namespace) -> None:
    _end_cleanly()
    from flows.measure import measure, story

    outs = given.items, given.annotators, given.pairs
    found = measure(
        given.file, _given_columns(given), given.kind, given.metric, given.labels, *outs, given.memory_limit
    )
    _answer(given, found, story)


def _aggregated(given: argparse.Namespace) -> None:
    _end_cleanly()
    from flows.aggregate import aggregate, story

    found = aggregate(
        given.file, given.out, given.method, _given_columns(given), given.kind, given.labels, given.start,
        given.annotators, given.errors, given.memory_limit,
    )  # fmt: skip
    _answer(given, found, story)


def _given_columns(given: argparse.Namespace) -> Any:
    """Return the columns as they were named; those the command has no flag for are not used."""
    from tasks.label_table import Columns

    return Columns(**{field.name: getattr(given, field.name, "") for field in fields(Columns)})


MODEL = (
    "model", "base_url", "samples", "price", "service_tier", "api", "api_key_env", "concurrency",
    "requests_per_minute", "tokens_per_minute", "reason", "stated_confidence",
)  # fmt: skip


def _annotated(given: argparse.Namespace) -> None:
    from flows.label import label, story

    found = label(
        given.file, given.labels, given.out, {key: getattr(given, key) for key in MODEL},
        given.id, given.text, given.context, given.guidelines, given.max_usd, given.home,
    )  # fmt: skip
    _answer(given, found, story)


def _releases(given: argparse.Namespace) -> None:
    from flows.releases import releases, story

    _answer(given, releases(given.curation, given.home), story)


def _sql(given: argparse.Namespace) -> None:
    from flows.sql import sql, story

    _answer(given, sql(given.query, given.curation, given.home), story)


def _schema(given: argparse.Namespace) -> None:
    from schemas.curation import Curation

    _answer(given, Curation.model_json_schema(), lambda schema: json.dumps(schema, indent=2))


def _serve(given: argparse.Namespace) -> int:
    from flows.serve import serve, story

    return serve(given.curations, given.port, given.home, lambda served: _answer(given, served, story))


if __name__ == "__main__":
    sys.exit(main())
