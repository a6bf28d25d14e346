"""`/drift`: each series over time, which moved farthest, its bins then and now, accuracy where labels came."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from detectors.drift.describe import Description, describe
from detectors.drift.encoder import TOGETHER
from detectors.drift.monitor import Monitor
from detectors.drift.state import Window
from gateway.console.accuracy import accuracy_plot
from gateway.console.course import courses
from gateway.console.driftbins import Bin, bins_of
from gateway.console.driftplots import bars, over_time, share_over_time, small
from gateway.console.rendering import message, render, source_of
from gateway.console.source import Source
from gateway.console.standing import Standing
from gateway.state.shared.store import SharedStore
from gateway.tracking.drift.reading import Drift, read_drift, read_sums, read_window, watched

RANGES_S = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400}
_DEFAULT = "1h"
_ALARMS = 50
CLASS = "class"
KINDS = {
    "shift": "Have values become larger or smaller",
    "shape": "Are the bins filled otherwise",
    "outside": "Are more or fewer values out of range, rare or missing",
    "joint": "Do columns go together otherwise",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; `series` and `label` (of a predicted class) are `""` where it does not."""

    endpoint: str
    series: str
    label: str
    range: str

    def address(self, **other: str) -> str:
        """The end of an address that asks for the same, but for what is stated."""
        fields = {"endpoint": self.endpoint, "series": self.series, "class": self.label, "range": self.range}
        return urlencode({name: value for name, value in {**fields, **other}.items() if value})


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the store and the bundle know of an endpoint. `counts`: when a bucket began, rows of the class, all rows."""

    drift: Drift
    monitor: Monitor | None = None
    window: Window | None = None
    counts: Sequence[tuple[float, int, int]] = ()


def page(request: Request) -> Response:
    """The whole page."""
    source = source_of(request)
    names = [name for name, each in source.config.endpoints.items() if watched(each)]
    if not names:
        return message(request, 404, "Not watched", "No endpoint has the key `drift`: nothing is watched for drift.")
    params = request.query_params
    named, range_ = params.get("endpoint", ""), params.get("range", "")
    asked = Asked(
        named if named in names else names[0],
        params.get("series", ""),
        params.get("class", ""),
        range_ if range_ in RANGES_S else _DEFAULT,
    )
    now_s = time.time()
    seen = _seen(source, asked, now_s)
    context = {**_series(seen, asked, now_s), **_labels(seen, asked, now_s)}
    template = "drift_part.html" if "part" in params else "drift.html"
    asks = source.config.endpoints[asked.endpoint].drift is not None
    fixed: dict[str, Any] = {"watched": names, "ranges": RANGES_S, "kinds": KINDS, "asks": asks}
    return render(request, template, asked=asked, seen=seen, **fixed, **context)


def _seen(source: Source, asked: Asked, now_s: float) -> Seen:
    bundle, monitor = source.monitor(asked.endpoint)
    with source.shared() as store:
        if store is None or bundle is None:
            return Seen(Drift(asked.endpoint), monitor)
        settings = source.config.endpoints[asked.endpoint]
        drift = read_drift(store, asked.endpoint, bundle, settings, now_s - RANGES_S[asked.range])
        if monitor is None:
            return Seen(drift)
        window = read_window(store, asked.endpoint, bundle)
        return Seen(drift, monitor, window, _counts(store, asked, bundle, monitor, now_s))


def _counts(
    store: SharedStore, asked: Asked, bundle: str, monitor: Monitor, now_s: float
) -> list[tuple[float, int, int]]:
    """Of each bucket with rows: when it began, rows of the class that is asked for, and all."""
    cells = {one.label: one.cell for one in bins_of(monitor, CLASS, None)}
    if asked.label not in cells:
        return []
    index, cell = monitor.encoder.names.index(CLASS), cells[asked.label]
    found = read_sums(store, asked.endpoint, bundle, len(monitor.encoder.names), now_s - RANGES_S[asked.range])
    return [(began_s, int(sums.counts[index, cell]), sums.rows) for began_s, sums in found]


def _series(seen: Seen, asked: Asked, now_s: float) -> dict[str, Any]:
    """The series by rank, and all there is of the chosen one: else of the farthest."""
    start_s, ranked = now_s - RANGES_S[asked.range], seen.drift.series
    chosen = next((one for one in ranked if one.name == asked.series), None)
    chosen = chosen or next((one for one in ranked if one.name != TOGETHER), None)
    drawn = courses(seen.drift)
    counts = None if seen.window is None else seen.window.sums.counts
    bins: Sequence[Bin] = ()
    if seen.monitor is not None and chosen is not None:
        bins = bins_of(seen.monitor, chosen.name, counts)
    course = None if chosen is None else drawn.get(chosen.name)
    return {
        "standing": Standing(True, seen.drift),
        "address": asked.address(),
        "links": {one.name: asked.address(series=one.name) for one in ranked},
        "ranked": ranked,
        "chosen": chosen,
        "small": {name: small(each, start_s, now_s) for name, each in drawn.items()},
        "large": None if course is None else over_time(course, start_s, now_s),
        "bins": bins,
        "bars": bars(bins, chosen.name) if bins and chosen is not None else None,
        "measures": _measures(seen, "" if chosen is None else chosen.name),
        "alarms": seen.drift.alarms[:_ALARMS],
    }


def _measures(seen: Seen, name: str) -> Description | None:
    """All measures of the chosen series on the largest window."""
    if seen.monitor is None or seen.window is None:
        return None
    names = seen.monitor.encoder.names
    found = describe(names, seen.monitor.baseline, seen.window.sums)
    return next((one for one in found if one.series == name), None)


def _labels(seen: Seen, asked: Asked, now_s: float) -> dict[str, Any]:
    """The predicted classes to choose from, the chosen one's share over time, and the accuracy."""
    classes = [] if seen.monitor is None else bins_of(seen.monitor, CLASS, None)
    chosen = next((one for one in classes if one.label == asked.label), None)
    plot: Markup | None = None
    if chosen is not None and seen.counts:
        plot = share_over_time(seen.counts, chosen, now_s - RANGES_S[asked.range], now_s)
    return {
        "classes": classes,
        "label": chosen,
        "label_plot": plot,
        "accuracy": seen.drift.accuracy,
        "accuracy_plot": None if seen.drift.accuracy is None else accuracy_plot(seen.drift.accuracy),
    }
