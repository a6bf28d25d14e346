"""How much a shared store keeps, so that it stays small whatever happens to those who should tidy up."""

from __future__ import annotations

DAY_S = 86_400.0
SUMS_S = 7 * DAY_S  # sums to which nothing was added for so long
BUCKETS = 30_000  # of a key; beyond it the oldest go, evaluated or not
REPLICAS_S = 7 * DAY_S  # a replica that was gone for longer must not send its last flush again
KEPT_S = 90 * DAY_S  # values under compare-and-set that nobody changed
VALUES = 20_000  # values set once; beyond it those go that would go first
TIDY_S = 60.0  # how often a connection looks for what is to be dropped
