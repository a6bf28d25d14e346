"""A file of the operator's as it is: named arrays, read without unpickling anything.

Every complaint is one line: the file, the array, what was expected and what was found.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.errors import OperatorError
from models.batch import Array


@dataclass(frozen=True, slots=True)
class Table:
    """A file as it is: its arrays by name, read without unpickling anything, and its sha256."""

    path: Path
    arrays: dict[str, Array]
    digest: str

    def wrong(self, array: str, expected: str, found: str) -> OperatorError:
        """The complaint about one array."""
        return OperatorError(f"{self.path}: {array}: expected {expected}, found {found}")

    def get(self, name: str, needed_for: str) -> Array:
        """The array of this name.

        Raises:
            OperatorError: there is none.
        """
        if name not in self.arrays:
            found = ", ".join(sorted(self.arrays)) or "an empty file"
            raise self.wrong(name, f"an array of this name ({needed_for})", f"only {found}")
        return self.arrays[name]


def read(path: Path) -> Table:
    """The arrays of an `.npz` (any names), `.npy` (one array, `x`) or `.csv` file (one array a column, with a header).

    Raises:
        OperatorError: no such file, not one of these, or it holds pickled objects.
    """
    readers = {".npz": _npz, ".npy": _npy, ".csv": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise OperatorError(f"{path}: expected a file that ends in {', '.join(readers)}, found {path.suffix!r}")
    try:
        arrays = reader(path)
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
    except FileNotFoundError:
        raise OperatorError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise OperatorError(f"{path}: expected plain arrays without pickled objects, found: {_line(error)}") from None
    return Table(path, arrays, digest.hexdigest())


def _npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _npy(path: Path) -> dict[str, Array]:
    array: Array = np.load(path, allow_pickle=False)
    return {"x": array}


def _csv(path: Path) -> dict[str, Array]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *lines = [line for line in csv.reader(file) if line]
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(f"line {number} has {len(line)} values, the header {len(header)}")
    return {name: _column([line[index] for line in lines]) for index, name in enumerate(header)}


def _column(values: list[str]) -> Array:
    """Numbers where all are numbers (empty: missing), else text."""
    try:
        return np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return np.array(values)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
