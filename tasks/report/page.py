"""A release's evidence becomes what people read: the report, the data set card and the picture of agreement."""

import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from tasks.report import picture, reliability
from tasks.report.front_matter import front_matter
from tasks.report.picture import Link, Node, Part
from tasks.report.whole import Evidence, whole
from tasks.report.wording import (
    WORDS,
    brief,
    coefficient,
    count,
    md,
    nats,
    observed,
    plural,
    share,
    size,
    span,
    usd,
    words,
)

_PALETTE = 8  # beyond eight hues nobody can tell two apart; the rest share a grey
_STATUS_COLOURS = {"human": "s-human", "accepted": "s-model", "review": "s-review", "unresolved": "s-open"}
# An embedded model is no chat model, and a reader who takes it for one is misled about every label it gave.
EMBEDDED = (
    "all-MiniLM-L6-v2 sentence embeddings in the process, not a chat model: "
    "it scores the text against the label definitions and the examples in the prompt"
)


def report(evidence: dict[str, Any]) -> str:
    """Return report.html: one page that needs nothing from outside, the same bytes for the same evidence."""
    return _environment().get_template("report.html.j2").render(**_view(whole(evidence)))


def card(evidence: dict[str, Any], examples: Iterable[dict[str, str]] = ()) -> str:
    """Return README.md of a release: the data set card, with its YAML front matter.

    `examples` are the few that the curation lets it show: text, context and label.
    """
    view = _view(whole({**evidence, "shown": list(examples)}))
    front = yaml.safe_dump(front_matter(view), sort_keys=False, allow_unicode=True, width=1000)
    body = _environment().get_template("card.md.j2").render(**view)
    return f"---\n{front}---\n\n" + re.sub(r"\n{3,}", "\n\n", body.strip()) + "\n"


def agreement_picture(evidence: dict[str, Any]) -> str:
    """Return agreement and entropy among people as one SVG that stands alone."""
    given = whole(evidence)
    entropy, note = given["entropy"], f"Agreement is among people only. {interval_note(given)}"
    return picture.measures(given["agreement"], entropy["histogram"], entropy["mean_nats"], note)


@cache
def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=templates,
        autoescape=select_autoescape(["html.j2"]),  # in the card, `md` escapes what Markdown would read
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count,
        share=share,
        coefficient=coefficient,
        nats=nats,
        usd=usd,
        size=size,
        words=words,
        span=span,
        observed=observed,
        brief=brief,
        md=md,
        shell=shlex.quote,
    )
    environment.globals.update(picture=picture, reliability=reliability, plural=plural, brief=brief)
    return environment


def _view(given: dict[str, Any]) -> dict[str, Any]:
    colours = _label_colours(given)
    annotators = given["annotations"]["by_annotator"]
    published = sum(given["splits"].values())
    nodes, links = rows_flow(given)
    return {
        **given,
        "published": published,
        "settled": given["consensus"]["human"] + given["consensus"]["accepted"],
        "verdict": verdict(given),
        "people": [annotator for annotator in annotators if annotator["annotator_kind"] == "human"],
        "models": [annotator for annotator in annotators if annotator["annotator_kind"] not in ("human", "function")],
        "nodes": nodes,
        "links": links,
        "flow_words": "Where the rows went: " + ", ".join(f"{node.name} {count(node.count)}" for node in nodes),
        "colours": colours,
        "label_parts": lambda labels: _label_parts(labels, colours),
        "status_parts": _status_parts,
        "checks": [check for suite in given["gate"]["suites"] for check in suite["checks"]],
        "spread": _spread(given),
        "failures": failures(given),
        "intervals_note": interval_note(given),
        "embedded": EMBEDDED,
        "slice_axis": picture.axis(
            one["agreement"][name] for one in given["by_slice"].values() for name in picture.NAMES
        ),
        "normalised": _row_shares,
    }


def _spread(given: Evidence) -> list[dict[str, Any]]:
    """Return the checks that tell what stands in two splits, and how labels and sizes are spread."""
    told = ("leakage", "balance", "slice", "parent")
    return [check for suite in given["gate"]["suites"] if suite["suite"] in told for check in suite["checks"]]


def verdict(given: Evidence) -> str:
    """Return the release in one sentence."""
    passed, published = given["gate"]["passed"], sum(given["splits"].values())
    if passed is None:
        return "The gate has not judged this release."
    if not passed:
        return f"The gate refused this release: {failures(given) or 'it names no check that does not hold'}."
    if not published:
        return "The gate passed, and there is nothing to publish: no label is settled yet."
    return f"{plural(published, 'example')}, {_settled_how(given['consensus'])}; every critical check holds."


def failures(given: Evidence) -> str:
    """Return how many checks do not hold, by severity, in words; nothing where all hold."""
    failed = [
        check["severity"] for suite in given["gate"]["suites"] for check in suite["checks"] if check["success"] is False
    ]
    nouns = {"critical": "critical check", "warning": "warning", "info": "note"}
    counts = {
        noun: sum(nouns.get(severity, "other check") == noun for severity in failed)
        for noun in [*nouns.values(), "other check"]
    }
    said = [plural(number, noun) for noun, number in counts.items() if number]
    return f"{' and '.join(said)} {'does' if len(failed) == 1 else 'do'} not hold" if said else ""


def _settled_how(consensus: Evidence) -> str:
    if not consensus["accepted"]:
        return "each settled by people"
    return (
        "settled by people or accepted from a model under a certificate"
        if consensus["human"]
        else "accepted from a model under a certificate"
    )


def interval_note(given: Evidence) -> str:
    """Return how the intervals of agreement were made, in words."""
    resampled = {"groups": "groups of items that belong together", "items": "items"}.get(given["intervals"])
    return f"Its 95 % intervals resample {resampled}." if resampled else "It has no intervals."


def rows_flow(given: Evidence) -> tuple[list[Node], list[Link]]:
    """Return where every row read went, as blocks and ribbons; rows that no count explains are shown as such."""
    documents, items, consensus = given["documents"], given["items"], given["consensus"]
    merged = max(0, documents["accepted"] - items["total"])
    arrived = [
        Node("kept", 1, "Kept" if merged else "Items", documents["accepted"], "f-keep"),
        Node("duplicate", 1, "Duplicate", documents["duplicate"], "f-lost"),
        Node("quarantined", 1, "Quarantined", documents["quarantined"], "f-bad"),
    ]
    judged = [Node(status, 2, WORDS[status], consensus[status], colour) for status, colour in _STATUS_COLOURS.items()]
    judged.append(Node("merged", 2, "Same item as another", merged, "f-lost"))
    ways = [node for node in judged[:2] if node.count]
    # One way of settling needs no block to join it with the other.
    settled = ways[0] if len(ways) == 1 else Node("settled", 3, "Settled", sum(node.count for node in ways), "s-human")
    split = [
        Node(f"split {name}", 4, brief(words(name), 26), rows, "s-split") for name, rows in given["splits"].items()
    ]
    split += [
        Node(f"excluded {name}", 4, brief(f"Kept out: {words(name)}", 26), rows, "f-lost")
        for name, rows in given["excluded"].items()
    ]
    read = Node("read", 0, "Documents read", documents["read"], "f-keep")
    steps = [_step(read, arrived), _step(arrived[0], judged), _step(settled, split)]
    joined = [Link(node.key, settled.key, node.count) for node in ways if node != settled]
    nodes = [
        node
        for node in [read, *steps[0][0], *steps[1][0], *([settled] if joined else []), *steps[2][0]]
        if node.count > 0
    ]
    shown = {node.key for node in nodes}
    links = [*steps[0][1], *steps[1][1], *joined, *steps[2][1]]
    return nodes, [link for link in links if link.count > 0 and {link.source, link.target} <= shown]


def _step(source: Node, targets: list[Node]) -> tuple[list[Node], list[Link]]:
    lost = max(0, source.count - sum(target.count for target in targets))
    every = [
        *targets,
        Node(
            f"{source.key} lost",
            targets[0].column if targets else source.column + 1,
            "Not accounted for",
            lost,
            "f-bad",
        ),
    ]
    return every, [Link(source.key, target.key, target.count) for target in every]


def _label_colours(given: Evidence) -> dict[str, str]:
    counted = [labels for one in given["slices"].values() for labels in one["labels"]]
    counted += [label for labels in given["split_labels"].values() for label in labels]
    named = list(dict.fromkeys([*given["labels"]["values"], *sorted(set(counted))]))
    hues = _PALETTE if len(named) <= _PALETTE else _PALETTE - 1
    return {label: f"c{index + 1}" if index < hues else "c0" for index, label in enumerate(named)}


def _label_parts(labels: Mapping[str, int], colours: Mapping[str, str]) -> list[Part]:
    order = list(colours)
    known = sorted(labels, key=lambda label: (order.index(label) if label in colours else len(order), label))
    return [Part(label, labels[label], colours.get(label, "c0")) for label in known]


def _status_parts(counts: Mapping[str, int]) -> list[Part]:
    return [Part(WORDS[status], counts[status], colour) for status, colour in _STATUS_COLOURS.items()]


def _row_shares(counts: Iterable[Iterable[int]]) -> list[list[tuple[int, float]]]:
    return [[(number, number / (sum(row) or 1)) for number in row] for row in map(list, counts)]
