"""The zip archive that a `.pt2` file is: which entries it may hold, and a clean one written anew."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.errors import ModelError, UnsafeModel

__all__ = ["CONSTANTS", "PROGRAM", "WEIGHTS", "read_archive", "write_archive"]

PROGRAM = "models/model.json"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"
SAMPLES = "data/sample_inputs/model.pt"

READ = re.compile(
    r"archive_format|archive_version|byteorder|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
)
IGNORED = re.compile(r"version|\.data/\w+|\.format_version|\.storage_alignment|extra/.*")
PICKLED = re.compile(r"data/(weights|constants)/.*|data/sample_inputs/.*|.*\.(pt|pth|pkl|pickle|bin)")
# What honest sample inputs are made of. They are not loaded: this only tells an attack from a sample.
SAMPLE_GLOBALS = re.compile(
    r"torch\._utils _rebuild_\w+|torch \w+Storage|torch (device|Size|\w*float\w*|u?int\d+|bool)"
    r"|torch\._tensor _rebuild_from_type_v2|torch Tensor"
    r"|torch\.nn\.parameter Parameter|torch\.storage \w+Storage|collections OrderedDict"
)


def read_archive(path: Path) -> dict[str, bytes]:
    """The entries by name, without the folder that they all lie in.

    Raises:
        UnsafeModel: an entry that is or may be a pickle, compiled code, or not what `torch.export.save` writes.
        ModelError: no file, or not a `torch.export` file.
    """
    if not path.is_file():
        raise ModelError(f"model: expected a file, found none at {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(info) for name, info in _listed(archive, path.stat().st_size)}
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError) as error:
        raise ModelError(f"model: expected a file of torch.export.save in {path.name}, found none ({error})") from None
    if entries.get("archive_format") != b"pt2" or entries.get("byteorder", b"little") != b"little":
        raise ModelError(f"model: expected a .pt2 file of torch.export.save (torch 2.9 or later) in {path.name}")
    if PROGRAM not in entries:
        raise ModelError(f"model: expected one exported program, {PROGRAM}, in {path.name}, found none")
    _check_samples(entries.pop(SAMPLES, b""))
    return entries


def write_archive(entries: Mapping[str, bytes]) -> bytes:
    """An archive of these entries and the few that torch asks for beside them."""
    fixed = {
        "archive_format": b"pt2",
        "byteorder": b"little",
        ".data/version": b"6\n",
        SAMPLES: b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**fixed, **entries}.items():
            # A fixed date: the same model gives the same bytes, and so the same digest.
            archive.writestr(zipfile.ZipInfo(f"model/{name}", (1980, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def _listed(archive: zipfile.ZipFile, file_bytes: int) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """The entries to read. None is compressed, so all of them together are no larger than the file."""
    infos = archive.infolist()
    if sum(info.file_size for info in infos) > file_bytes:
        raise UnsafeModel("model: expected entries no larger than the file, found more (compressed or overlapping)")
    root = infos[0].filename.split("/")[0] + "/" if infos else ""
    seen: set[str] = set()
    for info in infos:
        name = info.filename.removeprefix(root)
        if name in seen or not info.filename.startswith(root) or ".." in name.split("/"):
            raise UnsafeModel(f"model: expected one folder of distinct entries, found {info.filename!r}")
        seen.add(name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise UnsafeModel(f"model: expected entries as torch stores them, found {name!r} compressed or encrypted")
        if READ.fullmatch(name):
            yield name, info
        elif not IGNORED.fullmatch(name):
            what = "a pickle, which runs code when it is loaded" if PICKLED.fullmatch(name) else "code or data"
            raise UnsafeModel(f"model: expected one exported program and raw tensors, found {name!r} ({what})")


def _check_samples(pickled: bytes) -> None:
    """Looks at sample inputs without loading them: the names that their pickle would call."""
    if not pickled:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(pickled)) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
            if any(info.file_size > len(pickled) for info in infos):
                raise UnsafeModel("model: expected sample inputs as torch stores them, found them compressed")
            called = [name for info in infos for name in _globals(archive.read(info))]
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        if isinstance(error, UnsafeModel):
            raise
        raise UnsafeModel("model: expected sample inputs that torch saved, found another pickle") from None
    for name in called:
        if not SAMPLE_GLOBALS.fullmatch(name):
            raise UnsafeModel(f"model: expected tensors as sample inputs, found a pickle that calls {name!r}")


def _globals(pickled: bytes) -> Iterator[str]:
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            yield str(argument)
        elif opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            yield opcode.name
