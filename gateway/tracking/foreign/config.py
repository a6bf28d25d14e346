"""The key `trackers` of an endpoint: other people's drift detectors that look at a sample of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.strict import Strict


class AlibiTracker(Strict):
    """`path` is a folder that alibi-detect's `save_detector` wrote. `reads` says what its rows are made of.

    `window` are the rows that a batch detector looks at together; online ones look at a row at a time. With
    `trust: true` parts that may run code are loaded, as they were when `sha256` was taken of the folder.
    """

    kind: Literal["alibi"]
    path: Path
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "alibi"
    reads: Literal["input", "features", "logits"] = "input"
    window: Annotated[int, Field(ge=2, le=10_000)] = 200
    rows_per_second: Annotated[float, Field(gt=0, le=1000)] = 20.0
    trust: bool = False
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _pinned(self) -> AlibiTracker:
        if self.trust and self.sha256 is None:
            raise ValueError("trust: expected with `sha256`, the folder's; loading it without `trust` tells it")
        return self
