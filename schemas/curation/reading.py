"""A curation is read: its file found, its YAML checked, and every error told with its line."""

import difflib
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from schemas.curation.model import Curation
from schemas.errors import RequestError

MAX_BYTES = 1_000_000
FILE = "curation.yaml"

# Keys of the contract whose stage is not there yet: refused by name, never ignored.
NOT_YET = {
    ("accept",): "certified acceptance",
    ("budget",): "the budget",
    ("clean", "languages"): "language filtering",
    ("clean", "contamination"): "contamination checks",
    ("annotators", "*", "samples"): "sampling a model several times",
    ("annotators", "*", "function"): "labelling functions",
}


def find(curation: str | Path) -> Path:
    """Return the curation's YAML file, given that file or its folder; raise RequestError where there is none."""
    path = Path(curation)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise RequestError(f"no curation at {file}: name a YAML file, or a folder that holds {FILE}")
    return file.resolve()


def load(file: Path) -> Curation:
    """Return the curation in a YAML file; raise RequestError with the line, what was expected and the nearest key."""
    if file.stat().st_size > MAX_BYTES:
        raise RequestError(f"{file.name}: larger than {MAX_BYTES:,} bytes")
    try:
        node = _compose(file)
        values = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise RequestError(f"{file.name}: {_yaml_error(error)}") from None
    if not isinstance(node, yaml.MappingNode):
        raise RequestError(f"{file.name}, line 1: a curation is a mapping of keys to values")
    if faults := [*_repeated_keys(node), *_not_yet(node)]:
        raise RequestError("\n".join(f"{file.name}, line {line}: {fault}" for line, fault in faults))
    try:
        return Curation.model_validate(values)
    except ValidationError as error:
        faults = [_fault(node, problem) for problem in error.errors()]
        raise RequestError("\n".join(f"{file.name}, line {line}: {fault}" for line, fault in sorted(faults))) from None


def _compose(file: Path) -> yaml.Node:
    """Return the file's YAML node tree; aliases, with which a small file becomes a huge value, are refused."""
    text = file.read_bytes()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {event.start_mark.line + 1}: aliases (*{event.anchor}) are not read")
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _yaml_error(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return where + (getattr(error, "problem", None) or str(error))


def _repeated_keys(node: yaml.Node) -> list[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        return [fault for child in node.value for fault in _repeated_keys(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    seen, faults = set(), []
    for key, value in node.value:
        if key.value in seen:
            faults.append((key.start_mark.line + 1, f"`{key.value}` stands here a second time"))
        seen.add(key.value)
        faults += _repeated_keys(value)
    return faults


def _not_yet(node: yaml.Node) -> list[tuple[int, str]]:
    return [
        (
            line,
            f"`{'.'.join(part for part in path if part != '*')}`: {stage} is not in this version yet; remove the key",
        )
        for path, stage in NOT_YET.items()
        for line in _lines_of(node, path)
    ]


def _lines_of(node: yaml.Node, path: tuple[str, ...]) -> list[int]:
    """Return the lines of every key at the path; `*` stands for any element of a list."""
    head, *rest = path
    if head == "*":
        return [line for child in _elements(node) for line in _lines_of(child, tuple(rest))]
    if not isinstance(node, yaml.MappingNode):
        return []
    found = [(key, value) for key, value in node.value if key.value == head]
    if not rest:
        return [key.start_mark.line + 1 for key, value in found if value.value not in ([], "null", "~", "")]
    return [line for _, value in found for line in _lines_of(value, tuple(rest))]


def _elements(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _fault(node: yaml.Node, problem: dict[str, Any]) -> tuple[int, str]:
    """Return the line and the wording of one of pydantic's problems."""
    where, line, model = [], node.start_mark.line + 1, Curation
    for part in problem["loc"]:
        child = _child(node, part)
        if child is None and not isinstance(part, int) and part in ("llm", "human"):
            continue  # pydantic names the member of a tagged union, which is no key
        where.append(str(part))
        if child is not None:
            line, node = child
    name = ".".join(where)
    match problem["type"]:
        case "extra_forbidden":
            return line, f"unknown key `{name}`{_nearest(str(problem['loc'][-1]), _known_keys(problem['loc'], model))}"
        case "missing":
            return line, f"`{name}` is missing"
        case "union_tag_invalid":
            kind = problem["ctx"]["tag"]
            return (
                line,
                f"`{name}.kind`: expected llm or human, found {kind!r} (other kinds are not in this version yet)",
            )
        case "union_tag_not_found":
            return line, f"`{name}.kind` is missing: llm or human"
        case _:
            found = problem["input"]
            shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
            message = problem["msg"].removeprefix("Value error, ")
            return (
                line,
                f"`{name}`: {message[0].lower() + message[1:]}{shown if problem['type'] != 'value_error' else ''}",
            )


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _known_keys(loc: tuple[str | int, ...], model: Any) -> list[str]:
    """Return the keys that are known where an unknown one stands."""
    models = [model]
    for part in loc[:-1]:
        steps = [m.model_fields[part].annotation for m in models if isinstance(part, str) and part in m.model_fields]
        models = [m for step in steps for m in _models_in(step)] or models
    return sorted({key for m in models for key in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, tuple) or get_args(annotation):
        return [model for option in get_args(annotation) for model in _models_in(option)]
    return []


def _nearest(word: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1)
    return f": did you mean `{nearest[0]}`?" if nearest else f": known here are {', '.join(known)}"
