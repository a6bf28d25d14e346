"""A stage's honest scores as a histogram, with its thresholds and one row's score; and as a curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from markupsafe import Markup

from detectors.calibration import CERTAIN, TailMap
from gateway.console.calibration import extent, shares
from gateway.console.svg import el, label, line, picture
from gateway.state.record import Number
from gateway.telemetry.summary import score_text
from models.batch import Array

_BINS = 44
_WIDTH, _HEIGHT, _BASE = 260.0, 64.0, 50.0
_CURVE = (360.0, 150.0, 44.0, 8.0, 10.0, 24.0)  # width, height, left, right, top, bottom
_LEAST = 1e-4  # probability at the foot of a curve


def histogram(tail: TailMap, flag: Number, reject: Number, score: Number, name: str) -> Markup | None:
    """Honest scores, where this stage alone flags and rejects, and this row's score; None where all scores are one."""
    if len(tail.knots) < 3:
        return None
    low, high = extent(tail, (flag, reject, score))
    ends = np.linspace(low, high, _BINS + 1)
    heights = np.sqrt(shares(tail, ends))
    heights = heights / max(float(heights.max()), 1e-12) * (_BASE - 8.0)
    wide = _WIDTH / _BINS
    drawn = [(i * wide, h) for i, h in enumerate(heights.tolist()) if h > 0.05]
    bars = [f"M{x:.2f} {_BASE:g}v{-h:.2f}h{wide - 0.6:.2f}v{h:.2f}z" for x, h in drawn]
    parts = [el("path", d="".join(bars) or "M0 0", class_="bar")]
    parts.append(el("line", x1=0.0, x2=_WIDTH, y1=_BASE, y2=_BASE, class_="axis"))
    for value, class_ in ((flag, "flag"), (reject, "reject")):
        if value is not None and low <= value <= high:
            x = _WIDTH * (value - low) / (high - low)
            parts.append(el("line", x1=x, x2=x, y1=4.0, y2=_BASE, class_=f"cut {class_}"))
    parts += [label(0, _HEIGHT - 2, f"{low:.3g}"), label(_WIDTH, _HEIGHT - 2, f"{high:.3g}", "end")]
    if score is not None:
        parts.append(_marker(score, low, high))
    said = f"honest scores of {name} from {low:.3g} to {high:.3g}; this row scored {score_text(score)}"
    return picture(_WIDTH, _HEIGHT, said, *parts, class_="plot histogram")


def _marker(score: float, low: float, high: float) -> Markup:
    """A pointer at the score; an arrow at the edge where it lies beyond."""
    x = _WIDTH * min(max((score - low) / (high - low), 0.0), 1.0)
    if score > high:
        points = f"{x - 9},{_BASE - 14} {x},{_BASE - 9} {x - 9},{_BASE - 4}"
    elif score < low:
        points = f"{x + 9},{_BASE - 14} {x},{_BASE - 9} {x + 9},{_BASE - 4}"
    else:
        points = f"{x - 5},{_HEIGHT - 6} {x + 5},{_HEIGHT - 6} {x},{_BASE}"
        return el("line", x1=x, x2=x, y1=4.0, y2=_BASE, class_="marker") + el("polygon", points=points, class_="marker")
    return el("polygon", points=points, class_="marker")


def tail_curve(tail: TailMap, flag: Number, reject: Number, name: str) -> Markup | None:
    """How rare a score this high is among honest rows, on a logarithmic scale; None where all scores are one."""
    if len(tail.knots) < 3:
        return None
    low, high = extent(tail, (flag, reject))
    scores = np.linspace(low, high, 121)
    said = f"share of honest rows with at least this score of {name}"
    cuts = [(value, class_) for value, class_ in ((flag, "flag"), (reject, "reject")) if value is not None]
    return _curve(scores, tail(scores), said, cuts, lambda value: f"{value:.3g}")


def chain_curve(statistic: Array, flag: float | None, reject: float | None) -> Markup | None:
    """The share of calibrate rows whose chain statistic lies below each value, both logarithmic."""
    if len(statistic) < 3:
        return None
    low = min([v for v in (reject, flag) if v and v > 0] + [float(statistic[0])]) / 3
    if low <= 0:
        return None
    values = np.geomspace(low, 1.0, 121)
    below = np.searchsorted(statistic, values, side="left") / len(statistic)
    cuts = [(float(np.log10(v)), class_) for v, class_ in ((flag, "flag"), (reject, "reject")) if v and v > 0]
    said = "share of calibrate rows with a chain statistic below each value"
    return _curve(np.log10(values), below, said, cuts, lambda value: f"{10**value:.2g}")


def _curve(
    xs: Array, shares_: Array, said: str, cuts: list[tuple[float, str]], write: Callable[[float], str]
) -> Markup:
    width, height, left, right, top, bottom = _CURVE
    low, high = float(xs[0]), float(xs[-1])

    def at(x: float, share: float) -> tuple[float, float]:
        up = 1.0 - np.log10(max(share, _LEAST)) / np.log10(_LEAST)
        across = (min(max(x, low), high) - low) / max(high - low, 1e-12)
        return left + across * (width - left - right), height - bottom - up * (height - top - bottom)

    parts = []
    for share in (1.0, 0.1, 0.01, 0.001, _LEAST):
        (x1, y), (x2, _) = at(low, share), at(high, share)
        parts += [el("line", x1=x1, x2=x2, y1=y, y2=y, class_="grid"), label(left - 5, y + 3.5, _percent(share), "end")]
    for value, class_ in cuts:
        if low <= value <= high and abs(value) < CERTAIN:
            x, _ = at(value, 1.0)
            parts.append(el("line", x1=x, x2=x, y1=top, y2=height - bottom, class_=f"cut {class_}"))
    points = [at(x, share) for x, share in zip(xs.tolist(), shares_.tolist(), strict=True) if share > _LEAST / 2]
    parts.append(line(points, "plain"))
    for value, anchor in ((low, "start"), ((low + high) / 2, "middle"), (high, "end")):
        parts.append(label(at(value, 1.0)[0], height - 8, write(value), anchor))
    return picture(width, height, said, *parts)


def _percent(share: float) -> str:
    return f"{100 * share:g}%"
