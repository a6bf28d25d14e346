"""The key `state` of a config: where what the gateway remembers lives."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.state.address import EXPECTED, is_address, shown
from gateway.strict import Share, Strict


class Capture(Strict):
    """Which payloads of flagged and rejected requests the trace store keeps, and how many."""

    payloads: bool = True
    max_requests: Annotated[int, Field(gt=0)] = 100_000
    max_bytes: Annotated[int, Field(gt=0)] = 2**30
    max_age_days: Annotated[float, Field(gt=0)] = 30.0
    principal_share: Share = 0.1  # of `max_bytes`, `max_requests` and `traffic_rows` that one principal may fill
    traffic_rows: Annotated[int, Field(ge=0, le=1_000_000)] = 0  # of each endpoint, for `calibrate --from-traffic`


class StateConfig(Strict):
    """Where verdict records live, and what replicas share. `path` is relative to the config file.

    With `kind: redis` what several hosts must see as one lives in the server at `url`, under names that begin with
    `prefix`; verdict records stay in `path`. `url_env` is an environment variable that holds the URL.
    """

    kind: Literal["sqlite", "redis"] = "sqlite"
    path: Path = Path("state")
    url: str | None = None
    url_env: Annotated[str, Field(min_length=1)] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = "watchgate"
    cluster: bool = False  # whether `url` is one of the nodes of a Redis cluster
    capture: Capture = Capture()

    @model_validator(mode="after")
    def _addressed(self) -> StateConfig:
        if self.kind != "redis":
            for name in ("url", "url_env"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name}: expected with `kind: redis` only")
            return self
        if find_spec("redis") is None:
            raise ValueError("kind: `redis` needs the package redis, found none: pip install 'watchgate[redis]'")
        if (self.url is None) == (self.url_env is None):
            found = "nothing" if self.url is None else "`url_env` too"
            raise ValueError(f"url: is required with `kind: redis`, or `url_env`: {EXPECTED}; found {found}")
        if self.url is not None and not is_address(self.url):
            raise ValueError(f"url: expected {EXPECTED}, found {shown(self.url)!r}")
        return self
