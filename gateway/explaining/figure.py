"""An explanation as one picture: the row, and how unlikely each stage finds it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gateway.explaining.explanation import Explanation
from gateway.state.record import Number
from gateway.telemetry.pictures import draw, draw_difference, is_image
from models.batch import Array

WIDTH, MARGIN, LINE = 900, 24, 24
LABELS, VALUES = 230, 110  # pixels left and right of the bars
_SIDE = 256
_INK, _FAINT, _LINE = (30, 30, 30), (110, 110, 110), (205, 205, 205)
_COLORS = {"allow": (46, 125, 50), "flag": (230, 145, 0), "reject": (198, 40, 40), "error": (123, 31, 162)}
_PLAIN, _SHADOW = (120, 144, 156), (207, 216, 220)
_DEEP = 12.0  # decades shown at most


class Figure:
    """A page that grows downwards."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH, 4000), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.y = MARGIN
        self.small, self.big = (ImageFont.load_default(size=size) for size in (14, 20))

    def text(self, x: float, text: str, *, color: tuple[int, int, int] = _INK, big: bool = False) -> None:
        """One line at the current height, cut short at the margin."""
        font = self.big if big else self.small
        while text and x + self.draw.textlength(text, font=font) > WIDTH - MARGIN:
            text = text[:-2] + "…" if len(text) > 2 else ""
        self.draw.text((x, self.y), text, fill=color, font=font)

    def lines(self, text: str) -> None:
        """A paragraph."""
        line = ""
        for word in text.split():
            tried = f"{line} {word}".strip()
            if self.draw.textlength(tried, font=self.small) > WIDTH - 2 * MARGIN:
                self.text(MARGIN, line)
                self.y += LINE
                tried = word
            line = tried
        self.text(MARGIN, line)
        self.y += LINE + 8

    def heading(self, text: str) -> None:
        """What the next part shows."""
        self.y += 14
        self.text(MARGIN, text, color=_FAINT)
        self.y += LINE

    def bars(self, rows: Sequence[tuple[str, float, str, tuple[int, int, int]]]) -> tuple[int, int]:
        """Label, length (0 to 1), value and color of each. The heights that they lie between."""
        top, room = self.y, WIDTH - 2 * MARGIN - LABELS - VALUES
        for label, length, value, color in rows:
            self.text(MARGIN, _fitted(label, 28))
            left = MARGIN + LABELS
            if length > 0.0:
                end = left + max(2, room * min(length, 1.0))
                self.draw.rectangle((left, self.y + 2, end, self.y + 17), color)
            self.draw.text((WIDTH - MARGIN - VALUES + 12, self.y), value, fill=_INK, font=self.small)
            self.y += LINE
        return top, self.y

    def mark(self, at: float, between: tuple[int, int], word: str, color: tuple[int, int, int]) -> None:
        """A line through the bars at `at` (0 to 1), its word below; the word of a flag cut ends there."""
        x = MARGIN + LABELS + (WIDTH - 2 * MARGIN - LABELS - VALUES) * min(max(at, 0.0), 1.0)
        self.draw.line((x, between[0] - 3, x, between[1] + 1), fill=color, width=2)
        self.draw.text((x, between[1] + 2), word, fill=color, font=self.small, anchor="ra" if word == "flag" else "la")

    def pictures(self, pictures: Mapping[str, Image.Image]) -> None:
        """Side by side, each under its name."""
        step = _SIDE + 30
        for index, name in enumerate(pictures):
            self.text(MARGIN + index * step, name, color=_FAINT)
        self.y += LINE
        tallest = 0
        for index, picture in enumerate(pictures.values()):
            fitted = picture.convert("RGB")
            fitted.thumbnail((_SIDE, _SIDE), Image.Resampling.NEAREST)
            left = MARGIN + index * step
            self.image.paste(fitted, (left, self.y))
            self.draw.rectangle((left - 1, self.y - 1, left + fitted.width, self.y + fitted.height), outline=_LINE)
            tallest = max(tallest, fitted.height)
        self.y += tallest + 8

    def curves(self, curves: Mapping[str, tuple[Array, tuple[int, int, int]]]) -> None:
        """Values (n,) over their place, in one frame."""
        high, low = (float(f([f(values) for values, _ in curves.values()])) for f in (np.nanmax, np.nanmin))
        left, right, height = MARGIN, WIDTH - MARGIN, 160
        for index, (name, (_, color)) in enumerate(curves.items()):
            self.text(left + 120 * index, name, color=color)
        self.y += LINE
        self.draw.rectangle((left, self.y, right, self.y + height), outline=_LINE)
        for values, color in curves.values():
            x = np.linspace(left + 4, right - 4, len(values))
            y = self.y + height - 4 - (np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12) * (height - 8)
            self.draw.line([(float(a), float(b)) for a, b in zip(x, y, strict=True)], fill=color, width=2)
        self.y += height + 8

    def done(self) -> Image.Image:
        """The page, cut to what is on it."""
        return self.image.crop((0, 0, WIDTH, self.y + MARGIN))


def draw_figure(found: Explanation, facts: Mapping[str, Any], summary: str, title: str) -> Image.Image:
    """The picture. `facts` describe the input, as `gateway.telemetry.describe.facts_of` has it."""
    figure, verdict = Figure(), found.record.verdict
    figure.text(MARGIN, verdict, color=_COLORS[verdict], big=True)
    figure.text(MARGIN + 100, f"{found.record.endpoint}  {title}", big=True)
    figure.y += LINE + 14
    figure.lines(summary)
    _row(figure, found, facts)
    if found.row is not None:
        _stages(figure, found)
        _pieces(figure, found)
    if found.columns:
        _columns(figure, found)
    return figure.done()


def _row(figure: Figure, found: Explanation, facts: Mapping[str, Any]) -> None:
    if is_image(facts):
        pictures = {"input": draw(found.x, facts)}
        if found.purified is not None:
            pictures["purified"] = draw(found.purified, facts)
            pictures["difference"] = draw_difference(found.x, found.purified, facts)
        figure.pictures(pictures)
    elif facts.get("kind") == "series":
        curves = {"input": (_curve(found.x), _INK)}
        if found.purified is not None:
            curves["purified"] = (_curve(found.purified), _COLORS["allow"])
        figure.curves(curves)


def _curve(row: Array) -> Array:
    """Of several channels the first."""
    flat = row if row.ndim == 1 else row[0] if row.shape[0] <= row.shape[-1] else row[:, 0]
    return flat.astype(np.float64).ravel()


def _stages(figure: Figure, found: Explanation) -> None:
    record = found.record
    cuts = {"flag": record.flag_cut, "reject": record.reject_cut}
    decades = max([2.0, *(_decades(s.weighted) for s in found.stages), *(1.2 * _decades(c) for c in cuts.values())])
    shown = min(decades, _DEEP)
    figure.heading("how rare the row is among honest ones, stage by stage: a bar's end is its p-value, log scale")
    rows = []
    for stage in found.stages:
        color = _COLORS[record.verdict] if stage.decided else _SHADOW if stage.evidence.shadow else _PLAIN
        value = "not run" if stage.p_value is None else f"p {stage.p_value:.2g}"
        rows.append((stage.evidence.name, _decades(stage.weighted) / shown, value, color))
    between = figure.bars(rows)
    for word, cut in cuts.items():
        if cut is not None:
            figure.mark(_decades(cut) / shown, between, word, _COLORS[word])
    figure.y += LINE


def _pieces(figure: Figure, found: Explanation) -> None:
    for stage in found.stages:
        most = max((piece.adds for piece in stage.pieces), default=0.0)
        if most > 0.0:
            figure.heading(stage.title)
            shown = [piece for piece in stage.pieces if piece.adds > 0.0][:10]
            figure.bars([(p.name, p.adds / most, f"+{p.adds:.3g}", _PLAIN) for p in shown])


def _columns(figure: Figure, found: Explanation) -> None:
    figure.heading("columns farthest from the reference (the line: the end of the range of 98 % of it)")
    most = max(2.0, min(found.columns[0].off, 10.0))
    between = figure.bars(
        [
            (
                f"{c.name} = {c.value:.4g}",
                c.off / most,
                f"{c.low:.3g} to {c.high:.3g}",
                _COLORS["flag" if c.off > 1 else "allow"],
            )
            for c in found.columns
        ]
    )
    figure.mark(1.0 / most, between, "", _INK)


def _decades(p: Number) -> float:
    """0 for a p-value of 1, 1 for 0.1; as deep as is shown for 0."""
    if p is None:
        return 0.0
    return min(-math.log10(p), _DEEP) if p > 0.0 else _DEEP


def _fitted(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
