"""The file of API keys: only hashes are in it. A key is `wg_<id>_<secret>`; its id finds the entry in the file."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.errors import OperatorError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,63}")
_RECHECK_S = 1.0
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Key:
    """An entry: `sha256` of the whole key, hexadecimal. Times are seconds since 1970; `expires` 0 is never.

    `operator` keys open what isn't for callers.
    """

    id: str
    name: str
    sha256: str
    created: float
    expires: float = 0.0
    operator: bool = False

    def live(self, now: float) -> bool:
        """Whether it opens anything now."""
        return not self.expires or now < self.expires


def new_key(name: str, now: float, expires: float = 0.0, *, operator: bool = False) -> tuple[str, Key]:
    """A random key of 256 bits, and its entry.

    Raises:
        OperatorError: the name is none that a principal can have.
    """
    if not NAME.fullmatch(name):
        raise OperatorError(
            f"name: expected a letter, then letters, digits, `_`, `.`, `@` and `-`, 64 at most, found {name!r}"
        )
    id_ = secrets.token_hex(4)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    key = f"wg_{id_}_{secret}"
    return key, Key(id_, name, _digest(key), now, expires, operator)


def read(path: Path) -> dict[str, Key]:
    """The entries by id.

    Raises:
        OperatorError: there is no such file, or it is no file of keys.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = [Key(**entry) for entry in document["keys"]]
        if not all(isinstance(key.sha256, str) and len(key.sha256) == 64 and NAME.fullmatch(key.name) for key in found):
            raise ValueError("an entry is not one")
    except FileNotFoundError:
        raise OperatorError(
            f"{path}: expected a file of keys, found none: `watchgate keys add NAME` makes it"
        ) from None
    except OSError as error:
        raise OperatorError(f"{path}: can't be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise OperatorError(f"{path}: expected a file that `watchgate keys` wrote") from None
    return {key.id: key for key in found}


@contextmanager
def editing(path: Path) -> Iterator[dict[str, Key]]:
    """The entries, to be changed in place and written back whole; nobody else edits meanwhile.

    Raises:
        OperatorError: the file can't be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = read(path) if path.exists() else {}
            yield keys
            _write(path, keys)
    except OSError as error:
        raise OperatorError(f"{path}: can't be written: {error.strerror or error}") from error


def _write(path: Path, keys: dict[str, Key]) -> None:
    draft = path.with_name(path.name + ".draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"keys": [asdict(key) for key in keys.values()]}, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def revoked(key: Key, now: float) -> Key:
    """The key, no longer live."""
    return replace(key, expires=min(key.expires or now, now))


@dataclass(slots=True)
class Keys:
    """The keys of a file, read again within a second of a change. A file that becomes unreadable changes nothing."""

    path: Path
    _known: dict[str, Key] = field(init=False)
    _stamp: tuple[int, ...] = field(init=False)
    _checked: float = field(init=False)

    def __post_init__(self) -> None:
        self._stamp = self._stat()
        self._known = read(self.path)
        self._checked = time.monotonic()

    def find(self, presented: str) -> Key | None:
        """The live entry of this key. The time it takes does not depend on how much of a wrong secret is right."""
        if time.monotonic() - self._checked > _RECHECK_S:
            self._look()
        parts = presented.split("_", 2)
        entry = self._known.get(parts[1]) if len(parts) == 3 and parts[0] == "wg" else None
        same = hmac.compare_digest(_digest(presented), entry.sha256 if entry is not None else _NO_DIGEST)
        return entry if same and entry is not None and entry.live(time.time()) else None

    def _look(self) -> None:
        self._checked = time.monotonic()
        try:
            stamp = self._stat()
            if stamp != self._stamp:
                self._known, self._stamp = read(self.path), stamp
        except OperatorError:
            pass  # it is being replaced, or broken: the keys that were known go on

    def _stat(self) -> tuple[int, ...]:
        try:
            found: Any = self.path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
