"""YAML text to plain values, with the line of every key. Nothing is coerced: what isn't plain YAML 1.2 is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

KeyPath = tuple[str | int, ...]

MAX_VALUES = 100_000  # aliases may repeat a value, and a few lines can spell a billion


class TreeError(ValueError):
    """Text that is not usable YAML: `line` counts from 1, `path` leads to the key (empty: the whole document)."""

    def __init__(self, line: int, path: KeyPath, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Tree:
    """A document: its plain value, and the line (from 1) of every key and list item by its path."""

    value: Any
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """The line of the key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: KeyPath) -> str:
    """A path as people write it: `endpoints.digits.chain[2].kind`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def parse(text: str) -> Tree:
    """The one document in `text`.

    Raises:
        TreeError: not YAML, several documents, a key twice, a key that is not text, a tag or a merge key.
    """
    reader = YAML(typ="safe", pure=True)
    try:
        root = reader.compose(text)
    except MarkedYAMLError as error:
        raise TreeError(_error_line(error), (), f"not valid YAML: {_problem(error)}") from None
    except (YAMLError, ValueError) as error:
        raise TreeError(1, (), f"not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise TreeError(1, (), "nested too deeply") from None
    lines: dict[KeyPath, int] = {}
    value = None if root is None else _Builder(lines).build(root, (), frozenset())
    return Tree(value, lines)


def _error_line(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return 1 if mark is None else mark.line + 1


def _problem(error: MarkedYAMLError) -> str:
    parts = (error.context, error.problem)
    return ", ".join(" ".join(str(part).split()) for part in parts if part) or "unreadable"


class _Builder:
    """Turns composed nodes into values and notes lines on the way."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self.lines = lines
        self.count = 0

    def build(self, node: Node, path: KeyPath, around: frozenset[int]) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.count += 1
        if id(node) in around:
            raise TreeError(line, path, "an alias (*name) inside its own anchor (&name)")
        if self.count > MAX_VALUES:
            raise TreeError(line, path, f"more than {MAX_VALUES} values")
        inner = around | {id(node)}
        if isinstance(node, MappingNode):
            return {key: self.build(value, (*path, key), inner) for key, value in self._items(node, path)}
        if isinstance(node, SequenceNode):
            _check_tag(node.tag, ("seq",), path, line)
            return [self.build(item, (*path, index), inner) for index, item in enumerate(node.value)]
        return _scalar(node, path, line)

    def _items(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Node]]:
        _check_tag(node.tag, ("map",), path, node.start_mark.line + 1)
        first: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            key = _key(key_node, path, line)
            if key in first:
                raise TreeError(line, (*path, key), f"this key is already given in line {first[key]}")
            first[key] = self.lines[(*path, key)] = line
            yield key, value


def _key(node: Node, path: KeyPath, line: int) -> str:
    if node.tag == "tag:yaml.org,2002:merge":
        raise TreeError(line, path, "merge keys (<<) are not read: repeat the keys, or use an alias for a whole value")
    if not isinstance(node, ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        found = node.value if isinstance(node, ScalarNode) else "a list or mapping"
        raise TreeError(line, path, f"keys must be text, found {found}: put it in quotes")
    return str(node.value)


def _scalar(node: Node, path: KeyPath, line: int) -> Any:
    tag = _check_tag(node.tag, ("str", "int", "float", "bool", "null"), path, line)
    text = str(node.value)
    try:
        return _VALUES[tag](text)
    except (KeyError, ValueError):
        expected = "true or false" if tag == "bool" else "a number"
        raise TreeError(line, path, f"expected {expected}, found {text}") from None


def _check_tag(tag: str | None, known: Iterable[str], path: KeyPath, line: int) -> str:
    short = str(tag).removeprefix("tag:yaml.org,2002:")
    if short == "timestamp":
        raise TreeError(line, path, "a date is not expected anywhere here: put it in quotes if it is text")
    if short not in known:
        raise TreeError(line, path, f"YAML tags are not read, found {tag}")
    return short


def _int(text: str) -> int:
    return int(text.replace("_", ""), 0 if text.lstrip("+-")[:2] in ("0x", "0o") else 10)


def _float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


_VALUES: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": _int,
    "float": _float,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "null": lambda text: None,
}
