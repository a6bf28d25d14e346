"""What the workers of a host tell each other, so that an attack is seen whole whichever of them answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
import numpy as np

from detectors.queries.memory import Asked, QueryMemory
from gateway.state.principals.store import PrincipalStore

_MOST = 1000  # chunks that wait


class _Packed(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    width: int
    digests: bytes
    z: bytes


class Sharing:
    """Between this worker's memories and the store. `memories` by endpoint and bundle: others' are passed over."""

    def __init__(self, memories: Mapping[str, QueryMemory]) -> None:
        self._memories = memories
        self._worker = uuid.uuid4().hex
        self._last = 0
        self._untold: list[tuple[str, bytes]] = []

    def exchange(self, store: PrincipalStore, now: float) -> None:
        """Tells what is new here, and learns what is new elsewhere.

        Raises:
            StoreError: try again later.
        """
        self._untold += [(key, pack(asked)) for key, memory in self._memories.items() for asked in memory.fresh()]
        del self._untold[:-_MOST]  # while the store is out of order
        if self._untold:
            store.share(self._worker, self._untold, int(now * 1e9))
            self._untold = []
        for number, key, packed in store.shared(self._worker, self._last):
            self._last = number
            if key in self._memories:
                self._memories[key].learn(unpack(packed), now)


def pack(asked: Asked) -> bytes:
    """As bytes."""
    digests, z = asked.digests.astype("<u8").tobytes(), asked.z.astype("<f4").tobytes()
    return msgspec.msgpack.encode(_Packed(asked.names, asked.z.shape[1], digests, z))


def unpack(packed: bytes) -> Asked:
    """What `pack` wrote."""
    told = msgspec.msgpack.decode(packed, type=_Packed)
    z = np.frombuffer(told.z, dtype="<f4").reshape(-1, told.width)
    return Asked(told.names, np.frombuffer(told.digests, dtype="<u8"), z)
