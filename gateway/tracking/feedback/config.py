"""The key `feedback` of an endpoint: for how long true labels are taken, and how seldom their test may be wrong."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from detectors.drift.schedule import STEP_ROWS
from gateway.strict import Strict
from gateway.tracking.drift.config import seconds


class FeedbackConfig(Strict):
    """Answers are remembered for `keep_hours`, of `most` requests at most, so that labels find them.

    `window`, `every` and `one_false_alarm_in_labels` are as those of `drift`, over rows whose labels came.
    """

    keep_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 168.0
    most: Annotated[int, Field(ge=100, le=10_000_000)] = 200_000
    window: Annotated[int, Field(ge=STEP_ROWS, le=10_000)] = 500
    every: Annotated[float, BeforeValidator(seconds), Field(ge=1.0, le=86_400.0)] = 10.0
    one_false_alarm_in_labels: Annotated[int, Field(ge=STEP_ROWS, le=1_000_000)] = 20_000
