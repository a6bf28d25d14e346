"""Rows of production as calibrate takes them: the kept sample, without what an operator or the gateway suspects."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from gateway.config import Config
from gateway.errors import OperatorError
from gateway.state.opening import principals_if_any
from gateway.state.sqlite import FILE as TRACES
from gateway.state.sqlite import SqliteStore
from gateway.state.store import StoreError
from gateway.state.traffic import TRAFFIC, Kept, TrafficFile
from gateway.tracking.traffic import X, unpacked_row
from gateway.training.data import dataset
from gateway.training.table import Table
from models.backend import ModelBackend
from models.batch import Array, Batch


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rows, in random order, from `since_ns` on. `left_out` were marked as attacks, or asked by marked principals."""

    batch: Batch
    digest: str
    principals: int
    largest: float  # share of the rows that one principal sent
    since_ns: int
    left_out: int


def read(config: Config, endpoint: str, backend: ModelBackend) -> Traffic:
    """The endpoint's sample.

    Raises:
        OperatorError: there is none, or it does not fit the model any more.
    """
    path = config.state.path / TRAFFIC.name
    asks = f"{path}: endpoint {endpoint!r}: expected rows of production: have `state.capture.traffic_rows` keep some"
    if not path.is_file():
        raise OperatorError(f"{asks}, found no file")
    try:
        with closing(TrafficFile.open(config.state.path, make=False)) as file:
            kept = list(file.rows(endpoint))
        attacks, marked = _attacks(config, endpoint), _marked(config)
    except StoreError as error:
        raise OperatorError(f"{path}: can't be read now: {error}") from error
    rows = [row for row in kept if row.request not in attacks and row.principal not in marked]
    if not rows:
        raise OperatorError(f"{asks}, found none" + (f" but {len(kept)} of attackers" if kept else ""))
    found = dataset(Table(path, _joined(rows), _digest(rows)), backend)
    whose = Counter(row.principal for row in rows)
    largest = whose.most_common(1)[0][1] / len(rows)
    since_ns = min(row.at_ns for row in rows)
    return Traffic(found.batch, found.table.digest, len(whose), largest, since_ns, len(kept) - len(rows))


def _attacks(config: Config, endpoint: str) -> Collection[str]:
    """The requests that an operator has called an attack."""
    if not (config.state.path / TRACES).is_file():
        return ()
    with closing(SqliteStore.open_for_reading(config.state.path)) as store:
        return {mark.request for mark in store.marks.all(endpoint) if mark.word == "attack"}


def _marked(config: Config) -> Collection[str]:
    """The principals whose queries are alike."""
    with principals_if_any(config) as store:
        return () if store is None else store.marks(time.time_ns()).keys()


def _joined(rows: list[Kept]) -> dict[str, Array]:
    """The arrays of a file of rows. Ragged rows can't be one."""
    unpacked = [unpacked_row(row.packed) for row in rows]
    try:
        return {
            name: np.stack([row[X] for row in unpacked])
            if name == X
            else np.concatenate([row[name] for row in unpacked])
            for name in unpacked[0]
        }
    except (KeyError, ValueError) as error:
        raise OperatorError(f"rows of production: expected all alike, found: {error}") from error


def _digest(rows: list[Kept]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(hashlib.sha256(row.packed).digest())
    return digest.hexdigest()
