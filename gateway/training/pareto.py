"""What a selection had to choose from: cost against the share of attacked rows found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table

from detectors.options import Choice, Option


@dataclass(frozen=True, slots=True)
class Line:
    """One option. Shares are of attacked *train* rows, a mean over attacks, by what was learned from other rows.

    `unseen` is `flagged` for attacks whose family was left out of what was learned from; `worn` is of mildly worn rows.
    """

    cost: float
    costly: tuple[str, ...]
    share: float
    flagged: float
    rejected: float
    least: str
    least_flagged: float
    unseen: float
    worn: float
    taken: bool

    @property
    def extra(self) -> str:
        """What it asks beside free evidence, and of how many rows."""
        if not self.costly:
            return "free evidence"
        return " + ".join(self.costly) + (" on all rows" if self.share == 1.0 else f" on {self.share:.0%}")


@dataclass(frozen=True, slots=True)
class Pareto:
    """Options that none other beats at their cost, cheapest first; `tried` pieces of evidence, `free` ones kept."""

    lines: tuple[Line, ...]
    tried: int
    free: tuple[str, ...]
    limit: float | None

    @staticmethod
    def of(choice: Choice, titles: Sequence[str], attacks: Sequence[str], limit: float | None) -> Pareto:
        """Of pieces and attacks with these names; `found` is at (flag, reject)."""
        shown = sorted({id(o): o for o in (*choice.frontier, choice.taken)}.values(), key=lambda o: (o.cost, o.value))
        lines = tuple(_line(option, choice, titles, attacks) for option in shown)
        return Pareto(lines, len(titles), _free(choice.taken, titles), limit)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        lines = [{**asdict(line), "costly": list(line.costly)} for line in self.lines]
        return {"limit": self.limit, "tried": self.tried, "free": list(self.free), "options": lines}

    def table(self) -> Table:
        """What a terminal shows; the option that was taken is starred."""
        table = Table(
            title="evidence by cost: attacks on train rows found by what learned from others",
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=(0, 1),
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("passes/row", justify="right", no_wrap=True)
        table.add_column("evidence", overflow="fold")
        for heading in ("flagged", "rejected", "unseen", "worn"):
            table.add_column(heading, justify="right", no_wrap=True)
        for line in self.lines:
            figures = (line.flagged, line.rejected, line.unseen, line.worn)
            star = "*" if line.taken else ""
            table.add_row(f"{star}{line.cost:.2f}", line.extra, *(f"{100 * figure:.1f}%" for figure in figures))
        return table

    def notes(self) -> tuple[str, ...]:
        """What the table does not say."""
        taken = next(line for line in self.lines if line.taken)
        kept = f"selected {len(self.free) + len(taken.costly)} of {self.tried} pieces of evidence"
        limit = "" if self.limit is None else f" within {self.limit:g} forward passes a row"
        least = f"{line_share(taken.least_flagged)} of {taken.least}"
        return (f"{kept}{limit}, judged on train rows only; least found: {least}",)


def _free(option: Option, titles: Sequence[str]) -> tuple[str, ...]:
    return tuple(titles[piece] for piece in sorted({*option.free, *option.gate}))


def line_share(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f}%"


def _line(option: Option, choice: Choice, titles: Sequence[str], attacks: Sequence[str]) -> Line:
    flagged = option.found[0]
    least = int(flagged.argmin())
    return Line(
        cost=round(option.cost, 4),
        costly=tuple(titles[piece] for piece in option.costly),
        share=option.share if option.costly else 0.0,
        flagged=float(flagged.mean()),
        rejected=float(option.found[1].mean()),
        least=attacks[least],
        least_flagged=float(flagged[least]),
        unseen=float(option.unseen[0].mean()),
        worn=float(option.worn[0]),
        taken=option is choice.taken,
    )
