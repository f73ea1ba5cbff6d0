"""A new curation is written: commented, with ten sample rows and two people's labels, so that it runs at once."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from schemas.curation.reading import FILE
from schemas.errors import RequestError

_TEMPLATE = """\
# A curation: all that `assay run` is told. `assay schema` prints every key; `assay check .` reads this file.
name: {name}                     # names the store's folder and the release's folder

labels:
  kind: choice                   # exactly one label an item
  values:                        # each label and what it means: annotators are shown these sentences
    bug: Something does not work as it should.
    question: The writer wants to know how to do something.
    praise: The writer is happy with the product.

sources:                         # where documents come from; .gz and .zst are read too
  - path: data/messages-*.jsonl  # {{as_of}} in a name stands for the night a file belongs to: messages-{{as_of}}.jsonl
    fields: {{id: id, text: text}} # only text is required; also context, group, slice, time

annotators:
  - {{name: zero-shot, kind: llm, model: embedded, prompt: zero_shot}}   # a small model inside the process: no key, no network
  # - {{name: gpt, kind: llm, model: gpt-4.1-mini, prompt: zero_shot}}   # a hosted one: OPENAI_API_KEY from the environment
  - {{name: people, kind: human, path: labels/*.csv}}                    # columns item_id, annotator_id, label

consensus: {{method: majority, min_labels: 2, min_posterior: 0.9}}       # when people's labels settle an item
review: {{budget: 5}}              # items a person will look at before the next run
splits: {{train: 0.8, validation: 0.1, test: 0.1, by: item, key: {name}-v1}}
gates: {{max_unresolved_share: 0.5}} # what must hold before anything is published: min_alpha, min_examples, …
release: {{path: releases}}
"""

_ROWS = [
    ("The export button does nothing when I click it.", "bug", "bug"),
    ("How do I change the language of the menu?", "question", "question"),
    ("Love the new dashboard, it saves me an hour a day!", "praise", "praise"),
    ("The app crashes whenever I open a large file.", "bug", "bug"),
    ("Can I share a report with somebody outside my team?", "question", "question"),
    ("Best support I have ever had, thank you.", "praise", "praise"),
    ("Since the update my totals are wrong.", "bug", "bug"),
    ("Is there a way to undo an import?", "question", "bug"),
    ("Works exactly as promised.", "praise", None),
    ("Login fails with an empty error message.", None, None),
]


def init(folder: Path) -> dict[str, Any]:
    """Return the files written to a new folder; raise RequestError where one of them is there already."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name):
        raise RequestError(f"{folder.name!r} makes no name: letters, digits and dashes expected, a letter first")
    files = {FILE: _TEMPLATE.format(name=name), "data/messages-1.jsonl": _messages(), "labels/labels-1.csv": _labels()}
    if there := [path for path in files if (folder / path).exists()]:
        raise RequestError(f"{folder / there[0]} is there already; nothing was written")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return {"folder": str(folder), "files": list(files)}


def story(result: dict[str, Any]) -> str:
    """Return what to do next."""
    files = "\n".join(f"  {result['folder']}/{path}" for path in result["files"])
    return f"wrote\n{files}\nnext:\n  assay check {result['folder']}\n  assay run {result['folder']}"


def _messages() -> str:
    return "".join(json.dumps({"id": f"m{n}", "text": text}) + "\n" for n, (text, *_) in enumerate(_ROWS, 1))


def _labels() -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("item_id", "annotator_id", "label"))
    for n, (_, *labels) in enumerate(_ROWS, 1):
        table.writerows((f"m{n}", who, label) for who, label in zip(("ada", "ben"), labels, strict=True) if label)
    return out.getvalue()
