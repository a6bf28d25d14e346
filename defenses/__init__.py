"""Input purifiers: x -> x of the same shape, dtype and bounds. One file a method, with its paper."""
