"""The demo's folder: only what the demo wrote is ever replaced."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import OperatorError

MARK = ".watchgate-demo"
MADE = ("digits.onnx", "train.npz", "test.npz", "watchgate.yaml", "request.json", "server.log", "bundle", "state")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the demo keeps its files."""

    path: Path

    @staticmethod
    def prepare(path: Path) -> Folder:
        """The folder, new or emptied of what an earlier demo left.

        Raises:
            OperatorError: it holds files and no demo made it.
        """
        mark = path / MARK
        if path.exists() and not path.is_dir():
            raise OperatorError(f"{path}: expected a folder, found a file")
        if path.is_dir() and not mark.is_file() and any(path.iterdir()):
            raise OperatorError(f"{path}: holds files that no demo made; choose another --dir")
        try:
            path.mkdir(parents=True, exist_ok=True)
            mark.write_text("made by `watchgate demo`, which replaces its files here\n")
            for name in MADE:
                _remove(path / name)
        except OSError as error:
            raise OperatorError(f"{error.filename or path}: {error.strerror}") from None
        return Folder(path)

    def __truediv__(self, name: str) -> Path:
        """A file the demo may write."""
        if name not in MADE:
            raise ValueError(f"{name!r} is not one of the demo's files")
        return self.path / name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
