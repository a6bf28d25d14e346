"""What a batch is expected to take."""

from __future__ import annotations

INLINE_S = 0.004  # a batch expected to take longer leaves the event loop
_FORGET = 0.2  # weight of the newest batch in the running estimate


class Cost:
    """A running estimate of what a batch takes: so much a row, and never less than the quickest batches do."""

    __slots__ = ("batch_s", "row_s")

    def __init__(self) -> None:
        self.batch_s = INLINE_S  # the first batch runs in the thread: a model's first run can be slow
        self.row_s = INLINE_S

    def seconds(self, rows: int) -> float:
        """The estimate for a batch of `rows`."""
        return max(self.batch_s, self.row_s * rows)

    def learn(self, rows: int, seconds: float) -> None:
        """A batch of `rows` took `seconds`. One that the system interrupted can't upset the estimate."""
        row_s, batch_s = self.row_s, self.batch_s
        most = 2 * (batch_s if batch_s > row_s * rows else row_s * rows)
        seconds = seconds if seconds < most else most
        row_s += _FORGET * (seconds / rows - row_s)
        self.row_s = row_s
        self.batch_s = batch_s + _FORGET * ((seconds if seconds < row_s * rows else row_s * rows) - batch_s)
