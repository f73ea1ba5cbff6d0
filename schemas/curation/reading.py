"""A curation is read: its file found, its YAML checked, and every error told with its line."""

import difflib
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from schemas.curation.annotator import FunctionAnnotator, HumanAnnotator, LLMAnnotator
from schemas.curation.model import Curation
from schemas.errors import RequestError

MAX_BYTES = 256_000
FILE = "curation.yaml"
Model = TypeVar("Model", bound=BaseModel)

# Keys of the contract whose stage is not there yet: refused by name, never ignored.
NOT_YET = {
    ("clean", "languages"): "language filtering",
    ("clean", "contamination"): "contamination checks",
}
TAGS = {"llm": LLMAnnotator, "function": FunctionAnnotator, "human": HumanAnnotator}
KINDS_NOT_YET = ("choices", "spans", "text", "model")
MAX_SHOWN_CHARS = 60
# pydantic's words are Python's; these are YAML's
EXPECTED = {
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
}


class _Loader(yaml.SafeLoader):
    """YAML without what makes a small file a huge value; a key is the text it is written as.

    Else `yes`, `no`, `on`, `off`, `null` and `1`, which are good names of labels, would be no text.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, f"aliases (*{event.anchor}) are not read", event.start_mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            problem = f"this cannot be read as {kind}: put it in quotes if it is a text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}

    def construct_yaml_map(self, node: yaml.MappingNode) -> Iterator[dict[str, Any]]:
        yield self.construct_mapping(node)


_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_yaml_map)


def find(curation: str | Path) -> Path:
    """Return the curation's YAML file, given that file or its folder; raise RequestError where there is none."""
    path = Path(curation)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise RequestError(f"no curation at {file}: name a YAML file, or a folder that holds {FILE}")
    return file.resolve()


def load(file: Path) -> Curation:
    """Return the curation in a YAML file; raise RequestError with the line, what was expected and the nearest key."""
    return read_as(file, Curation)


def read_as(file: Path, model: type[Model]) -> Model:
    """Return the settings in a YAML file; raise RequestError with the line, what was expected and the nearest key."""
    node, values = _read(file, model.__name__.lower())
    if faults := [*_repeated_keys(node), *_not_yet(node)]:
        raise _wrong(file, faults)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _wrong(file, [_fault(node, problem, model) for problem in error.errors()]) from None


def _wrong(file: Path, faults: list[tuple[int, str]]) -> RequestError:
    return RequestError("\n".join(f"{file.name}, line {line}: {fault}" for line, fault in sorted(faults)))


def _read(file: Path, noun: str) -> tuple[yaml.MappingNode, dict[str, Any]]:
    """Return the file's YAML as nodes, which know their lines, and as values; raise RequestError where it is none."""
    text = _text(file)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(file, [(1, f"a {noun} is a mapping of keys to values")])
        if faults := _complex_keys(node):
            raise _wrong(file, faults)
        return node, loader.construct_document(node)
    except RecursionError:
        raise RequestError(f"{file.name}: nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise error if isinstance(error, RequestError) else _wrong(file, [_yaml_fault(error, text)]) from None


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{file.name}: cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise RequestError(f"{file.name}: larger than {MAX_BYTES:,} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(file, [(raw.count(b"\n", 0, error.start) + 1, "UTF-8 expected")]) from None


def _yaml_fault(error: Exception, text: str) -> tuple[int, str]:
    """Return the line and the wording of what the YAML reader says."""
    if isinstance(error, yaml.reader.ReaderError):
        return text.count("\n", 0, error.position) + 1, f"the character U+{error.character:04X} may not stand in YAML"
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    if "'\\t'" in problem:
        problem = "a tab stands where YAML wants spaces"
    return mark.line + 1 if mark else 1, problem


def _complex_keys(node: yaml.Node) -> list[tuple[int, str]]:
    """Return the faults of keys that are lists or mappings."""
    if isinstance(node, yaml.SequenceNode):
        return [fault for child in node.value for fault in _complex_keys(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    faults = [(key.start_mark.line + 1, "a key must be a word") for key, _ in node.value if not isinstance(key, yaml.ScalarNode)]  # fmt: skip
    return faults + [fault for _, value in node.value for fault in _complex_keys(value)]


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
            f"`{'.'.join(part for part in path if part != '*')}` ({stage}) is not in this version yet: remove the key",
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
        return [key.start_mark.line + 1 for key, _ in found]
    return [line for _, value in found for line in _lines_of(value, tuple(rest))]


def _elements(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _fault(node: yaml.Node, problem: dict[str, Any], model: type[BaseModel]) -> tuple[int, str]:
    """Return the line and the wording of one of pydantic's problems."""
    where, line = [], node.start_mark.line + 1
    for part in problem["loc"]:
        child = _child(node, part)
        if child is None and not isinstance(part, int) and part in TAGS:
            continue  # pydantic names the member of a tagged union, which is no key
        where.append(str(part))
        if child is not None:
            line, node = child
    if not where and (key := re.match(r"[a-z_]+(\.\w+)*", problem["msg"].removeprefix("Value error, "))):
        line = _line_at(node, key[0].split("."), line)  # of several keys together: the first word names one
    return line, _wording(".".join(where), problem, model)


def _wording(name: str, problem: dict[str, Any], model: type[BaseModel]) -> str:
    given, message = problem["input"], problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden":
            return f"unknown key `{name}`{_nearest(str(problem['loc'][-1]), _known_keys(problem['loc'], model))}"
        case "missing":
            return f"`{name}` is missing"
        case "union_tag_invalid":
            return f"`{name}.kind`: llm, function or human expected{_found(problem['ctx']['tag'])}{_not_yet_kind(problem['ctx']['tag'])}"
        case "union_tag_not_found":
            return f"`{name}.kind` is missing: llm, function or human"
        case "literal_error":
            later = _not_yet_kind(given) if problem["loc"][-1] == "kind" else ""
            return f"`{name}`: {problem['ctx']['expected']} expected{_found(given)}{later}"
        case "value_error":
            return f"`{name}`: {message}" if name else message
        case kind if kind in EXPECTED:
            quotes = (
                ": put it in quotes"
                if kind == "string_type" and not isinstance(given, dict | list | types.NoneType)
                else ""
            )
            return f"`{name}`: {EXPECTED[kind]} expected{_found(given)}{quotes}"
        case _:
            return f"`{name}`: {message[0].lower() + message[1:]}{_found(given)}"


def _found(given: Any) -> str:
    """Return the end of a complaint: what stands there, where it is short enough to be told."""
    if given is None:
        return ", nothing found"
    if not isinstance(given, str | int | float | bool):
        return f", found a {'mapping' if isinstance(given, dict) else type(given).__name__}"
    shown = repr(given) if len(str(given)) <= MAX_SHOWN_CHARS else f"{str(given)[:MAX_SHOWN_CHARS]!r}…"
    return f", found {shown}"


def _not_yet_kind(kind: Any) -> str:
    return " (not in this version yet)" if kind in KINDS_NOT_YET else ""


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _line_at(node: yaml.Node, path: list[str], line: int) -> int:
    """Return the line of the last key of a path that is there; `line` where none is."""
    for part in path:
        child = _child(node, int(part) if part.isdigit() else part)
        if child is None:
            break
        line, node = child
    return line


def _known_keys(loc: tuple[str | int, ...], model: Any) -> list[str]:
    """Return the keys that are known where an unknown one stands."""
    models = [model]
    for part in loc[:-1]:
        if part in TAGS:  # pydantic names the member of the union that the key stands in
            models = [m for m in models if m is TAGS[part]] or models
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
