"""A picture of drift: each series' statistic over time, its threshold, when it drifted, and its alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from gateway.cli.output import safe
from gateway.tracking.drift.reading import Drift, farthest_first, level
from gateway.tracking.drift.report import DriftAlarm, SeriesStatus

MOST = 12  # series of an endpoint that are drawn
_COLUMNS = 3
_CALM, _LOUD, _OVER = "#2f6fde", "#c62828", "#8a8f98"


@dataclass(frozen=True, slots=True)
class _Drawn:
    title: str
    times: list[datetime]
    points: list[SeriesStatus]
    alarms: list[DriftAlarm]


def draw(found: Sequence[Drift], file: Path) -> tuple[int, int]:
    """Writes the PNG of endpoints that have a history; how many series it shows, and how many there are.

    Raises:
        OSError: the file can't be written.
    """
    shown = [drawn for one in found for drawn in _chosen(one, many=len(found) > 1)]
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(13.0, 1.2 + 2.3 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True)
    for axes, drawn in zip(grid.flat, shown, strict=False):
        _series(axes, drawn)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    _legend(figure, grid.flat[0])
    figure.savefig(file, dpi=110, format="png")
    return len(shown), sum(len(one.history[-1].series) for one in found)


def _chosen(found: Drift, *, many: bool) -> list[_Drawn]:
    """The series that were farthest at any time, with their course."""
    farthest: dict[str, SeriesStatus] = {}
    for status in found.history:
        for one in status.series:
            known = farthest.get(one.name)
            farthest[one.name] = one if known is None or level(one) > level(known) else known
    names = [one.name for one in farthest_first(farthest.values())][:MOST]
    course: dict[str, tuple[list[datetime], list[SeriesStatus]]] = {name: ([], []) for name in names}
    for status in found.history:
        at = datetime.fromtimestamp(status.at_s).astimezone()
        for one in status.series:
            if one.name in course:
                course[one.name][0].append(at)
                course[one.name][1].append(one)
    first, last = found.history[0], found.history[-1]
    mine = [alarm for alarm in found.alarms if alarm.bundle == last.bundle and first.at_s <= alarm.at_s <= last.at_s]
    return [
        _Drawn(
            safe(f"{found.endpoint}: {name}" if many else name),
            *course[name],
            [alarm for alarm in mine if alarm.series == name],
        )
        for name in names
    ]


def _series(axes: Axes, drawn: _Drawn) -> None:
    times: Any = drawn.times  # matplotlib takes dates wherever it takes numbers
    statistics = [one.statistic for one in drawn.points]
    thresholds = [one.threshold for one in drawn.points]
    drifted = [one.drifted for one in drawn.points]
    axes.fill_between(
        times, 0, 1, where=drifted, transform=axes.get_xaxis_transform(), color=_LOUD, alpha=0.1, label="drifted"
    )
    axes.plot(times, statistics, color=_CALM, linewidth=1.3, label="statistic")
    axes.plot(times, thresholds, color=_OVER, linewidth=1.1, linestyle="--", drawstyle="steps-post", label="threshold")
    for alarm in drawn.alarms:
        at: Any = datetime.fromtimestamp(alarm.at_s).astimezone()
        marker = "v" if alarm.started else "^"
        color = _LOUD if alarm.started else _CALM
        axes.plot([at], [alarm.statistic], marker=marker, color=color, markersize=7, linestyle="none")
    axes.set_title(drawn.title, fontsize=10, loc="left", color=_LOUD if drifted[-1] else "black", parse_math=False)
    axes.set_ylim(0.0, 1.1 * max(*statistics, *thresholds, 1e-9))
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz=drawn.times[-1].tzinfo)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(labelsize=8, labelbottom=True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    marks: Any = [
        axes.plot([], [], marker=marker, color=color, linestyle="none")[0]
        for marker, color in (("v", _LOUD), ("^", _CALM))
    ]
    figure.legend(
        [*handles, *marks],
        [*labels, "alarm", "alarm ends"],
        loc="outside upper right",
        ncols=5,
        fontsize=9,
        frameon=False,
    )
    figure.suptitle("Drift: statistic in standard errors", x=0.01, ha="left", fontsize=12)
