"""Resident memory that a piece of work takes, as Linux itself counts it; imports nothing of watchgate."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

_PROCESS = Path("/proc/self")
_PEAK = "5"  # written to clear_refs: the high-water mark begins anew at what is resident

T = TypeVar("T")


class Resident:
    """Counts from what is resident as it is made; freed memory is given back to the system first (glibc)."""

    def __init__(self) -> None:
        self._before = _settled()

    def most(self) -> float:
        """The most megabytes above that, since it was made or this was last asked."""
        found = _kilobytes("VmHWM") - self._before
        _settled()
        return max(found, 0) * 1.024e-3


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """What `work` returns or raises in a process of its own, spawned: nothing of this one's memory is in it.

    Raises:
        BrokenProcessPool: the process died.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _settled() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    (_PROCESS / "clear_refs").write_text(_PEAK)
    return _kilobytes("VmRSS")


def _kilobytes(name: str) -> int:
    """Of 1,024 bytes."""
    lines = (_PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
