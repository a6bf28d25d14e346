"""How far counts of a window lie from the reference's: one measure a file, on the last axis, for any leading axes.

`reference` and `window` are counts on the same bins, (..., bins), of any integer or float type. A side without rows
gives 0: nothing is known of it.
"""
