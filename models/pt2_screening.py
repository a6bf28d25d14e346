"""What is refused in a `.pt2` file before torch sees it, and the clean copy that torch sees instead.

Loading a `torch.export` file can run code: it unpickles sample inputs, weights and custom objects, evaluates symbolic
shapes and guards as Python, writes argument names into code that it compiles, looks operators up by any path under
`torch`, and imports what a tree of arguments names. Nothing of a file reaches torch but what a rule admits, written
anew: numbers, identifiers, operators of `torch.ops.aten`, raw tensor bytes.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.pt2_archive import CONSTANTS, PROGRAM, WEIGHTS, read_archive, write_archive
from models.pt2_program import clean_program, clean_tensors

__all__ = ["screen_pt2"]

TABLES = ((WEIGHTS, "model_weights_config.json"), (CONSTANTS, "model_constants_config.json"))


def screen_pt2(path: Path, operators: Container[str]) -> bytes:
    """The file's clean copy, for `torch.export.load`. `operators` are those that torch's dispatcher knows.

    Stack traces, module names, extra files, sample inputs and guards are left out of it.

    Raises:
        UnsafeModel: something in it could run code or read other files.
        ModelError: no file, or not one of `torch.export.save`.
    """
    entries = read_archive(path)
    clean = {PROGRAM: json.dumps(clean_program(_json(entries, PROGRAM), operators)).encode()}
    clean["archive_version"] = b"%d" % int(entries.get("archive_version", b"0"))
    for folder, name in TABLES:
        table = clean_tensors(_json(entries, folder + name))
        clean[folder + name] = json.dumps(table).encode()
        clean.update(_tensors(table, folder, entries))
    return write_archive(clean)


def _json(entries: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(entries[name])
    except KeyError:
        raise ModelError(f"model: expected {name} in the file, found none") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"model: expected JSON in {name} ({error})") from None


def _tensors(table: Mapping[str, Any], folder: str, entries: Mapping[str, bytes]) -> dict[str, bytes]:
    """The raw bytes that a table names; a tensor without bytes must have no values, or it would be made of any size."""
    found: dict[str, bytes] = {}
    for name, tensor in table["config"].items():
        file = folder + tensor["path_name"]
        if file not in entries:
            raise ModelError(f"model: expected the values of {name!r} in {file}, found none")
        sizes = [size.get("as_int") for size in tensor["tensor_meta"]["sizes"]]
        if not entries[file] and 0 not in sizes:
            raise ModelError(f"model: expected values for {name!r} of shape {sizes}, found none")
        found[file] = entries[file]
    return found
