"""Curves over time: the share stopped against its budget, requests a second, latency."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from markupsafe import Markup

from gateway.console.overview import Overview, Step
from gateway.console.svg import area, el, label, line, picture

_WIDTH, _HEIGHT = 360.0, 132.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 8.0, 20.0
Curve = Sequence[tuple[float, float]]


class Frame:
    """Where time and values lie in a picture so `width` and `height`; values from 0 to `top`."""

    def __init__(
        self, start_s: float, end_s: float, top: float, width: float = _WIDTH, height: float = _HEIGHT
    ) -> None:
        self.start_s, self.end_s, self.top = start_s, max(end_s, start_s + 1), top
        self.width, self.height = width, height

    def at(self, moment_s: float, value: float) -> tuple[float, float]:
        """The point of the picture."""
        across = (moment_s - self.start_s) / (self.end_s - self.start_s)
        up = min(value / self.top, 1.0)
        inside = self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM
        return _LEFT + across * inside[0], self.height - _BOTTOM - up * inside[1]

    def level(self, value: float, class_: str) -> Markup:
        """A line across the whole picture."""
        (x1, y), (x2, _) = self.at(self.start_s, value), self.at(self.end_s, value)
        return el("line", x1=x1, x2=x2, y1=y, y2=y, class_=class_)

    def axes(self, write: Callable[[float], str]) -> Markup:
        """Lines and labels for values, labels for times."""
        parts = []
        for value in (0.0, self.top / 2, self.top):
            x, y = self.at(self.start_s, value)
            parts += [self.level(value, "grid"), label(x - 5, y + 3.5, write(value), "end")]
        form = "%H:%M" if self.end_s - self.start_s <= 86_400 else "%d %b"
        for moment, anchor in (
            (self.start_s, "start"),
            ((self.start_s + self.end_s) / 2, "middle"),
            (self.end_s, "end"),
        ):
            x, _ = self.at(moment, 0.0)
            parts.append(label(x, self.height - 5, time.strftime(form, time.localtime(moment)), anchor))
        return Markup("").join(parts)


def shares(seen: Overview, end_s: float) -> Markup:
    """Flagged and rejected shares of rows over time, and the budgets."""
    flagged = _curve(seen.steps, lambda step: step.added.suspicious / step.added.rows if step.added.rows else None)
    rejected = _curve(seen.steps, lambda step: step.added.rejected / step.added.rows if step.added.rows else None)
    most = max([value for _, value in flagged] + [seen.facts.flag_budget or 0.0, 0.01])
    frame = Frame(end_s - seen.range_s, end_s, min(round_up(1.15 * most), 1.0))
    parts = [frame.axes(lambda value: f"{value:.0%}" if frame.top > 0.05 else f"{value:.1%}")]
    parts += [_surface(frame, flagged, "flag"), _surface(frame, rejected, "reject")]
    if seen.facts.flag_budget is not None and seen.facts.reject_budget is not None:
        parts += [
            frame.level(seen.facts.flag_budget, "budget flag"),
            frame.level(seen.facts.reject_budget, "budget reject"),
        ]
    return picture(_WIDTH, _HEIGHT, f"share of rows of {seen.endpoint} flagged and rejected over time", *parts)


def rate(seen: Overview, end_s: float) -> Markup:
    """Requests a second over time."""
    curve = _curve(seen.steps, lambda step: step.added.requests / max(step.end_s - step.start_s, 1))
    frame = Frame(end_s - seen.range_s, end_s, round_up(1.1 * max([value for _, value in curve] + [1.0])))
    axes = frame.axes(lambda value: f"{value:g}")
    return picture(_WIDTH, _HEIGHT, f"requests a second of {seen.endpoint}", axes, _surface(frame, curve, "plain"))


def latency(seen: Overview, end_s: float) -> Markup:
    """Median and 99th percentile of the answer time, in milliseconds."""
    median = _curve(seen.steps, lambda step: step.added.quantile_ms(0.5))
    slow = _curve(seen.steps, lambda step: step.added.quantile_ms(0.99))
    frame = Frame(end_s - seen.range_s, end_s, round_up(1.1 * max([value for _, value in slow] + [1.0])))
    axes = frame.axes(lambda value: f"{value:g}")
    lines = [line([frame.at(*point) for point in curve], name) for name, curve in (("p99", slow), ("p50", median))]
    return picture(_WIDTH, _HEIGHT, f"answer times of {seen.endpoint} in milliseconds", axes, *lines)


def _curve(steps: Sequence[Step], value: Callable[[Step], float | None]) -> list[tuple[float, float]]:
    """A stair: every step keeps its value from start to end; steps without one are left out."""
    found: list[tuple[float, float]] = []
    for step in steps:
        height = value(step)
        if height is not None:
            found += [(step.start_s, height), (step.end_s, height)]
    return found


def _surface(frame: Frame, curve: Curve, class_: str) -> Markup:
    inside = [(max(moment, frame.start_s), value) for moment, value in curve if moment <= frame.end_s]
    points = [frame.at(*point) for point in inside]
    _, base = frame.at(frame.start_s, 0.0)
    return area(points, base, class_) + line(points, class_)


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 10 times a power of ten."""
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 2, 4, 5, 10) if step * scale >= value * (1 - 1e-9))
