"""Staging: examples become the files of a release, in one pass and in the memory of a batch."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from hashlib import file_digest
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.run import Run
from tasks import draft
from tasks.annotator.version import guidelines
from tasks.release import disk
from tasks.release.manifest import as_json
from tasks.release.shapes import FORMATS, SPLITS, TableFile, asking, evals, llama_factory, places, rounded

_ROWS = 8_192
_COLUMNS = ["item_id", "text", "context", "label", "posterior"]  # what shapes look at


def write_examples(run: Run, staged: Path) -> dict[str, int]:
    """Return the number of examples by split, each written in every format and into the table, by item id."""
    counts = dict.fromkeys(SPLITS, 0)
    with ExitStack() as files:
        writers = {split: _writer(run, staged, split, files) for split in SPLITS}
        for batch in draft.batches(run, "example", _ROWS):
            rows = rounded(batch)
            for split, write in writers.items():
                chosen = rows.filter(pc.equal(rows["split"], split))
                counts[split] += len(chosen)
                write(chosen)
    describe_files(run.curation.name, list(run.curation.release.formats), staged, counts)
    return counts


def _writer(run: Run, staged: Path, split: str, files: ExitStack) -> Callable[[pa.Table], None]:
    """Return what writes rows of a split into its table and, in every format, as JSON lines."""
    table = files.enter_context(
        closing(TableFile(files.enter_context(disk.writing(staged / "data" / f"{split}.parquet"))))
    )
    formats = places(run.curation.name, run.curation.release.formats)
    lines = {
        name: files.enter_context(disk.writing(staged / paths[split]))
        for name, paths in formats.items()
        if split in paths
    }
    asked = asking(run.curation, guidelines(run.curation.labels, run.folder))

    def write(rows: pa.Table) -> None:
        table.write(rows)
        questions = [asked(row) for row in rows.select(_COLUMNS).to_pylist()]
        for name, file in lines.items():
            shaped = FORMATS[name].shaped
            file.writelines(
                orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for one in questions for row in shaped(one)
            )

    return write


def describe_files(name: str, formats: list[str], staged: Path, counts: dict[str, int]) -> None:
    """Write what tells a trainer how to read the files."""
    disk.write(staged / "dataset_info.json", as_json(llama_factory(name, formats, counts)))
    if "evals" in formats:
        samples = places(name, formats)["evals"]["test"]
        with (staged / samples).open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        disk.write(staged / "evals" / f"{name}.yaml", evals.registry(name, samples, digest))


def rows_by_file(curation: str, formats: list[str], splits: dict[str, int]) -> dict[str, int]:
    """Return how many rows each file of a release holds, by its path."""
    lines = {
        path: splits[split] * FORMATS[name].rows
        for name, files in places(curation, formats).items()
        for split, path in files.items()
    }
    return lines | {f"data/{split}.parquet": splits[split] for split in SPLITS}


def arrow_bytes(staged: Path) -> dict[str, int]:
    """Return what each split's table takes in memory, in bytes of Arrow, as the hub counts it."""
    return {split: _bytes(staged / "data" / f"{split}.parquet") for split in SPLITS}


def _bytes(place: Path) -> int:
    with pq.ParquetFile(place) as file:
        return sum(batch.nbytes for batch in file.iter_batches(_ROWS))


def first_examples(staged: Path, number: int) -> list[dict[str, str]]:
    """Return text, context and label of the first training examples: as ids are hashes, they are any."""
    if not number:
        return []
    train = pq.ParquetFile(staged / "data" / "train.parquet")
    first = next(train.iter_batches(number, columns=["text", "context", "label"]), None)
    return first.to_pylist() if first else []
