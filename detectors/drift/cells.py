"""What a value of a series is counted as: one of `BINS` bins of the reference, or what lies beside them."""

from __future__ import annotations

BINS = 16
BELOW = 0  # under the reference's least value; the bins are 1 to BINS
ABOVE = BINS + 1  # over its largest
RARE = BINS + 2  # within its range, where it has few rows or none
MISSING = BINS + 3  # not a number
HIDDEN = BINS + 4  # of a row that was flagged: it counts as flagged, and nowhere else
CELLS = BINS + 5
ORDERED = slice(BELOW, ABOVE + 1)
SEEN = slice(BELOW, HIDDEN)
INNER = slice(1, BINS + 1)
