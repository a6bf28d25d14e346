"""SVG elements as escaped markup. Colors come from classes, so that one picture serves light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape


def el(tag: str, *children: Markup | str, **attributes: str | float | None) -> Markup:
    """An element. `class_` is `class`, other underscores become hyphens; None leaves an attribute out."""
    # Plain strings: `Markup.format` escapes just as well, and would take most of the time that a page takes.
    inside = "".join([escape(child) for child in children])
    spelled = "".join(
        [
            f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
            for name, value in attributes.items()
            if value is not None
        ]
    )
    return Markup(f"<{tag}{spelled}>{inside}</{tag}>")


def picture(width: float, height: float, label: str, *children: Markup, class_: str = "plot") -> Markup:
    """The outermost element: scales with the page, and says to a screen reader what it shows."""
    return el(
        "svg",
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        class_=class_,
        preserveAspectRatio="xMidYMid meet",
    )


def line(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through the points."""
    path = " ".join(f"{'L' if i else 'M'}{x:.2f} {y:.2f}" for i, (x, y) in enumerate(points))
    return el("path", d=path or "M0 0", class_=f"line {class_}")


def area(points: Sequence[tuple[float, float]], base: float, class_: str) -> Markup:
    """The surface between the points and the height `base`."""
    if not points:
        return Markup("")
    path = " ".join(f"L{x:.2f} {y:.2f}" for x, y in points)
    first, last = points[0][0], points[-1][0]
    return el("path", d=f"M{first:.2f} {base:.2f} {path} L{last:.2f} {base:.2f} Z", class_=f"area {class_}")


def label(x: float, y: float, said: str, anchor: str = "start", class_: str = "") -> Markup:
    """Text."""
    return el("text", said, x=x, y=y, text_anchor=anchor, class_=class_ or None)


def _text(value: str | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
