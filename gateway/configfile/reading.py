"""Reads watchgate.yaml. A mistake in it becomes one line: file, line, key, what was expected, what was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from detectors.custom import NO_IMPORTS
from gateway.config import Config
from gateway.configfile.complaints import complaint, found_text
from gateway.configfile.yamltree import KeyPath, Tree, TreeError, dotted, parse
from gateway.errors import OperatorError

MAX_BYTES = 2**20
SHOWN = 3  # problems told at a time


def read(path: Path, *, need_files: bool = False) -> Config:
    """The config in the file, its relative paths made absolute against the file's folder.

    With `need_files` the model, the reference and the holdout of every endpoint must exist, and the operator's own
    detectors are imported (`serve` needs only the bundle, which has copies of what it needs and tells whether that
    code is still the same).

    Raises:
        OperatorError: no such file, not YAML, an unknown key, a value of another kind; one line a problem.
    """
    text = _text(path)
    try:
        tree = parse(text)
    except TreeError as error:
        raise OperatorError(_line(path, error.line, error.path, error.problem)) from None
    config: Config = _absolute(_validated(tree, path, imports=need_files), Path.cwd() / path.parent)
    if need_files:
        _refuse(path, tree, _absent(config))
    return config


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise OperatorError(f"{path}: a config of more than {MAX_BYTES} bytes is not read")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise OperatorError(f"{path}: no such file; `watchgate init` writes one") from None
    except IsADirectoryError:
        raise OperatorError(f"{path}: expected a file, found a folder") from None
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path}: expected UTF-8 text, found other bytes at {error.start}") from None
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror or error}") from None


def _validated(tree: Tree, path: Path, *, imports: bool) -> Config:
    if not isinstance(tree.value, dict):
        found = "an empty file" if tree.value is None else found_text(tree.value)
        raise OperatorError(f"{path}:1: expected a mapping with the key `endpoints`, found {found}")
    try:
        config = Config.model_validate(tree.value, context=None if imports else NO_IMPORTS)
    except ValidationError as error:
        _refuse(path, tree, [complaint(e, tree.value, Config) for e in error.errors(include_url=False)])
        raise  # not reached: an error has at least one problem
    _refuse(path, tree, list(_coerced(config, tree.value, ())))
    return config


def _refuse(path: Path, tree: Tree, problems: list[tuple[KeyPath, str]]) -> None:
    """Raises if there are problems; tells the first few, in the order of the file."""
    if not problems:
        return
    ordered = sorted(dict.fromkeys((tree.line(key), key, text) for key, text in problems), key=lambda p: p[0])
    lines = [_line(path, *problem) for problem in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        lines.append(f"{path}: and {len(ordered) - SHOWN} more")
    raise OperatorError("\n".join(lines))


def _line(path: Path, line: int, key: KeyPath, problem: str) -> str:
    where = f"{dotted(key)}: " if key else ""
    return f"{path}:{line}: {where}{problem}"


def _coerced(value: Any, raw: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Values that were quietly turned into another kind: text into numbers, true into 1, 1 into true."""
    if isinstance(value, BaseModel):
        for name in value.model_fields_set:  # an entry's detector is made of the entry's own keys
            inside = isinstance(raw, dict) and name in raw
            yield from _coerced(getattr(value, name), raw[name] if inside else raw, (*path, name) if inside else path)
    elif isinstance(value, dict) and isinstance(raw, dict):
        for name in value.keys() & raw.keys():
            yield from _coerced(value[name], raw[name], (*path, name))
    elif isinstance(value, list | tuple) and isinstance(raw, list) and len(value) == len(raw):
        for index, item in enumerate(raw):
            yield from _coerced(value[index], item, (*path, index))
    elif isinstance(value, bool) and not isinstance(raw, bool | dict | list):
        yield path, f"expected true or false, found {found_text(raw)}"
    elif isinstance(value, int | float) and not isinstance(value, bool) and _not_a_number(raw):
        yield path, f"expected a number, found {found_text(raw)}"


def _not_a_number(raw: Any) -> bool:
    """Whether it is true, false or a number in quotes; other text (a duration) is its own validator's business."""
    if isinstance(raw, bool):
        return True
    try:
        return isinstance(raw, str) and float(raw) is not None
    except ValueError:
        return False


def _absolute(model: Any, folder: Path) -> Any:
    """The model with every relative path in it, and a factory in a file, made absolute."""
    if isinstance(model, Path):
        return folder / model.expanduser()
    if isinstance(model, tuple) and not hasattr(model, "_fields"):
        return tuple(_absolute(item, folder) for item in model)
    if isinstance(model, dict):
        return {key: _absolute(item, folder) for key, item in model.items()}
    if not isinstance(model, BaseModel):
        return model
    changed = {}
    for name in type(model).model_fields:
        old = getattr(model, name)
        new = _factory(old, folder) if name == "factory" else _absolute(old, folder)
        if new is not old and new != old:
            changed[name] = new
    return model.model_copy(update=changed) if changed else model


def _factory(factory: Any, folder: Path) -> Any:
    """`./net.py:make` with the file made absolute; `pkg.mod:make` as it is."""
    file, colon, name = str(factory or "").rpartition(":")
    return f"{folder / Path(file).expanduser()}:{name}" if colon and file.endswith(".py") else factory


def _absent(config: Config) -> list[tuple[KeyPath, str]]:
    problems: list[tuple[KeyPath, str]] = []
    for name, endpoint in config.endpoints.items():
        wanted = {("model", "path"): endpoint.model.path, ("reference",): endpoint.reference}
        if endpoint.holdout is not None:
            wanted[("holdout",)] = endpoint.holdout
        for key, file in wanted.items():
            if not file.is_file():
                found = "a folder" if file.is_dir() else "no such file"
                problems.append((("endpoints", name, *key), f"expected a file, found {found}: {file}"))
    return problems
