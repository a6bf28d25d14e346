"""One file of numbers a worker, and their sum over all workers that serve one state folder.

`<id>.json` holds a worker's numbers; `<id>.lock` is locked for as long as it lives. A file whose lock is free belongs
to a dead worker: the next to start adds it to `retired.json`. Writers replace files whole, readers hold a shared lock
on `lock` so that nobody folds files away while they add them up.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.metrics.families import family_of
from gateway.metrics.meter import Key, Numbers, added

_RETIRED = "retired"


class Tally:
    """This worker's share in a folder of numbers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.id = f"worker-{uuid.uuid4().hex}"
        self._alive: int | None = None  # a descriptor, locked for as long as the process lives
        with _locked(self.folder, fcntl.LOCK_EX):
            self._alive = _try_lock(self._path(self.id, "lock"))
            self._retire()

    def write(self, numbers: Numbers) -> None:
        """Puts this worker's numbers on disk."""
        _dump(self._path(self.id, "json"), numbers)

    def total(self) -> Numbers:
        """The sum over all workers, dead ones included (without their gauges)."""
        return total(self.folder)

    def close(self) -> None:
        """Leaves the numbers behind for the next worker to fold in."""
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

    def _retire(self) -> None:
        dead = _dead(self.folder)
        if not dead:
            return
        files = [path.with_suffix(".json") for path in dead]
        kept = added([_load(self._path(_RETIRED, "json")), *map(_load, files)])
        _dump(self._path(_RETIRED, "json"), _counters(kept))
        for path in (*files, *dead):
            path.unlink(missing_ok=True)

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"


def total(folder: Path) -> Numbers:
    """The sum over all workers that ever served this folder; {} where none did. For any process to ask."""
    if not folder.is_dir():
        return {}
    with _locked(folder, fcntl.LOCK_SH):
        dead = {path.with_suffix(".json") for path in _dead(folder)}
        files = folder.glob("*.json")
        return added(_counters(_load(path)) if path in dead else _load(path) for path in files)


def _dead(folder: Path) -> list[Path]:
    """The lock files that nobody holds."""
    dead = []
    for path in folder.glob("worker-*.lock"):
        held = _try_lock(path)
        if held is not None:
            os.close(held)
            dead.append(path)
    return dead


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, how)
        yield


def _counters(numbers: Numbers) -> Numbers:
    """Those that outlive a worker: not gauges, nor what all workers say of something that they share."""
    return {
        each: value
        for each, value in numbers.items()
        if (family := family_of(each[0])) and family.kind != "gauge" and not family.largest
    }


def _try_lock(path: Path) -> int | None:
    """The open and locked file's descriptor; None while a living worker holds it."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _dump(path: Path, numbers: Numbers) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([[name, dict(labels), value] for (name, labels), value in numbers.items()]))
    os.replace(draft, path)


def _load(path: Path) -> Numbers:
    try:
        rows = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    found: dict[Key, float] = {}
    for name, labels, value in rows:
        found[name, tuple(sorted(labels.items()))] = value
    return found
