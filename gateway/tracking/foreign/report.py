"""What somebody else's drift detector, run as a tracker, tells everybody."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.report import SeriesStatus


class TrackerStatus(msgspec.Struct, frozen=True):
    """One tracker of an endpoint at its last result; under compare-and-set as `tracker_name(...)`.

    `p_values` are as the detector told them of its last window, () of one that tells none. In `series` a p-value is
    told as -log10 of the smallest, so that more is more, as everywhere. `error` says why it gives no results.
    """

    endpoint: str
    bundle: str
    tracker: str
    detector: str
    at_s: float
    rows: int  # looked at since the start
    series: SeriesStatus | None = None
    p_values: tuple[float, ...] = ()
    error: str | None = None


def tracker_name(endpoint: str, bundle: str, tracker: str) -> str:
    """Where a tracker's status is kept."""
    return f"drift/tracker/{endpoint}/{bundle}/{tracker}"


def read_trackers(store: SharedStore, endpoint: str, bundle: str, trackers: Iterable[str]) -> tuple[TrackerStatus, ...]:
    """Those of the named trackers that have said something.

    Raises:
        StoreError: the store can't be read now.
    """
    kept = (store.load(tracker_name(endpoint, bundle, tracker)) for tracker in trackers)
    return tuple(msgspec.json.decode(each.value, type=TrackerStatus) for each in kept if each is not None)
