"""Reading destination.yaml: every error names its line, what is wrong and what to write instead."""

import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from marshmallow import ValidationError

from pipeline.destination import Destination
from pipeline.errors import ConfigurationError
from pipeline.settings.schema import DestinationSchema

Location: TypeAlias = tuple[str | int, ...]  # the keys and indexes that lead to a place in the file
_MOST_NODES: Final = 100_000  # aliases can make a small file huge; no real destination comes near this


def read_destination(path: Path) -> Destination:
    """Read and check a file. Raises ConfigurationError with all that is wrong, one line each, in the file's order."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); set PIPELINE_DESTINATION to it") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    return parse_destination(text, name=str(path))


def parse_destination(text: str, *, name: str) -> Destination:
    """Check the text of a destination.yaml; `name` is how errors call it. Raises ConfigurationError."""
    document = _parse(text, name)
    try:
        destination: Destination = DestinationSchema().load(document.value)
    except ValidationError as refused:
        found = sorted((document.line_of(where), where, what) for where, what in _flatten(refused.messages))
        raise ConfigurationError(
            "\n".join(f"{name}, line {line}: {_told(where)}{what}" for line, where, what in found)
        ) from None
    return destination


class _Document:
    """A file's values, and the line of each."""

    def __init__(self) -> None:
        self.value: Any = {}
        self.lines: dict[Location, int] = {}

    def line_of(self, where: Location) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


class _Wrong(yaml.MarkedYAMLError):
    """Something that YAML allows and a destination does not; the problem says what to write instead."""

    def __init__(self, problem: str, node: yaml.Node) -> None:
        super().__init__(None, None, problem, node.start_mark)


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: `on` and `no` are words, 2026-01-01 is text, 0123 is not octal."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _parse(text: str, name: str) -> _Document:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{name}, line {line}: holds a control character; save it as plain text") from None
    try:
        node = loader.get_single_node()
        document = _Document()
        if node is not None:
            document.value = _build(loader, node, (), document, [])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigurationError(f"{name}, line {line}: {_yaml_problem(error)}") from None
    except RecursionError:
        raise ConfigurationError(f"{name}, line 1: is nested too deeply to be a destination") from None
    finally:
        loader.dispose()
    if document.value is None:
        document.value = {}
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{name}, line 1: write a mapping of sections, as `identify: {{default: true}}`")
    return document


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "is not YAML"
    if isinstance(error, _Wrong):
        return problem
    if "\\t" in problem or "'\t'" in problem:
        return "a tab cannot indent YAML; write spaces"
    if "mapping values are not allowed" in problem:
        return "a colon stands where none is expected; check the indentation, or put the text in quotes"
    if "expected a single document" in (error.context or ""):
        return "a second document begins here; write everything in one, without ---"
    if "undefined alias" in problem:
        return f"{problem}; write the anchor (&name) before the alias (*name), or put the text in quotes"
    where = f"{error.context}, " if error.context else ""
    return f"is not YAML: {where}{problem}; check quotes, brackets and indentation"


def _build(loader: _Loader, node: yaml.Node, where: Location, document: _Document, around: list[yaml.Node]) -> Any:
    """Turn a node into a value, noting the line of every place. `around` are the nodes it stands in."""
    if node in around:
        raise _Wrong("an alias stands inside itself; write the values out", node)
    if len(document.lines) >= _MOST_NODES:
        raise _Wrong("aliases make the file too large; write the values out", node)
    document.lines.setdefault(where, node.start_mark.line + 1)
    inside = [*around, node]
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, one, (*where, index), document, inside) for index, one in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    _refuse_repeated_keys(node)
    loader.flatten_mapping(node)
    built: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Wrong("a key has to be text; write it as one word, or in quotes", key_node)
        key = str(key_node.value)
        document.lines[(*where, key)] = key_node.start_mark.line + 1
        built[key] = _build(loader, value_node, (*where, key), document, inside)
    return built


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """Refuse a key that stands twice in one mapping, of which YAML would quietly keep the last."""
    seen: set[str] = set()
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode):
            if key_node.value in seen:
                raise _Wrong(f"{key_node.value} is there twice; keep one of the two", key_node)
            seen.add(key_node.value)


def _flatten(messages: Any, where: Location = ()) -> Iterator[tuple[Location, str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flatten(inner, where if key == "_schema" else (*where, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flatten(inner, where)
    else:
        yield where, str(messages)


def _told(where: Location) -> str:
    told = ""
    for part in where:
        told += f"[{part}]" if isinstance(part, int) else f".{part}" if told else part
    return f"{told}: " if told else ""
