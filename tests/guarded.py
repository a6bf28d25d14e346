"""The app over a table model behind a guard, and requests to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from models.batch import Array
from tests import served
from tests.served import Listed
from tests.wired import tensor

X = np.random.default_rng(1).random((4, 12), dtype=np.float32) * np.float32(0.7)
INFER = "/v2/models/m/infer"
HEX = re.compile(r"[0-9a-f]{32}")


@asynccontextmanager
async def serving(folder: Path, recorder: Listed | None = None, **config: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A table model behind the guard that flags rows with a value over 0.8 and rejects those over 0.9."""
    spec, backend = served.table_model(folder)
    guarded = served.endpoint("m", (spec, backend), served.guarded(backend), **config)
    async with served.client(served.app(folder, [guarded], recorder)) as client:
        yield client


def rows(*largest: float) -> Array:
    """Rows with this as the largest value of each; 0: as it is, which is honest."""
    x = X[: len(largest)].copy()
    for index, value in enumerate(largest):
        if value:
            x[index, 3] = value
    return x


def body(x: Array, **keys: Any) -> dict[str, Any]:
    return {"inputs": [tensor(x.tolist(), x.shape)], **keys}


def outputs(response: httpx.Response) -> dict[str, Any]:
    return {each["name"]: each["data"] for each in response.json()["outputs"]}
