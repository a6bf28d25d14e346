"""`watchgate drift`: what moved, since when, how far."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.output import AsJson, ConfigFile, note, print_json

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.tracking.drift.reading import Drift
    from gateway.tracking.drift.report import SeriesStatus
    from gateway.tracking.feedback.report import AccuracyStatus

PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Draw every series over time into this file (.png); needs matplotlib.")
]

_ACCURACY = ("accuracy", "low", "high", "expected", "window", "labels", "correct", "drifted")


def drift(
    config: ConfigFile = Path("watchgate.yaml"),
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only this endpoint.")] = None,
    plot: PlotFile = None,
    since: Annotated[str, typer.Option(help="How far back a plot goes: 45s, 10m, 2h, 3d, or 2026-05-01T12:00.")] = "1d",
    as_json: AsJson = False,
) -> None:
    """Tell of every endpoint whether its rows drift: which series, since when, and how far."""
    from gateway.configfile import read

    settings = read(config)
    named = _named(settings, endpoint)
    if plot is not None:
        _check(plot)
    found = _found(settings, named, since)
    if as_json:
        print_json({"endpoints": {one.endpoint: _document(one) for one in found}})
    elif not found:
        note("no endpoint is watched for drift: add `drift: {}` to it, and run `watchgate calibrate`")
    else:
        from gateway.cli.drifttable import show

        for one in found:
            show(one)
    if plot is not None:
        _draw(found, plot)


def _named(settings: Config, endpoint: str | None) -> list[str]:
    from gateway.errors import OperatorError
    from gateway.tracking.drift.reading import watched

    names = [name for name, each in settings.endpoints.items() if watched(each)]
    if endpoint is None:
        return names
    if endpoint not in names:
        known = ", ".join(names) or "none has it"
        raise OperatorError(f"--endpoint: expected one with `drift` ({known}), found {endpoint!r}")
    return [endpoint]


def _found(settings: Config, named: list[str], since: str) -> list[Drift]:
    from gateway.cli.since import instant_ns
    from gateway.errors import OperatorError
    from gateway.state.opening import shared_if_any
    from gateway.state.store import StoreError
    from gateway.tracking.drift.reading import Drift, bundle_of, read_drift

    since_s = (instant_ns("--since", since, time.time_ns()) or 0) / 1e9
    bundles = {name: bundle_of(settings, name) for name in named}
    try:
        with shared_if_any(settings) as store:
            return [
                Drift(name)
                if store is None or bundle is None
                else read_drift(store, name, bundle, settings.endpoints[name], since_s)
                for name, bundle in bundles.items()
            ]
    except StoreError as error:
        raise OperatorError(f"state: what replicas share can't be read now: {error}") from None


def _document(found: Drift) -> dict[str, Any]:
    status, accuracy = found.status, found.accuracy
    return {
        "drifted": found.drifted,
        "since": _moment(found.since_s),
        "series": [_row(one) for one in found.series],
        "at": None if status is None else _moment(status.at_s),
        "bundle": None if status is None else status.bundle,
        "rows": 0 if status is None else status.rows,
        "late_rows": 0 if status is None else status.late_rows,
        "accuracy": None if accuracy is None else _accuracy(accuracy),
        "trackers": [
            {"name": one.tracker, "detector": one.detector, "p_values": one.p_values, "error": one.error}
            for one in found.trackers
        ],
    }


def _accuracy(found: AccuracyStatus) -> dict[str, Any]:
    """Of the newest labels, and by the hour in which the rows were answered."""
    import msgspec

    told = msgspec.structs.asdict(found)
    over_time = [
        {
            "since": _moment(point.since_s),
            "until": _moment(point.until_s),
            "labels": point.labels,
            "correct": point.correct,
            "low": point.low,
            "high": point.high,
        }
        for point in found.points
    ]
    return {**{name: told[name] for name in _ACCURACY}, "over_time": over_time}


def _row(series: SeriesStatus) -> dict[str, Any]:
    return {
        "name": series.name,
        "statistic": series.statistic,
        "threshold": series.threshold,
        "drifted": series.drifted,
        "rows": series.rows,
        "kind": series.kind,
        "psi": series.psi,
        "since": _moment(series.since_s),
    }


def _moment(seconds: float | None) -> str | None:
    from gateway.cli.since import iso

    return None if seconds is None else iso(int(seconds * 1e9))


def _check(plot: Path) -> None:
    """Refuses before anything is printed."""
    from importlib.util import find_spec

    from gateway.errors import OperatorError

    if plot.suffix.lower() != ".png":
        raise OperatorError(f"--plot: expected a name that ends in .png, found {plot}")
    if find_spec("matplotlib") is None:
        raise OperatorError("--plot needs the package matplotlib, found none: pip install 'watchgate[plots]'")


def _draw(found: list[Drift], plot: Path) -> None:
    from gateway.cli.driftplot import draw
    from gateway.errors import OperatorError

    drawn = [one for one in found if one.history]
    if not drawn:
        note("nothing to draw: nothing was evaluated in this time")
        return
    try:
        shown, all_ = draw(drawn, plot)
    except OSError as error:
        raise OperatorError(f"--plot: {plot}: {error.strerror or error}") from None
    note(f"wrote {plot}" + ("" if shown == all_ else f" with the {shown} farthest of {all_} series"))
