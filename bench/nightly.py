"""Nights: fifty releases over data that grows and labels that come late; nothing may move, and nothing may leak.

Real texts with the labels of real people. What stands in two splits is looked for anew, pair by pair of all texts,
without the line's own table of near-duplicates.
"""

import csv
import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from bench.estimate import DATA
from tasks.store import Store

ROOT = Path(__file__).resolve().parents[1]
NIGHTS, FIRST, ALIKE, LATEST_LABEL = 50, date(2026, 9, 1), 0.85, 10
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
AUTHOR = re.compile(r"\bRT @(\w+)")
ROWS_AT_ONCE = 500  # of the table of shared grams
Pairs = list[tuple[str, str, float]]


class Stream(NamedTuple):
    """Texts with their votes: rows of a source, and [label, …] of each, one a person."""

    name: str
    labels: list[str]
    context: list[str]
    documents: dict[str, dict[str, str]]
    votes: dict[str, list[str]]


class Published(NamedTuple):
    """One release: its name, the split of each item, and its rows' labels by split."""

    name: str
    split: dict[str, str]
    labels: dict[str, Counter]
    leakage: dict[str, str]
    excluded: dict[str, int]


def figures() -> Iterator[str]:
    """Yield what fifty nights of each stream came to."""
    if not DATA.is_dir():
        yield "nights: the public sets are not here"
        return
    for stream in (reviews(), tweets(), reposts()):
        yield from _nights(stream)


def _nights(stream: Stream, nights: int = NIGHTS) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        home, curation = Path(folder) / "home", write_nights(stream, Path(folder) / "curation", nights)
        started = time.monotonic()
        ended = _run(curation, home, nights)
        seconds = time.monotonic() - started
        releases = published(curation / "releases" / stream.name, home / stream.name)
        yield (
            f"{stream.name}: {len(stream.documents):,} texts, {sum(map(len, stream.votes.values())):,} labels up to "
            f"{LATEST_LABEL} nights late, {nights} nights in {seconds:,.0f} s: {ended}"
        )
        yield from _frozen(releases)
        yield from _leaked(releases, Store(home / stream.name))
        yield from _balance(releases)


def _frozen(releases: list[Published]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for release in releases:
        for item, split in release.split.items():
            splits[item].add(split)
    moved = sum(len(seen) > 1 for seen in splits.values())
    yield f"  {len(releases)} releases, {len(splits):,} items: {moved} moved between train, validation and test"


def _leaked(releases: list[Published], store: Store) -> Iterator[str]:
    """Yield how many pairs and groups stand in two splits of any release, by a search of our own over all texts."""
    connection = store.connect()
    known = connection.sql("select item_id, text, split, group_id from item join split using (item_id)").fetchall()
    started = time.monotonic()
    pairs = alike([(item, text) for item, text, _, _ in known])
    seconds = time.monotonic() - started
    split = {item: where for item, _, where, _ in known}
    across = [(one, other) for one, other, _ in pairs if split[one] != split[other]]
    in_two = [sum(_apart(release.split, one, other) for one, other, _ in pairs) for release in releases]
    yield (
        f"  {len(known) * (len(known) - 1) // 2:,} pairs of texts compared in {seconds:,.0f} s: {len(pairs):,} are {ALIKE} alike or more "
        f"(the line's own table has {connection.table('neighbour').shape[0]:,}), "
        f"{len(across):,} of them across splits; {max(in_two)} of these in any release"
    )
    groups = connection.sql("select distinct group_id, item_id from document where group_id is not null").fetchall()
    members: dict[str, list[str]] = defaultdict(list)
    for group, item in groups:
        members[group].append(item)
    divided = [
        sum(len({release.split[item] for item in items if item in release.split}) > 1 for items in members.values())
        for release in releases
    ]
    several = sum(len(items) > 1 for items in members.values())
    yield f"  {several:,} groups of several items: {max(divided)} in two splits of any release"
    last = releases[-1]
    yield f"  kept out of the last release: {last.excluded or 'none'}; the gate's own measures of it: {last.leakage}"


def _balance(releases: list[Published]) -> Iterator[str]:
    """Yield how far labels and sizes of the splits are off, in the first and the last release and at worst."""
    drifts = [_drift(release.labels) for release in releases]
    sizes = [_off(release.labels) for release in releases]
    yield (
        f"  largest difference of a label's share between a split and the whole: first {drifts[0]:.3f}, last "
        f"{drifts[-1]:.3f}, at worst {max(drifts):.3f}"
    )
    counts = {split: labels.total() for split, labels in releases[-1].labels.items()}
    yield f"  sizes {counts}: off {SHARES} by {sizes[-1]:.3f} at most (first {sizes[0]:.3f}, at worst {max(sizes):.3f})"


def _drift(labels: dict[str, Counter]) -> float:
    whole = sum(labels.values(), Counter())
    return max(
        abs(part[label] / part.total() - whole[label] / whole.total())
        for part in labels.values()
        for label in whole
        if part
    )


def _off(labels: dict[str, Counter]) -> float:
    total = sum(part.total() for part in labels.values())
    return max(abs(labels[split].total() / total - share) for split, share in SHARES.items())


def _apart(split: dict[str, str], one: str, other: str) -> bool:
    return one in split and other in split and split[one] != split[other]


def alike(texts: list[tuple[str, str]], least: float = ALIKE) -> Pairs:
    """Return every pair of texts with a Jaccard similarity of character 5-grams of `least` or more, all compared."""
    grams = [_grams(text) for _, text in texts]
    places = {gram: place for place, gram in enumerate(dict.fromkeys(gram for one in grams for gram in one))}
    sizes = np.array([len(one) for one in grams])
    ends = np.concatenate([[0], np.cumsum(sizes)])
    columns = np.fromiter((places[gram] for one in grams for gram in one), dtype=np.int64, count=ends[-1])
    has = csr_matrix((np.ones(ends[-1], dtype=np.int32), columns, ends), shape=(len(texts), len(places)))
    turned, found = has.T.tocsr(), []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        shared = (has[start : start + ROWS_AT_ONCE] @ turned).tocoo()
        one, other = shared.row + start, shared.col
        similarity = shared.data / (sizes[one] + sizes[other] - shared.data)
        for place in np.flatnonzero((one < other) & (similarity >= least)):
            found.append((texts[one[place]][0], texts[other[place]][0], float(similarity[place])))
    return found


def _grams(text: str) -> set[str]:
    """Return a text's character 5-grams, letters and digits alone, whatever their case; of a short text the whole."""
    lower = text.lower()
    is_word = [unicodedata.category(letter)[0] in "LNM" for letter in lower]
    if any(unicodedata.category(letter)[0] in "LN" for letter in lower):
        lower = re.sub(r"\0+", " ", "".join(one if kept else "\0" for one, kept in zip(lower, is_word, strict=True)))
    return {lower[at : at + 5] for at in range(len(lower) - 4)} or {lower}


def in_nights(nights: int) -> list[date]:
    """Return the dates of so many nights."""
    return [FIRST + timedelta(days=night) for night in range(nights)]


def _run(curation: Path, home: Path, nights: int) -> dict[str, int]:
    """Return how many nights ended how: the line as it is, one night after the other."""
    first, *_, last = in_nights(nights)
    command = [sys.executable, "-m", "flows", "backfill", str(curation), "--from", str(first), "--to", str(last)]
    done = subprocess.run(
        [*command, "--labels", "then", "--home", str(home), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return dict(Counter(one["status"] for one in json.loads(done.stdout)["dates"]))


def published(folder: Path, store: Path) -> list[Published]:
    """Return the releases of a folder, the first one first."""
    names = sorted(place.parent.name for place in folder.glob("*/manifest.json"))
    return [_release(folder / name, store) for name in names]


def _release(folder: Path, store: Path) -> Published:
    content = json.loads((folder / "manifest.json").read_text())["content_id"]
    suites = json.loads((folder / "checks.json").read_text())["suites"]
    leakage = next(suite["checks"] for suite in suites if suite["suite"] == "leakage")
    rows = {
        name: pq.read_table(folder / "data" / f"{name}.parquet", columns=["item_id", "label"]).to_pydict()
        for name in SHARES
    }
    return Published(
        folder.name,
        {item: name for name, part in rows.items() for item in part["item_id"]},
        {name: Counter(part["label"]) for name, part in rows.items()},
        {check["what"]: check["observed"] for check in leakage if check["severity"] == "critical"},
        json.loads((store / "evidence" / f"{content}.json").read_text())["excluded"],
    )


def write_nights(stream: Stream, folder: Path, nights: int) -> Path:
    """Return a curation that gets a part of the stream each night, and each label on that night or a later one."""
    for name in ("data", "labels"):
        (folder / name).mkdir(parents=True)
    documents, votes = defaultdict(list), defaultdict(list)
    for document in stream.documents:
        night = int(_chance(document) * nights)
        documents[night].append({"id": document, **stream.documents[document]})
        for place, label in enumerate(stream.votes[document]):
            late = int(LATEST_LABEL * max(0.0, 2 * _chance(f"{document} {place}") - 1))  # half of them on the night
            votes[night + late].append([document, f"voter {place + 1}", label])
    for night, day in enumerate(in_nights(nights)):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in documents[night])
        (folder / "data" / f"{day}.jsonl").write_text("".join(lines), encoding="utf-8")
        with (folder / "labels" / f"{day}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["item", "who", "label"], *votes[night]])
    (folder / "curation.yaml").write_text(json.dumps(_curation(stream)), encoding="utf-8")
    return folder


def _curation(stream: Stream) -> dict[str, Any]:
    fields = {"id": "id", "text": "text", "group": "group", "context": stream.context}
    return {
        "name": stream.name,
        "labels": {"kind": "choice", "values": {label: f"It is {label}." for label in stream.labels}},
        "sources": [{"path": "data/{as_of}.jsonl", "fields": fields}],
        "clean": {"near_duplicates": ALIKE},
        "annotators": [{"name": "crowd", "kind": "human", "path": "labels/{as_of}.csv",
                        "fields": {"item": "item", "annotator": "who", "label": "label"}}],
        "consensus": {"method": "majority", "min_labels": 2, "min_posterior": 0.6},
        "splits": {**SHARES, "by": "group", "key": f"{stream.name}-v1"},
        "gates": {"max_shrink_share": 1.0},
    }  # fmt: skip


def _chance(name: str) -> float:
    """Return a number from 0 to 1 that the name decides."""
    return int.from_bytes(sha256(name.encode()).digest()[:6]) / 2**48


def tweets() -> Stream:
    """Return tweets with the votes on them; a group is whom they retweet, and many retweet the same."""
    folder = DATA / "davidson_counts"
    documents = {row["item_id"]: {"text": row["text"]} for row in _lines(folder / "items.jsonl.gz")}
    for row in documents.values():
        if author := AUTHOR.search(row["text"]):
            row["group"] = author[1].lower()
    votes = {
        row["item_id"]: [label for label, count in row["counts"].items() for _ in range(count)]
        for row in _lines(folder / "label_counts.jsonl")
    }
    return Stream("tweets", sorted({label for some in votes.values() for label in some}), [], documents, votes)


def reposts(tweets_kept: int = 2_000, every: int = 10) -> Stream:
    """Return tweets of groups of several, each tenth of them posted once more, changed a little, by another group."""
    whole = tweets()
    grouped = [name for name, row in whole.documents.items() if "group" in row][:tweets_kept]
    documents, votes = {name: whole.documents[name] for name in grouped}, {name: whole.votes[name] for name in grouped}
    for place, name in enumerate(grouped[::every]):
        row = whole.documents[name]
        other = whole.documents[grouped[-1 - place]]["group"]
        documents[f"{name}-again"] = {"text": f"{row['text']} !!", "group": other}
        votes[f"{name}-again"] = whole.votes[name]
    return Stream("reposts", whole.labels, [], documents, votes)


def reviews() -> Stream:
    """Return reviews by aspect; a group is a review with its rewrites, most of them near-duplicates."""
    folder = DATA / "alttest_cebab_aspects"
    documents = {
        row["item_id"]: {"text": row["text"], "aspect": row["meta"]["aspect"], "group": row["meta"]["group_id"]}
        for row in _lines(folder / "items.jsonl")
    }
    votes: dict[str, list[str]] = {document: [] for document in documents}
    for row in _lines(folder / "annotations.jsonl"):
        if row["annotator_kind"] == "human":
            votes[row["item_id"]].append(row["label"])
    return Stream("reviews", sorted({label for some in votes.values() for label in some}), ["aspect"], documents, votes)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
