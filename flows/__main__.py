"""The `assay` command: its arguments, and nothing else."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from flows import arguments
from schemas.errors import AssayError


def main(words: list[str] | None = None) -> int:
    """Return the exit status of a command: 0 done, 2 wrong request, 3 refused, 4 budget, 5 bad source, 1 our fault."""
    given = _parser().parse_args(words)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay",
        description="Raw text in; a fine-tuning data set you can prove things about out.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, dest="name", parser_class=arguments.Mixed
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
    arguments.curation(
        add("check", "validate a curation, read a sample of its sources, try its models; write nothing", _check)
    )

    arguments.night(add("run", "run the line once, for one logical date", _run))
    arguments.nights(add("backfill", "run the line for each date of a range that is missing or has changed", _backfill))
    arguments.curation(
        add("status", "say what the store holds, what the last runs did, what the next would do", _status)
    )
    arguments.measure(add("measure", "agreement and entropy of any table of labels (csv, jsonl, parquet)", _measured))
    arguments.aggregate(add("aggregate", "one consensus label per item of any table of labels", _aggregated))
    arguments.certify(add("certify", "which of a model's labels need no person, proven by an audit", _certified))
    arguments.annotate(add("annotate", "label a file of texts with a model (csv, jsonl, parquet)", _annotated))
    arguments.queue(add("queue", "hand the review queue out to people, in the format of their annotation tool", _queue))
    arguments.answers(add("import", "take in labels that people made", _import))
    arguments.monitor(add("monitor", "estimate a model's accuracy on new traffic, and say what has shifted", _monitor))
    arguments.curation(add("releases", "list the published versions of a curation", _releases))
    arguments.verify(
        add("verify", "prove that a release is what was published: every hash, count and promise", _verify)
    )
    arguments.diff(add("diff", "say row by row what changed from one release to another", _diff))
    arguments.rollback(add("rollback", "make an earlier release the current one again, for good", _rollback))
    arguments.erase(add("erase", "remove a text from everything that is kept, releases too, with a report", _erase))
    arguments.sql(add("sql", "query the tables of the store and of the latest release, read-only", _sql))
    add("schema", "print the JSON Schema of a curation, for editors to complete", _schema)
    arguments.serve(add("serve", "start Prefect's server and a worker, and deploy the curations", _serve))
    return parser


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


def _certified(given: argparse.Namespace) -> None:
    _end_cleanly()
    from flows.certify import certify, story
    from tasks.audit_table import AuditColumns

    columns = AuditColumns(**{field.name: getattr(given, field.name) for field in fields(AuditColumns)})
    _answer(given, certify(given.file, given.max_error, given.confidence, columns, given.total, given.out), story)


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


def _queue(given: argparse.Namespace) -> None:
    from flows.handout import queue, story

    found = queue(given.curation, given.format, given.out, given.show_suggestions, given.json, given.home)
    if given.out or given.json:
        _answer(given, found, story)
    else:
        print(story(found), file=sys.stderr)  # stdout has the queue itself


def _import(given: argparse.Namespace) -> None:
    from flows.answers import answers, story

    found = answers(given.curation, given.file, given.format, given.annotator, given.as_of, given.home)
    _answer(given, found, story)


def _monitor(given: argparse.Namespace) -> None:
    from flows.monitor import observed, story

    _answer(given, observed(given.curation, given.file, given.home), story)


def _releases(given: argparse.Namespace) -> None:
    from flows.releases import releases, story

    _answer(given, releases(given.curation, given.home), story)


def _verify(given: argparse.Namespace) -> int:
    from flows.verify import story, verify

    found = verify(given.release, given.digest, given.home)
    _answer(given, found, story)
    return 0 if found["verified"] else 3


def _diff(given: argparse.Namespace) -> None:
    from flows.diff import diff, story

    _answer(given, diff(given.older, given.newer, given.out), story)


def _rollback(given: argparse.Namespace) -> None:
    from flows.rollback import rollback, story

    _answer(given, rollback(given.curation, given.release, given.home), story)


def _erase(given: argparse.Namespace) -> int:
    from flows.erase import erase, is_done, story

    found = erase(given.curation, given.item, given.document, given.group, given.by, given.dry_run, given.home)
    _answer(given, found, story)
    return 0 if given.dry_run or is_done(found) else 1


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
