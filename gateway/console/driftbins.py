"""What a drift monitor counts a series on, for people: each bin's name, and its share then and now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detectors.drift.bins import Bins
from detectors.drift.cells import ABOVE, BELOW, BINS, INNER, MISSING, RARE, SEEN
from detectors.drift.monitor import Monitor
from gateway.training.drift import FILE
from models.batch import Array

_BESIDE = {BELOW: "below all", ABOVE: "above all", RARE: "rare", MISSING: "missing"}


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin, or what lies beside them; shares of held-out rows and of the window's rows (None: no window)."""

    cell: int
    label: str
    reference: float
    now: float | None

    @property
    def inner(self) -> bool:
        """Whether it is one of the reference's bins, which are in order."""
        return INNER.start <= self.cell < INNER.stop


def read_monitor(folder: Path) -> Monitor | None:
    """The monitor in an endpoint's folder of a bundle; None where it has none, or one that can't be read.

    Files are not verified: `serve` does that.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as file:
            return Monitor.from_arrays({key: file[key] for key in file.files})
    except (OSError, KeyError, TypeError, ValueError):
        return None


def bins_of(monitor: Monitor, series: str, window: Array | None) -> tuple[Bin, ...]:
    """The bins of one series that held-out rows or the window fill; () for all series together.

    `window` (series, cells) are the counts of recent rows.
    """
    if series not in monitor.encoder.names:
        return ()
    index = monitor.encoder.names.index(series)
    reference = _shares(monitor.baseline.sums.counts[index])
    now = None if window is None or not window[index, SEEN].sum() else _shares(window[index])
    labels = bin_labels(monitor.encoder.bins, index)
    return tuple(
        Bin(cell, labels[cell], float(reference[cell]), None if now is None else float(now[cell]))
        for cell in range(MISSING + 1)
        if cell in labels and (_is_bin(cell) or reference[cell] > 0.0 or (now is not None and now[cell] > 0.0))
    )


def bin_labels(bins: Bins, series: int) -> dict[int, str]:
    """By cell: its value where it has but one, else the interval that it covers."""
    edges, cells = bins.edges[series], bins.cells[series]
    found = dict(_BESIDE)
    for gap in range(1, len(cells)):
        cell = int(cells[gap])
        if not _is_bin(cell) or cell in found or gap >= len(edges):
            continue
        low, high = float(edges[gap - 1]), float(edges[gap])
        single = np.nextafter(high, -np.inf) <= low
        found[cell] = f"{high:.4g}" if single else f"{low:.3g} – {high:.3g}"
    return found


def _is_bin(cell: int) -> bool:
    return 1 <= cell <= BINS


def _shares(counts: Array) -> Array:
    seen = counts[SEEN].astype(np.float64)
    return np.asarray(seen / max(float(seen.sum()), 1.0))
