"""The operator's own config file with another budget: to be looked at and downloaded, never put in its place."""

from __future__ import annotations

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode


def with_budget(text: str, endpoint: str, budget: dict[str, float]) -> str:
    """The text with these shares as the endpoint's budget; all else in it, comments too, stays to the letter.

    Raises:
        KeyError: the text has no such endpoint.
    """
    home = _child(_child(YAML(typ="safe", pure=True).compose(text), "endpoints"), endpoint)
    if not isinstance(home, MappingNode):
        raise KeyError(endpoint)
    edits: list[tuple[int, int, str]] = []
    stated = _child(home, "budget")
    if isinstance(stated, MappingNode) and stated.value:
        missing = []
        for which, share in budget.items():
            value = _child(stated, which)
            if value is None:
                missing.append(f"{which}: {share:g}")
            else:
                edits.append((value.start_mark.index, value.end_mark.index, f"{share:g}"))
        if missing:
            edits.append(_before(stated.value[0][0], missing, stated.flow_style))
    else:
        shares = ", ".join(f"{which}: {share:g}" for which, share in budget.items())
        edits.append(_before(home.value[0][0], [f"budget: {{{shares}}}"], home.flow_style))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _before(key: Node, entries: list[str], flow: bool) -> tuple[int, int, str]:
    """An edit that puts entries before the first key of a mapping."""
    at, indent = key.start_mark.index, " " * key.start_mark.column
    return at, at, "".join(f"{entry}, " if flow else f"{entry}\n{indent}" for entry in entries)


def _child(node: Node | None, name: str) -> Node | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return value if isinstance(value, Node) else None
    return None
