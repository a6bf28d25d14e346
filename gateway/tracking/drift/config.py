"""The key `drift` of an endpoint: how much is looked at, how often, and how seldom it may be wrong."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from detectors.drift.schedule import STEP_ROWS
from gateway.strict import Strict

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(stated: Any) -> Any:
    """A number of seconds, or a number with its unit: 30s, 5m, 1h."""
    if not isinstance(stated, str):
        return stated
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", stated.strip())
    if found is None:
        raise ValueError(f"expected a time such as 30s, 5m or 1h, found {stated!r}")
    return float(found[1]) * _UNITS[found[2]]


class DriftConfig(Strict):
    """`window` are the most rows looked at together; `every` is how long a bucket of the shared sums is, in seconds.

    `one_false_alarm_in_rows` is of all series and windows together. Of more than `rows_per_second` rows, in one worker
    on average, a random share is counted.
    """

    window: Annotated[int, Field(ge=STEP_ROWS, le=10_000)] = 2000
    every: Annotated[float, BeforeValidator(seconds), Field(ge=1.0, le=86_400.0)] = 10.0
    one_false_alarm_in_rows: Annotated[int, Field(ge=STEP_ROWS, le=1_000_000)] = 20_000
    rows_per_second: Annotated[float, Field(gt=0)] = 300.0
