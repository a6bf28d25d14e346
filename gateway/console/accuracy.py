"""How often the model was right, where callers or operators told true labels."""

from __future__ import annotations

import time

from markupsafe import Markup

from gateway.console.svg import el, line, picture
from gateway.console.timeline import Frame
from gateway.tracking.feedback.report import AccuracyPoint, AccuracyStatus

_WIDTH, _HEIGHT = 460.0, 170.0


def accuracy_plot(found: AccuracyStatus) -> Markup | None:
    """Accuracy over time with its 95 % interval, and what was measured at calibrate; None where nothing is told."""
    points = [point for point in found.points if point.labels]
    if not points:
        return None
    frame = Frame(points[0].since_s, max(points[-1].until_s, time.time()), 1.0, _WIDTH, _HEIGHT)
    parts = [frame.axes(lambda value: f"{value:.0%}"), *(_band(frame, point) for point in points)]
    if found.expected is not None:
        parts.append(frame.level(found.expected, "line limit"))
    parts.append(line([frame.at(_middle(point), point.correct / point.labels) for point in points], ""))
    told = "" if found.accuracy is None else f", now {found.accuracy:.1%}"
    return picture(_WIDTH, _HEIGHT, f"accuracy of {found.endpoint} over time{told}", *parts)


def _band(frame: Frame, point: AccuracyPoint) -> Markup:
    """The interval as an upright bar."""
    (x, top), (_, base) = frame.at(_middle(point), point.high), frame.at(_middle(point), point.low)
    said = f"{point.correct} of {point.labels} right"
    return el("rect", el("title", said), x=x - 2.5, y=top, width=5.0, height=max(base - top, 0.5), class_="interval")


def _middle(point: AccuracyPoint) -> float:
    return (point.since_s + point.until_s) / 2.0
