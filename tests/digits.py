"""An operator's folder: a small ONNX model of digits, the rows it was trained on, and rows it never saw."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

from tests import tiny
from tests.project import to_onnx

ENDPOINT = {
    "model": {"kind": "onnx", "path": "digits.onnx", "input": {"bounds": [0, 1]}},
    "reference": "train.npz",
    "holdout": "test.npz",
}  # as a config states it


def write(folder: Path) -> None:
    """Writes digits.onnx, train.npz (1000 rows) and test.npz (797 rows)."""
    for name, content in _files().items():
        (folder / name).write_bytes(content)


@cache
def _files() -> dict[str, bytes]:
    pixels, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))  # as tests.tiny splits them
    x = (pixels[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    with TemporaryDirectory() as work:
        folder = Path(work)
        to_onnx(tiny.image().net, folder / "digits.onnx")
        np.savez(folder / "train.npz", x=x[: tiny.FITTED], y=y[order][: tiny.FITTED])
        np.savez(folder / "test.npz", x=x[tiny.FITTED :], y=y[order][tiny.FITTED :])
        return {file.name: file.read_bytes() for file in folder.iterdir()}
