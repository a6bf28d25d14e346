"""Digits on disk, as an operator has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests import tiny
from tests.project import Project, to_onnx


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The model, 1000 training rows and 797 others, as files' contents."""
    folder = tmp_path_factory.mktemp("digits")
    case = tiny.image()
    to_onnx(case.net, folder / "digits.onnx")
    pixels, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))  # as tests.tiny splits them
    x = (pixels[order] / 16).reshape(-1, 1, 8, 8).astype(np.float32)
    fitted = tiny.FITTED
    np.savez(folder / "train.npz", x=x[:fitted], y=y[order][:fitted])
    np.savez(folder / "test.npz", x=x[fitted:], y=y[order][fitted:])
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def project(files: dict[str, bytes], tmp_path: Path) -> Project:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return Project(tmp_path)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Writes arrays to an .npz file."""

    def save(name: str = "data.npz", **arrays: Any) -> Path:
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name

    return save
