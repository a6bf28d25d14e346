"""Drift of a stream of rows from a reference: sums that add up, statistics on them, and when to say so.

No clock, no disk, no network. `Encoder` turns rows into small integers, `Sums` adds them, `Monitor` folds closed
buckets of sums in order into readings and alarms. `design` makes a monitor from reference rows and simulates it.
"""
