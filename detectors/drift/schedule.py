"""When the monitor looks, and at which windows."""

from __future__ import annotations

from dataclasses import dataclass

STEP_ROWS = 50
_REFERENCE_ROWS = 2  # times the window: with fewer the reference's own error decides when it alarms


class WindowTooLarge(ValueError):
    """The reference has too few rows for the window. `window` rows would do, or `needed` reference rows."""

    def __init__(self, window: int, needed: int, asked: int, found: int) -> None:
        super().__init__(
            f"a window of {asked} rows needs {needed} reference rows, found {found}: a window of {window} would do"
        )
        self.window = window
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every `step_rows` rows, at the edge of a bucket, the last `windows` rows are looked at: each double the last."""

    window_rows: int
    false_alarm_rows: int  # one false alarm of the whole monitor in so many rows
    step_rows: int = STEP_ROWS

    def __post_init__(self) -> None:
        if not 0 < self.step_rows <= self.window_rows:
            raise ValueError(f"expected a window of at least {self.step_rows} rows, found {self.window_rows}")
        if self.false_alarm_rows < self.window_rows:
            raise ValueError(
                f"one false alarm in {self.false_alarm_rows} rows: expected at least the window's {self.window_rows}"
            )

    @property
    def windows(self) -> tuple[int, ...]:
        """Rows of every window, ascending; the last is the largest, and its rows a whole number of steps."""
        largest = self.window_rows // self.step_rows
        steps = [1]
        while steps[-1] * 2 <= largest:
            steps.append(steps[-1] * 2)
        if steps[-1] < largest:
            steps.append(largest)
        return tuple(self.step_rows * count for count in steps)

    def refuse_small_reference(self, rows: int) -> None:
        """Raises WindowTooLarge where `rows` reference rows are too few."""
        if rows < _REFERENCE_ROWS * self.window_rows:
            raise WindowTooLarge(rows // _REFERENCE_ROWS, _REFERENCE_ROWS * self.window_rows, self.window_rows, rows)
