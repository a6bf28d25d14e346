"""What `calibrate` writes and `serve` loads: one folder an endpoint, and nothing in it is ever unpickled.

    <bundle>/<endpoint>/manifest.json         all that is not an array, with the sha256 of every other file
                        model-<digest>/...    the model, and the files its weights live in
                        stage-<i>.npz         what a detector learned, its tail map and its gate
                        purifier-<i>.npz      what a purifier learned
                        calibrated.npz        the chain statistic of the calibrate rows, for p-values
                        drift.npz             the drift monitor, where the config asks for one
                        sample.npz            some reference rows, for people to look at

A new bundle is written beside the old one, which stays until the new one is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from detectors.calibration import Gate, TailMap
from gateway.errors import BundleError
from gateway.training.fitted import FittedStage
from models.batch import Array, Arrays

FORMAT = 1
MANIFEST = "manifest.json"
RETRY = "run `watchgate calibrate`"
# What an endpoint is and does; the rest of a manifest (times, rates, versions) tells about it.
_MATTERS = ("format", "endpoint", "files", "model", "calibrated", "shadow", "cuts")


class Draft:
    """A bundle in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, str] = {}

    def add_model(self, main: Path, files: tuple[Path, ...]) -> Path:
        """Copies the model's files, keeping how they lie to each other. The main one's path in the bundle."""
        digests = [sha256(file) for file in files]
        home = Path(f"model-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}")
        for file in files:
            self._copy(file, home / os.path.relpath(file, main.parent))
        return home / main.name

    def _copy(self, source: Path, name: Path) -> None:
        target = self.folder / name
        if not target.resolve().is_relative_to(self.folder.resolve()):
            raise BundleError(f"{source}: expected a file in the model's own folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        self.files[name.as_posix()] = sha256(target)

    def add_arrays(self, name: str, arrays: Arrays) -> None:
        """Writes an `.npz` file.

        Raises:
            BundleError: an array holds Python objects, which could only be pickled.
        """
        for key, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise BundleError(f"{name}: {key}: expected numbers, found Python objects")
        np.savez(self.folder / name, **dict(arrays))
        self.files[name] = sha256(self.folder / name)

    def add_stage(self, index: int, stage: FittedStage) -> None:
        """Writes a frozen stage."""
        arrays = {f"detector.{key}": array for key, array in stage.arrays.items()} | stage.tail.to_arrays("tail.")
        if stage.gate is not None:
            arrays["gate"] = np.array([stage.gate.low, stage.gate.high])
        self.add_arrays(f"stage-{index}.npz", arrays)

    def write(self, manifest: Mapping[str, Any]) -> None:
        """Completes the draft with its manifest."""
        text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
        (self.folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


@contextmanager
def drafting(bundle: Path, endpoint: str) -> Iterator[Draft]:
    """A draft that takes the place of the endpoint's bundle when the block ends well, and else leaves no trace.

    Raises:
        BundleError: the folder can't be written, or the endpoint's name is no folder's.
    """
    final = bundle / _folder_name(endpoint)
    try:
        bundle.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=bundle))
        draft = Draft(work / "new")
        draft.folder.mkdir()
    except OSError as error:
        raise BundleError(f"{final}: can't be written: {error.strerror or error}") from error
    try:
        yield draft
        _swap(draft.folder, final, work / "old")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(new: Path, final: Path, old: Path) -> None:
    try:
        replaced = final.exists()
        if replaced:
            final.rename(old)
        try:
            new.rename(final)
        except OSError:
            if replaced:
                old.rename(final)
            raise
    except OSError as error:
        raise BundleError(f"{final}: can't be replaced: {error.strerror or error}") from error


class Bundle:
    """A bundle on disk whose every file is as it was written."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest

    @staticmethod
    def open(bundle: Path, endpoint: str) -> Bundle:
        """Reads the manifest and verifies all files.

        Raises:
            BundleError: it is missing, incomplete, altered, or of another version of this format.
        """
        folder = bundle / _folder_name(endpoint)
        manifest = _read_manifest(folder, endpoint)
        for name, digest in manifest["files"].items():
            file = folder / name
            if not file.resolve().is_relative_to(folder.resolve()):
                raise BundleError(f"{folder / MANIFEST}: files: expected paths inside the bundle, found {name!r}")
            if not file.is_file():
                raise BundleError(f"{file}: missing from the bundle; {RETRY}")
            if sha256(file) != digest:
                raise BundleError(f"{file}: is not the file that calibrate wrote; {RETRY}")
        return Bundle(folder, manifest)

    def arrays(self, name: str) -> dict[str, Array]:
        """The arrays of an `.npz` file; none if the bundle has no such file."""
        if name not in self.manifest["files"]:
            return {}
        with np.load(self.folder / name, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    def stage(self, index: int) -> tuple[dict[str, Array], TailMap, Gate | None]:
        """What a detector learned, the stage's tail map and its gate."""
        arrays = self.arrays(f"stage-{index}.npz")
        learned = {key.removeprefix("detector."): array for key, array in arrays.items() if key.startswith("detector.")}
        gate = Gate(*map(float, arrays["gate"])) if "gate" in arrays else None
        return learned, TailMap.from_arrays(arrays, "tail."), gate


def version_of(manifest: Mapping[str, Any]) -> str:
    """Twelve hex digits that change with anything that changes a verdict."""
    matters = {key: manifest[key] for key in _MATTERS}
    if "selected" in manifest:  # the stages, where `calibrate` chose them
        matters["selected"] = manifest["selected"]
    return hashlib.sha256(json.dumps(matters, sort_keys=True, allow_nan=False).encode()).hexdigest()[:12]


def sha256(file: Path) -> str:
    """The file's digest, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _read_manifest(folder: Path, endpoint: str) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, known = manifest["version"], manifest["format"] == FORMAT
        intact = manifest["endpoint"] == endpoint and version_of(manifest) == version
    except FileNotFoundError:
        raise BundleError(f"{path}: endpoint {endpoint!r} has no bundle; {RETRY}") from None
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BundleError(f"{path}: is no manifest of a bundle; {RETRY}") from None
    if not known:
        raise BundleError(f"{path}: expected format {FORMAT}, found {manifest['format']}; {RETRY}")
    if not intact:
        raise BundleError(f"{path}: is not the manifest that calibrate wrote; {RETRY}")
    return manifest


def _folder_name(endpoint: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", endpoint):
        raise BundleError(f"endpoints: expected a name of letters, digits, `_`, `-` and `.`, found {endpoint!r}")
    return endpoint
