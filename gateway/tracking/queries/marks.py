"""The marks that hold now, as the request path looks them up: a dict that is replaced, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gateway.state.principals.store import Mark

NONE: Mapping[str, Mark] = MappingProxyType({})


class Marks:
    """`current`: mark by principal. The tracker's thread puts a new dict in its place."""

    __slots__ = ("current",)

    def __init__(self) -> None:
        self.current: Mapping[str, Mark] = NONE
