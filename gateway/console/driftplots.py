"""Pictures of drift: a series' statistic over time, a small one of it for tables, and its bins then and now."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from gateway.console.course import Course
from gateway.console.driftbins import Bin
from gateway.console.svg import el, label, line, picture
from gateway.console.timeline import Frame, round_up

_WIDTH, _HEIGHT = 460.0, 190.0
_SMALL = (120.0, 28.0)
_BARS = (460.0, 190.0, 40.0, 6.0, 8.0, 34.0)  # width, height, left, right, top, bottom
_LABELED = 17  # bins whose names fit below their bars, in steps where there are more
_CHARS = 9
_POINTS = 120


def over_time(course: Course, start_s: float, end_s: float) -> Markup:
    """Statistic and threshold; times of drift are shaded, alarms are marked where they began and ended."""
    frame = Frame(start_s, end_s, round_up(1.1 * course.top), _WIDTH, _HEIGHT)
    parts = [_shade(frame, *spell) for spell in course.spells()]
    parts.append(frame.axes(lambda value: f"{value:g}"))
    parts += [
        line(_inside(frame, course, which), class_) for which, class_ in (("thresholds", "limit"), ("statistics", ""))
    ]
    parts += [_mark(frame, alarm.at_s, alarm.statistic, alarm.started) for alarm in course.alarms]
    return picture(_WIDTH, _HEIGHT, _told(course), *parts)


def small(course: Course, start_s: float, end_s: float) -> Markup:
    """The same without words, in units of the threshold, for a row of a table."""
    width, height = _SMALL
    ratios = course.statistics / course.thresholds.clip(1e-12)
    top = max(1.3, min(float(ratios.max(initial=0.0)), 4.0))

    def at(moment: float, ratio: float) -> tuple[float, float]:
        across = (moment - start_s) / max(end_s - start_s, 1.0)
        return width * across, height - 1.0 - min(ratio / top, 1.0) * (height - 2.0)

    _, limit = at(start_s, 1.0)
    points = [at(moment, ratio) for moment, ratio in zip(course.times.tolist(), ratios.tolist(), strict=True)]
    now = "drifted" if course.drifted[-1] else ""
    level = el("line", x1=0.0, x2=width, y1=limit, y2=limit, class_="line limit")
    return picture(width, height, _told(course), level, line(points, now), class_="spark")


def bars(bins: Sequence[Bin], series: str) -> Markup:
    """Shares of held-out rows and of recent ones, bin by bin; what lies beside the bins stands at the right."""
    width, height, left, right, top, bottom = _BARS
    most = max([max(one.reference, one.now or 0.0) for one in bins] + [0.01])
    frame_top = min(round_up(1.05 * most), 1.0)
    wide = (width - left - right) / max(len(bins), 1)
    base, room = height - bottom, height - top - bottom
    parts = []
    for share in (0.0, frame_top / 2, frame_top):
        y = base - room * share / frame_top
        parts += [
            el("line", x1=left, x2=width - right, y1=y, y2=y, class_="grid"),
            label(left - 5, y + 3.5, f"{100 * share:g}%", "end"),
        ]
    every = -(-len(bins) // _LABELED) * (2 if max((len(one.label) for one in bins), default=0) > _CHARS else 1)
    for index, one in enumerate(_ordered(bins)):
        x = left + index * wide
        parts.append(_pair(one, x, wide, base, room / frame_top))
        if index % every == 0 or not one.inner:
            parts.append(_name(one, x + wide / 2, base, wide * every))
    return picture(width, height, f"shares of {series} by bin: held-out rows and recent rows", *parts)


def share_over_time(counts: Sequence[tuple[float, int, int]], chosen: Bin, start_s: float, end_s: float) -> Markup:
    """A bin's share of rows over time beside that of held-out rows; `counts`: when, rows in the bin, all rows."""
    at_once = -(-len(counts) // _POINTS)
    groups = [counts[start : start + at_once] for start in range(0, len(counts), at_once)]
    shares = [(group[0][0], sum(n for _, n, _ in group) / max(sum(m for _, _, m in group), 1)) for group in groups]
    top = min(round_up(1.1 * max([chosen.reference, 0.01] + [share for _, share in shares])), 1.0)
    frame = Frame(start_s, end_s, top, _WIDTH, _HEIGHT)
    parts = [frame.axes(lambda value: f"{100 * value:g}%"), frame.level(chosen.reference, "line limit")]
    parts.append(line([frame.at(max(moment, start_s), share) for moment, share in shares], ""))
    return picture(_WIDTH, _HEIGHT, f"share of rows in which the model saw class {chosen.label}, over time", *parts)


def _ordered(bins: Sequence[Bin]) -> list[Bin]:
    return sorted(bins, key=lambda one: (not one.inner, one.cell))


def _pair(one: Bin, x: float, wide: float, base: float, scale: float) -> Markup:
    thick = wide * 0.4
    now = "" if one.now is None else f", recent rows {one.now:.1%}"
    drawn = [
        el("rect", x=x + wide * 0.08 + at, y=base - share * scale, width=thick, height=share * scale, class_=class_)
        for at, share, class_ in ((0.0, one.reference, "bar"), (thick, one.now or 0.0, "bar now"))
    ]
    return el("g", el("title", f"{one.label}: held-out rows {one.reference:.1%}{now}"), *drawn)


def _name(one: Bin, x: float, base: float, room: float) -> Markup:
    text = one.label.split(" – ")[-1] if one.inner else one.label
    words = text.split(" ")
    return Markup("").join(label(x, base + 12 + 10 * at, word, "middle") for at, word in enumerate(words))


def _inside(frame: Frame, course: Course, which: str) -> list[tuple[float, float]]:
    return [frame.at(x, y) for x, y in zip(course.times.tolist(), getattr(course, which).tolist(), strict=True)]


def _shade(frame: Frame, start_s: float, end_s: float) -> Markup:
    (x1, top), (x2, base) = frame.at(max(start_s, frame.start_s), frame.top), frame.at(end_s, 0.0)
    return el("rect", x=x1, y=top, width=max(x2 - x1, 1.0), height=base - top, class_="spell")


def _mark(frame: Frame, at_s: float, statistic: float, started: bool) -> Markup:
    """A triangle on the curve: downward where drift begins, upward where it ends."""
    x, y = frame.at(at_s, statistic)
    up = 1.0 if started else -1.0
    points = f"{x - 5:.1f},{y - 8 * up:.1f} {x + 5:.1f},{y - 8 * up:.1f} {x:.1f},{y:.1f}"
    said = f"drift {'begins' if started else 'ends'}, statistic {statistic:.3g}"
    return el("polygon", el("title", said), points=points, class_="alarm" if started else "alarm ended")


def _told(course: Course) -> str:
    last, limit = float(course.statistics[-1]), float(course.thresholds[-1])
    started = sum(alarm.started for alarm in course.alarms)
    now = "drifts" if course.drifted[-1] else "does not drift"
    return f"{course.name} over time: it {now}, statistic {last:.3g}, threshold {limit:.3g}, {started} alarms"
