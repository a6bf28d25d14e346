"""Attacks on the protected model, used by the demo, by calibration and by the red team. Needs the `torch` extra."""
