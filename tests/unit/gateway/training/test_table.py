"""What is no file of plain arrays is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import OperatorError
from gateway.training.table import read
from models.batch import Array

Save = Callable[..., Path]


def objects() -> Array:
    found = np.empty(1, dtype=object)
    found[0] = {}
    return found


def test_files_that_are_not_data(saved: Save, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="without pickled objects"):
        read(saved(x=objects()))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(OperatorError, match="expected plain arrays"):
        read(tmp_path / "broken.npz")
    with pytest.raises(OperatorError, match="no such file"):
        read(tmp_path / "absent.npz")
    with pytest.raises(OperatorError, match=r"ends in \.npz, \.npy, \.csv, found '\.txt'"):
        read(tmp_path / "rows.txt")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(OperatorError, match="line 3 has 1 values, the header 2"):
        read(tmp_path / "ragged.csv")
