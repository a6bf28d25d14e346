"""A stage as an entry of `chain`: what a person would have written."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel

from gateway.config import StageConfig

_WIDE = 100


def entry(stage: StageConfig) -> dict[str, Any]:
    """Plain values; what is as it would be anyway is left out."""
    detector = _plain(stage.detector)
    usage = {name: value for name, value in _plain(stage).items() if name not in ("detector", "kind")}
    if usage.get("name") == detector["kind"]:
        del usage["name"]
    evidence = detector.pop("evidence", None)
    return {**detector, **usage, **({} if evidence is None else {"evidence": evidence})}


def _plain(model: BaseModel) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": model.kind} if "kind" in type(model).model_fields else {}  # type: ignore[attr-defined]
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name != "kind" and (field.is_required() or value != field.default):
            values[name] = _value(value)
    return values


def _value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_value(item) for item in value]
    return value


def flow(value: Any) -> str:
    """The value on one line of YAML, which reads back as it is."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        plain = re.fullmatch(r"[A-Za-z_][\w-]*", value) and value.lower() not in ("true", "false", "null", "yes", "no")
        return value if plain else json.dumps(value)
    return json.dumps(value)


def block(stages: list[dict[str, Any]], indent: int) -> list[str]:
    """The list as lines, so far in; long entries have a line for each piece of evidence."""
    lines, pad = [], " " * indent
    for stage in stages:
        short = f"{pad}- {flow(stage)}"
        evidence = stage.get("evidence")
        if len(short) <= _WIDE or evidence is None:
            lines.append(short)
            continue
        keys = [f"{key}: {flow(value)}" for key, value in stage.items() if key != "evidence"]
        lines += [f"{pad}- {keys[0]}", *(f"{pad}  {key}" for key in keys[1:]), f"{pad}  evidence:"]
        lines += [f"{pad}    - {flow(piece)}" for piece in evidence]
    return lines
