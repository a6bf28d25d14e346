"""A drift detector that alibi-detect itself saved: `config.toml` beside arrays. An optional extra.

alibi-detect unpickles `.dill`, `.pt` and other files that a config names, which runs whatever code they hold. Without
trust only a config and plain arrays are loaded, and of a config only what can't name anything else. With trust, all
is, but only as it was when its digest was pinned. What was looked at is what is loaded: from a copy of those bytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defenses.base import Unsuitable
from detectors.alibi import seeded
from detectors.alibi_drift import SavedDrift

CONFIG = "config.toml"
_STATE = "state/state.npz"
_MODELS = frozenset({"model", "proj", "embedding", "tokenizer", "optimizer", "dataset"})
_WORD = re.compile(r"[A-Za-z0-9_@ .:-]*")


@dataclass(frozen=True, slots=True)
class Saved:
    """The files of a saved detector, by their path in its folder."""

    folder: Path
    files: Mapping[str, bytes]

    @staticmethod
    def read(folder: Path) -> Saved:
        """All there is in the folder.

        Raises:
            Unsuitable: it is no folder of a saved detector, or can't be read.
        """
        try:
            found = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
            saved = Saved(folder, {name: file.read_bytes() for name, file in sorted(found.items())})
        except OSError as error:
            raise Unsuitable(f"{folder}: can't be read: {error.strerror or error}") from error
        if CONFIG not in saved.files and not any(name.startswith("meta.") for name in saved.files):
            raise Unsuitable(f"{folder}: expected a folder that alibi-detect's `save_detector` wrote, with {CONFIG}")
        return saved

    @property
    def digest(self) -> str:
        """The sha256 of all names and contents, hexadecimal: what `sha256` pins."""
        lines = (f"{name}\0{hashlib.sha256(content).hexdigest()}\n" for name, content in self.files.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def refuse_code(self) -> None:
        """
        Raises:
            Unsuitable: a part is not an array, so that reading it may run code.
        """
        for name, content in self.files.items():
            if name != CONFIG and not _is_arrays(name, content):
                raise self._refused(name)
        for key, value in _flat(self._config()):
            if key.rpartition(".")[2] in _MODELS and value != "None":
                raise self._refused(f"{CONFIG}: {key}")
            plain = _WORD.fullmatch(value) is not None and Path(value).suffix not in (".dill", ".pt", ".pickle")
            if not plain or (value in self.files and not value.endswith(".npy")):
                raise self._refused(f"{CONFIG}: {key}")

    def refuse_unpinned(self, sha256: str) -> None:
        """
        Raises:
            Unsuitable: it is not what was pinned.
        """
        if self.digest != sha256:
            raise Unsuitable(f"{self.folder}: expected the sha256 {sha256}, found {self.digest}: it has changed")

    def load(self) -> SavedDrift:
        """The detector; what alibi-detect draws as it makes one is drawn from the digest: the same every time.

        From then on torch calculates on one core in this process.

        Raises:
            Unsuitable: alibi-detect is not installed, or can't load it.
        """
        try:
            from alibi_detect.saving import load_detector
        except ImportError as error:
            raise Unsuitable("trackers of kind alibi need alibi-detect: install watchgate[alibi]") from error
        with tempfile.TemporaryDirectory(prefix="watchgate-") as copy:
            for name, content in self.files.items():
                target = Path(copy) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            try:
                with _drawn(int(self.digest[:8], 16)):
                    return SavedDrift(load_detector(copy))
            except Exception as error:  # somebody else's code: whatever it raises is what is wrong with it
                said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                raise Unsuitable(f"{self.folder}: alibi-detect can't load it: {said}") from error

    def _config(self) -> Mapping[str, Any]:
        try:
            import toml  # type: ignore[import-untyped] # the one that alibi-detect reads it with
        except ImportError as error:
            raise Unsuitable("trackers of kind alibi need alibi-detect: install watchgate[alibi]") from error
        try:
            config: Mapping[str, Any] = toml.loads(self.files[CONFIG].decode())
        except ValueError as error:
            raise Unsuitable(f"{self.folder / CONFIG}: is not TOML: {error}") from error
        return config

    def _refused(self, part: str) -> Unsuitable:
        return Unsuitable(
            f"{self.folder}: {part}: is not an array, and reading it may run code; to load it all the same, say "
            f"`trust: true, sha256: {self.digest}`"
        )


def _is_arrays(name: str, content: bytes) -> bool:
    if not (name == _STATE or (name.endswith(".npy") and "/" not in name)):
        return False
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if name == _STATE:
            [loaded[key] for key in loaded.files]
    except (ValueError, OSError, EOFError):
        return False
    return True


def _flat(config: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    """Every text in it, by its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            if key in _MODELS:
                yield under + key, "a table"
            yield from _flat(value, f"{under}{key}.")
        else:
            values = value if isinstance(value, list) else [value]
            yield from ((under + key, each) for each in values if isinstance(each, str))


@contextmanager
def _drawn(seed: int) -> Iterator[None]:
    """Chance, numpy's and torch's, seeded inside and as before outside."""
    import torch

    torch.set_num_threads(1)  # it would take every core from those who answer
    with seeded(seed), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
