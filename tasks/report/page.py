"""A release's evidence becomes what people read: the report, the data set card and the picture of agreement."""

import math
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from tasks.report import picture
from tasks.report.picture import Link, Node, Part

Evidence = Mapping[str, Any]


class Each(NamedTuple):
    """In the shape of the evidence: any number of values of one shape, in a list or by name."""

    shape: Any
    is_list: bool = False


_ESTIMATE = {"value": None, "low": None, "high": None, "reason": None}
_AGREEMENT = dict.fromkeys(picture.NAMES, _ESTIMATE)
_SPEND = {"usd": None, "calls": None, "prompt_tokens": None, "completion_tokens": None}
_STATUSES = {"human": 0, "accepted": 0, "review": 0, "unresolved": 0}
_ANNOTATOR = {
    "annotator_id": "",
    "annotator_kind": "",
    "model": None,
    "prompt": None,
    "version": None,
    "annotations": 0,
    "items": 0,
    "agreement_with_others": None,
    "accuracy": {**_ESTIMATE, "n": None},
    "mean_entropy_nats": None,
    "labels": Each(0),
    "abstained": None,
    **_SPEND,
}
_CHECK = {"expectation": "", "what": None, "severity": "", "success": None, "observed": None, "expected": None}
_SHAPE = {
    "curation": "",
    "release": "",
    "parent": None,
    "as_of": "",
    "content_id": None,
    "description": None,
    "license": None,
    "language": Each("", is_list=True),
    "attribution": None,
    "labels": {"kind": None, "values": Each(None)},
    "documents": {"read": 0, "accepted": 0, "duplicate": 0, "quarantined": 0, "reasons": Each(0)},
    "items": {"total": 0, "groups": None, "near_duplicates": None, "bridges_splits": None},
    "annotations": {"total": 0, "people": 0, "models": 0, "waiting": 0, "by_annotator": Each(_ANNOTATOR, is_list=True)},
    "agreement": _AGREEMENT,
    "intervals": None,
    "entropy": {
        "mean_nats": None,
        "mean_jeffreys_nats": None,
        "prior": None,
        "unanimous_share": None,
        "histogram": Each({"low": 0.0, "high": 0.0, "items": 0}, is_list=True),
    },
    "by_slice": Each({"items": 0, "annotations": 0, "agreement": _AGREEMENT, "entropy": {"mean_nats": None}}),
    "consensus": {**_STATUSES, "reasons": Each(0)},
    "slices": Each({"items": 0, **_STATUSES, "labels": Each(0)}),
    "confusion": Each({"labels": Each("", is_list=True), "counts": Each(Each(0, is_list=True), is_list=True)}),
    "splits": Each(0),
    "split_labels": Each(Each(0)),
    "excluded": Each(0),
    "certificate": {"statement": None, "reason": None},
    "gate": {"passed": None, "suites": Each({"suite": "", "checks": Each(_CHECK, is_list=True)}, is_list=True)},
    "cost": _SPEND,
    "versions": {"assay": None, "guideline": None, "annotators": Each(None), "prompts": Each(None)},
    "files": Each({"path": "", "rows": None, "sha256": None, "bytes": None}, is_list=True),
}
"""Every figure a page can show, with what stands where the evidence has none."""

# Words for the reasons and names that the line gives; anything else is shown as it is.
WORDS = {
    "bad_json": "not valid JSON",
    "bad_encoding": "not valid UTF-8",
    "empty_text": "empty text",
    "too_short": "too short",
    "too_long": "too long",
    "wrong_language": "another language",
    "missing_field": "a field is missing",
    "tie": "a tie",
    "too_few_labels": "too few labels",
    "no_labels": "no labels",
    "low_posterior": "people disagree",
    "bridges_splits": "near two splits",
    "train": "Train",
    "validation": "Validation",
    "test": "Test",
    "human": "Settled by people",
    "accepted": "Accepted from a model",
    "review": "In review",
    "unresolved": "Unresolved",
}
_PALETTE = 8  # beyond eight hues nobody can tell two apart; the rest share a grey
_STATUS_COLOURS = {"human": "s-human", "accepted": "s-model", "review": "s-review", "unresolved": "s-open"}
_LICENSES = {
    "apache-2.0",
    "mit",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-3.0",
    "cc-by-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "odc-by",
    "odbl",
    "pddl",
    "bsd-3-clause",
    "gpl-3.0",
    "cdla-permissive-2.0",
    "unknown",
    "other",
}
# An embedded model is no chat model, and a reader who takes it for one is misled about every label it gave.
EMBEDDED = (
    "all-MiniLM-L6-v2 sentence embeddings in the process, not a chat model: "
    "it scores the text against the label definitions and the examples in the prompt"
)


def report(evidence: dict[str, Any]) -> str:
    """Return report.html: one page that needs nothing from outside, the same bytes for the same evidence."""
    return _environment().get_template("report.html.j2").render(**_view(whole(evidence)))


def card(evidence: dict[str, Any]) -> str:
    """Return README.md of a release: the data set card, with its YAML front matter."""
    view = _view(whole(evidence))
    front = yaml.safe_dump(front_matter(view), sort_keys=False, allow_unicode=True, width=1000)
    body = _environment().get_template("card.md.j2").render(**view)
    return f"---\n{front}---\n\n" + re.sub(r"\n{3,}", "\n\n", body.strip()) + "\n"


def agreement_picture(evidence: dict[str, Any]) -> str:
    """Return agreement and entropy among people as one SVG that stands alone."""
    given = whole(evidence)
    entropy, note = given["entropy"], f"Agreement is among people only. {interval_note(given)}"
    return picture.measures(given["agreement"], entropy["histogram"], entropy["mean_nats"], note)


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
    environment.globals.update(picture=picture, plural=plural)
    return environment


# The evidence, whole


def whole(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence with every figure a page can show, null where it is undefined, and its text fit to print."""
    return _filled(evidence, _SHAPE)


def _filled(given: Any, shape: Any) -> Any:
    if isinstance(shape, Each):
        return _each(given, shape)
    if not isinstance(shape, Mapping):
        return shape if given is None else printable(given)
    named = given if isinstance(given, Mapping) else {}
    more = {name: printable(value) for name, value in named.items() if name not in shape}
    return {**{name: _filled(named.get(name), inner) for name, inner in shape.items()}, **more}


def _each(given: Any, shape: Each) -> Any:
    if shape.is_list:
        return [_filled(value, shape.shape) for value in given or []]
    return {
        printable("" if name is None else str(name)): _filled(value, shape.shape)
        for name, value in (given or {}).items()
    }


def printable(value: Any) -> Any:
    """Return a value with nothing in its text that a page cannot show, or that would turn the text around it."""
    if isinstance(value, str):
        return " ".join("".join(map(_printable_character, value)).split())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {printable(str(name)): printable(inner) for name, inner in value.items()}
    return [printable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _printable_character(character: str) -> str:
    kind = unicodedata.category(character)
    # Cf holds the controls of writing direction; the joiners that scripts and emoji need are kept.
    if kind == "Cf" and character not in "\u200c\u200d":
        return ""
    return " " if kind == "Cc" else "\ufffd" if kind == "Cs" else character


# Figures in words


def count(number: float | None) -> str:
    """Return a count with thousands separators; a dash where there is none."""
    return "–" if number is None else f"{number:,.0f}"


def share(number: float | None) -> str:
    """Return a share as a percentage in tenths, never rounded up to all or down to none."""
    if number is None:
        return "–"
    text = f"{100 * number:.1f}"
    rounded_away = {"100.0": "> 99.9" if number < 1 else "100", "0.0": "< 0.1" if number > 0 else "0"}
    return f"{rounded_away.get(text, text)} %"


def coefficient(number: float | None) -> str:
    """Return a coefficient in three digits, with a minus sign that is one."""
    return "undefined" if number is None else f"{number:.3f}".replace("-", "−")


def span(estimate: Evidence) -> str:
    """Return the interval of an estimate; nothing where it has none."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return ""
    return f"{coefficient(low)} to {coefficient(high)}" if low < 0 else f"{low:.3f}–{high:.3f}"


def nats(number: float | None) -> str:
    """Return an entropy in nats."""
    return "–" if number is None else f"{number:.3f} nats"


def usd(number: float | None) -> str:
    """Return US dollars: cents, or three digits of less than a cent."""
    if number is None:
        return "not known"
    return f"${number:,.2f}" if number == 0 or number >= 0.01 else f"${number:.3g}"


def size(number: float | None) -> str:
    """Return a number of bytes in the unit that keeps it short."""
    if number is None:
        return "–"
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return f"{number:.0f} bytes"


def words(name: str) -> str:
    """Return the words for a reason or a status that the line gives; another name as it is."""
    return WORDS.get(name, name)


def brief(text: str, longest: int = 64) -> str:
    """Return a name that is no longer than its place."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plural(number: float | None, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def observed(value: Any) -> str:
    """Return what a check saw, short enough to stand in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    text = f"{value:.4g}".replace("-", "−") if isinstance(value, float) else _listed(value)
    return brief(text, 160)


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {observed(inner)}" for name, inner in value.items())
    return ", ".join(map(observed, value)) if isinstance(value, list) else str(value)


def md(value: Any) -> str:
    """Return text that Markdown prints as it is: every character it could read as markup becomes a reference."""
    text = re.sub(r":(?=\S)|[!\"#$&*<>@\[\\\]^`{|}~]|(?<![^\W_])_|_(?![^\W_])", _reference, str(value))
    text = re.sub(r"(?i)\bwww\.", "www&#46;", text)  # the one link that needs no colon
    return re.sub(r"^([-+=]|\d+[.)](?=\s|$))", lambda start: start[0][:-1] + f"&#{ord(start[0][-1])};", text)


def _reference(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


# What the page says


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
        "models": [annotator for annotator in annotators if annotator["annotator_kind"] != "human"],
        "nodes": nodes,
        "links": links,
        "flow_words": "Where the rows went: " + ", ".join(f"{node.name} {count(node.count)}" for node in nodes),
        "colours": colours,
        "label_parts": lambda labels: _label_parts(labels, colours),
        "status_parts": _status_parts,
        "checks": [check for suite in given["gate"]["suites"] for check in suite["checks"]],
        "failures": failures(given),
        "intervals_note": interval_note(given),
        "embedded": EMBEDDED,
        "slice_axis": picture.axis(
            one["agreement"][name] for one in given["by_slice"].values() for name in picture.NAMES
        ),
        "normalised": _row_shares,
    }


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


# The card's front matter


def front_matter(view: Evidence) -> dict[str, Any]:
    """Return what a hub reads of a card: licence, languages, size, and where the splits are."""
    pretty = view["curation"].replace("-", " ").capitalize()
    fields = {
        "pretty_name": pretty or None,
        **_license(view["license"]),
        "language": [code for code in view["language"] if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", code)],
        "annotations_creators": _creators(view),
        "task_categories": ["text-classification"],
        "size_categories": [size_category(view["published"])],
        "tags": ["assay", "inter-annotator-agreement", "data-curation"],
        "configs": _configs(view),
    }
    return {name: value for name, value in fields.items() if value}


def _license(name: str | None) -> dict[str, str]:
    if not name:
        return {}
    known = name.lower()
    return {"license": known} if known in _LICENSES else {"license": "other", "license_name": name}


def _creators(view: Evidence) -> list[str]:
    # What was published decides: a model whose labels nobody accepted made none of them.
    made = {"crowdsourced": view["consensus"]["human"], "machine-generated": view["consensus"]["accepted"]}
    return [creator for creator, labels in made.items() if labels] or ["no-annotation"]


def _configs(view: Evidence) -> list[dict[str, Any]]:
    names = {
        file["path"].removesuffix(".jsonl"): file["path"] for file in view["files"] if file["path"].endswith(".jsonl")
    }
    # Readers of JSON lines fail on a file without a line, and one such split would make the others unreadable.
    found = [
        {"split": split, "path": names[split]} for split, rows in view["splits"].items() if rows and split in names
    ]
    return [{"config_name": "default", "data_files": found}] if found else []


def size_category(rows: int) -> str:
    """Return the hub's name for a number of examples."""
    steps = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    above = [index for index in range(len(steps)) if rows >= 1000 * 10**index]
    if not above:
        return "n<1K"
    return "n>1T" if above[-1] == len(steps) - 1 else f"{steps[above[-1]]}<n<{steps[above[-1] + 1]}"
