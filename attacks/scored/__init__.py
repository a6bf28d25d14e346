"""Attacks that only ask a model for its logits: numpy, no torch, no gradients. Weaker than those that differentiate."""

from __future__ import annotations

from attacks.scored.grid import Grid
from attacks.scored.making import attacked

__all__ = ["Grid", "attacked"]
