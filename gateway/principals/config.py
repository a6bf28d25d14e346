"""The key `principal` of a config: how callers are told apart."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import field_validator, model_validator

from gateway.strict import Strict

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PrincipalConfig(Strict):
    """`keys` is a file that `watchgate keys` writes. `header` is believed only of peers in the `trusted` networks.

    `anonymous: refuse` answers 401 to whoever shows no key.
    """

    keys: Path | None = None
    anonymous: Literal["allow", "refuse"] = "allow"
    header: str | None = None
    trusted: tuple[str, ...] = ()

    @field_validator("trusted")
    @classmethod
    def _networks(cls, stated: tuple[str, ...]) -> tuple[str, ...]:
        for each in stated:
            _network(each)
        return stated

    @model_validator(mode="after")
    def _together(self) -> PrincipalConfig:
        if (self.header is None) != (not self.trusted):
            raise ValueError("`header` and `trusted` go together: a header is believed only of trusted peers")
        if self.anonymous == "refuse" and self.keys is None:
            raise ValueError("`anonymous: refuse` needs `keys`")
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """The peers whose header is believed."""
        return tuple(_network(each) for each in self.trusted)


def _network(stated: str) -> Network:
    try:
        return ipaddress.ip_network(stated)
    except ValueError:
        raise ValueError(f"expected an address or a network like 10.0.0.0/8, found {stated!r}") from None
