"""The deployment's secret: 32 random bytes, made once, shared by all workers; those of several hosts agree on one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Protocol

from gateway.errors import OperatorError

FILE = "queries.secret"
_LENGTH = 32


class Agreeing(Protocol):
    """Where hosts agree."""

    def secret(self, ours: bytes) -> bytes:
        """`ours`, unless another host was first."""
        ...


def secret(folder: Path) -> bytes:
    """Reads the secret; makes it where there is none.

    Raises:
        OperatorError: the folder can't be read or written, or the file holds something else.
    """
    path = folder / FILE
    try:
        if not path.exists():
            _make(folder, path)
        found = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: can't be read or written: {error.strerror or error}") from error
    if len(found) != _LENGTH:
        raise OperatorError(f"{path}: expected {_LENGTH} bytes, found {len(found)}: remove it, and a new one is made")
    return found


def agreed(folder: Path, others: Agreeing) -> bytes:
    """The secret that all hosts have: this host's, unless another one was first. The folder's becomes the same.

    Raises:
        OperatorError: as `secret`.
        StoreError: what the others have can't be told now.
    """
    ours = secret(folder)
    found = others.secret(ours)
    if found != ours:
        _write(folder, found).replace(folder / FILE)
    return found


def _make(folder: Path, path: Path) -> None:
    """Whole or not at all: of several workers that start together, the first one's stays."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = _write(folder, secrets.token_bytes(_LENGTH))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _write(folder: Path, content: bytes) -> Path:
    draft = folder / f"{FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return draft
