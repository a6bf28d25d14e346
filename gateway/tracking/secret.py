"""The deployment's secret: 32 random bytes in the state folder, made once, shared by all workers."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.errors import OperatorError

FILE = "queries.secret"
_LENGTH = 32


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


def _make(folder: Path, path: Path) -> None:
    """Whole or not at all: of several workers that start together, the first one's stays."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{FILE}.{os.getpid()}"
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_LENGTH))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
