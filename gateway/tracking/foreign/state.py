"""What is kept of somebody else's detector while nobody runs it: arrays, and nothing that could be code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.batch import Array


@dataclass(slots=True)
class Known:
    """`digest` is the saved folder's. `since_s`: since when it says that there is drift."""

    digest: str
    rows: int = 0
    since_s: float | None = None
    arrays: Mapping[str, Array] = field(default_factory=dict)


def pack(known: Known, arrays: Mapping[str, Array]) -> bytes:
    """As bytes, with the detector's own `arrays`."""
    file = io.BytesIO()
    since = np.nan if known.since_s is None else known.since_s
    facts = {"digest": np.array(known.digest), "rows": np.array(known.rows), "since": np.array(since)}
    np.savez_compressed(file, **facts, **{f"own.{name}": array for name, array in arrays.items()})
    return file.getvalue()


def unpack(packed: bytes | None, digest: str) -> Known:
    """What `pack` wrote; a new beginning where it is of another folder, or unreadable, or nothing."""
    if packed is None:
        return Known(digest)
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            if str(file["digest"]) != digest:
                return Known(digest)
            own = {name.removeprefix("own."): file[name] for name in file.files if name.startswith("own.")}
            since = float(file["since"])
            return Known(digest, int(file["rows"]), None if np.isnan(since) else since, own)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return Known(digest)
