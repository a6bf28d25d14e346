"""What an attack made of honest rows."""

from __future__ import annotations

from dataclasses import dataclass

from models.batch import Array


@dataclass(frozen=True, slots=True)
class Attacked:
    """Rows (m, *row shape) that an attack made of the rows `of` (m,), ready to be sent. Not all need be adversarial."""

    name: str
    x: Array
    of: Array
