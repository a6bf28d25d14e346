"""What is wrong with a config, in the operator's words: pydantic's errors as key, expected and found."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gateway.config import STAGE_KEYS, PurifyConfig, StageConfig
from gateway.configfile.yamltree import KeyPath

_KINDS: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "path": "a path",
    "model": "a mapping (key: value)",
    "dict": "a mapping (key: value)",
    "mapping": "a mapping (key: value)",
    "tuple": "a list",
    "list": "a list",
    "set": "a list",
    "frozen_set": "a list",
}
_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("gt", "a number above"),
    "greater_than_equal": ("ge", "a number of at least"),
    "less_than": ("lt", "a number below"),
    "less_than_equal": ("le", "a number of at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


def complaint(error: ErrorDetails, raw: Any, root: type[BaseModel]) -> tuple[KeyPath, str]:
    """The path of the key in the file, and what was expected there and found.

    `raw` is the file's plain value, `root` the model that it was validated against.
    """
    path = key_path(error["loc"], raw)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return path, f"unknown key{_hint(str(path[-1]), known_keys(error['loc'][:-1], root))}"
    if kind == "missing":
        return path, "is required, found nothing"
    if kind == "union_tag_not_found":
        expected = _tags(error["loc"], root)
        return (*path, "kind"), f"is required{f', one of {_words(expected)}' if expected else ''}; found nothing"
    if kind == "union_tag_invalid":
        words = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        return (*path, "kind"), _choice(words, context.get("tag"))
    if kind in ("value_error", "assertion_error"):
        return _own_words(path, error, raw)
    return path, _mismatch(kind, context, error)


def key_path(loc: Iterable[str | int], raw: Any) -> KeyPath:
    """Where in the file an error's location is: the parts that only the models know (union tags, the detector and
    purifier that an entry is split into) are left out; a key that the file lacks is kept at the end.
    """
    path: list[str | int] = []
    rest = list(loc)
    for index, part in enumerate(rest):
        if _leads_on(raw, part):
            raw = raw[part]
        elif index < len(rest) - 1 or not _is_key(part, raw):
            continue
        path.append(part)
    return tuple(path)


def _leads_on(raw: Any, part: str | int) -> bool:
    if isinstance(raw, list):
        return isinstance(part, int) and part < len(raw)
    return isinstance(raw, dict) and part in raw


def _is_key(part: str | int, raw: Any) -> bool:
    """Whether the last part of a location may be a key that the file lacks, not a name the models made up."""
    if isinstance(part, int):
        return isinstance(raw, list)
    if not isinstance(raw, dict):
        return False
    return part.isidentifier() and part not in ("detector", "purifier", raw.get("kind"))


def known_keys(loc: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    """The keys that may be given at a location, best effort: [] where the models don't say."""
    models = [_model_at(loc, root)]
    if len(loc) >= 2 and loc[-2] in ("detector", "purifier"):
        models.append(_model_at(loc[:-2], root))
    keys: list[str] = []
    for model in models:
        if model is StageConfig:
            keys += STAGE_KEYS
        elif model is PurifyConfig:
            keys.append("when")
        elif model is not None and model.model_config.get("extra") == "allow":
            return []  # the operator's own class knows its keys
        elif model is not None:
            keys += [name for name, known in model.model_fields.items() if known.repr]  # others: no key of a file
    return keys


def _model_at(loc: Sequence[str | int], root: type[BaseModel]) -> type[BaseModel] | None:
    current: Any = root
    for part in loc:
        current = _step(current, part)
    current = _only(current)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _step(current: Any, part: str | int) -> Any:
    """The annotation that one part of a location leads to, None where it can't be told."""
    if isinstance(current, type) and issubclass(current, BaseModel):
        field = current.model_fields.get(str(part))
        return None if field is None else _plain(field.annotation)
    origin, arguments = typing.get_origin(current), typing.get_args(current)
    if origin in (typing.Union, types.UnionType):
        models = [member for member in map(_plain, arguments) if _kind_of(member) is not None]
        tagged = [model for model in models if _kind_of(model) == part]
        if tagged:
            return tagged[0]
        return _step(_only(current), part) if len(models) <= 1 and _only(current) is not current else None
    if origin is dict:
        return _plain(arguments[1])
    if origin in (tuple, list) and arguments:
        return _plain(arguments[0])
    return None


def _plain(annotation: Any) -> Any:
    """The annotation without `Annotated`."""
    return _plain(typing.get_args(annotation)[0]) if typing.get_origin(annotation) is typing.Annotated else annotation


def _only(annotation: Any) -> Any:
    """`X` of `X | None`, else the annotation."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    members = [member for member in typing.get_args(annotation) if member is not type(None)]
    return _plain(members[0]) if len(members) == 1 else annotation


def _kind_of(model: Any) -> str | None:
    """The `kind` a member of a tagged union answers to."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    field = model.model_fields.get("kind")
    return None if field is None else str(next(iter(typing.get_args(field.annotation)), "") or "")


def _tags(loc: Sequence[str | int], root: type[BaseModel]) -> list[str]:
    current: Any = root
    for part in loc:
        current = _step(current, part)
    return [kind for kind in map(_kind_of, map(_plain, typing.get_args(current))) if kind]


def _own_words(path: KeyPath, error: ErrorDetails, raw: Any) -> tuple[KeyPath, str]:
    """A validator's own text; where it opens with `key: `, the error is at that key."""
    text = " ".join(error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").split())
    key, colon, rest = text.partition(": ")
    if colon and key.isidentifier():
        return (*path, key), rest
    return path, text


def _mismatch(kind: str, context: Mapping[str, Any], error: ErrorDetails) -> str:
    found = found_text(error["input"])
    if kind == "literal_error":
        return _choice(re.findall(r"'([^']*)'", str(context.get("expected", ""))), error["input"])
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"expected {words} {context.get(name):g}, found {found}"
    if kind == "too_short":
        return f"expected at least {_count(context.get('min_length'))}, found {_count(context.get('actual_length'))}"
    if kind == "too_long":
        return f"expected at most {_count(context.get('max_length'))}, found {_count(context.get('actual_length'))}"
    if kind == "int_from_float":
        return f"expected a whole number, found {found}"
    for ending in ("_type", "_parsing", "_attributes_type"):
        noun = _KINDS.get(kind.removesuffix(ending))
        if noun and kind.endswith(ending):
            return f"expected {noun}, found {found}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, found {found}"


def _count(number: Any) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _choice(expected: Sequence[str], found: Any) -> str:
    return f"expected {'one of ' if len(expected) > 1 else ''}{_words(expected)}, found {found_text(found)}" + (
        _close(found, expected)
    )


def _words(expected: Sequence[str]) -> str:
    return ", ".join(sorted(expected))


def _hint(found: str, keys: Sequence[str]) -> str:
    near = _close(found, keys)
    return near or (f"; expected one of {', '.join(keys)}" if keys else "")


def _close(found: Any, expected: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(found), expected, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def found_text(value: Any) -> str:
    """A value as the file would spell it, short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
