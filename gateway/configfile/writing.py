"""Writes a chosen chain into the operator's file. All else in it, comments too, stays to the letter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.config import StageConfig
from gateway.configfile.entries import block, entry, flow
from gateway.errors import OperatorError

CHOSEN = "chosen by `watchgate calibrate`"


def write_chain(path: Path, endpoint: str, stages: Sequence[StageConfig]) -> None:
    """Puts these stages in place of the endpoint's `chain`.

    Raises:
        OperatorError: the file has no such endpoint or no chain for it, or can't be written.
    """
    try:
        text = with_chain(path.read_text(encoding="utf-8"), endpoint, stages)
        _replace(path, text)
    except KeyError as error:
        raise OperatorError(f"{path}: {error.args[0]}") from None
    except OSError as error:
        raise OperatorError(f"{path}: can't be written: {error.strerror or error}") from error


def with_chain(text: str, endpoint: str, stages: Sequence[StageConfig]) -> str:
    """The text with another chain.

    Raises:
        KeyError: it has no such endpoint, or no chain for it; the argument is a sentence.
    """
    root = YAML(typ="safe", pure=True).compose(text)
    home = _child(_child(root, "endpoints")[1], endpoint)[1]
    key, value = _child(home, "chain")
    entries = [entry(stage) for stage in stages]
    if isinstance(home, MappingNode) and home.flow_style:
        return text[: value.start_mark.index] + flow(entries) + text[value.end_mark.index :]
    start, end = key.end_mark.index, _end(value)
    rest = text[end:].split("\n", 1)[0]
    lines = block(entries, key.start_mark.column + 2)
    comment = rest if rest.strip().startswith("#") and value.start_mark.line == key.start_mark.line else ""
    head = comment.strip() or f"# {CHOSEN}"
    after = end + len(rest) if not rest.strip() or comment else end
    tail = text[after:]
    return f"{text[:start]}:  {head}\n" + "\n".join(lines) + (tail if tail.startswith("\n") else "\n" + tail)


def _child(node: Node | None, name: str) -> tuple[Node, Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return key, value
    raise KeyError(f"expected a mapping with the key {name!r} to write the chain to")


def _end(node: Node) -> int:
    """Where its last value ends: a block list itself ends only where the next key begins, after comments."""
    if isinstance(node, SequenceNode | MappingNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, MappingNode) else last)
    return int(node.end_mark.index)


def _replace(path: Path, text: str) -> None:
    """All at once: whoever reads it meanwhile has the old file or the new one."""
    path = path.resolve()
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(made, path.stat().st_mode)
        os.replace(made, path)
    except OSError:
        os.unlink(made)
        raise
