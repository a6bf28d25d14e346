"""The side path's door: takes observations in about a microsecond, keeps what must be kept, counts what is lost."""

from __future__ import annotations

import os
import time
import weakref
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from opentelemetry.sdk.trace.export import SpanExporter

from gateway.errors import OperatorError
from gateway.state.record import PayloadState, Record
from gateway.state.sqlite import SqliteStore
from gateway.state.store import Quota, StateStore, StoreError
from gateway.telemetry.export import Export, exporter_for
from gateway.telemetry.lane import Bounds, Lane, Place
from gateway.telemetry.observation import ChainInfo, Observation
from gateway.telemetry.writer import Writer
from gateway.verdict import Judged
from models.backend import Outputs
from models.batch import Batch

if TYPE_CHECKING:
    from gateway.config import Config

# Items to begin with: the writer fits them to its speed, so that a verdict that is taken is on disk within a second.
_VERDICTS = Bounds(items=512, rows=2**16, nbytes=2**26)
_CLEAN = Bounds(items=512, rows=2**14, nbytes=2**24)
_ABANDONED: list[object] = []  # a parent's connections: SQLite forbids a forked child even to close them


class SideRecorder:
    """`Recorder` over a store and, if there is one, an exporter. Threads start in the process that first offers.

    Flagged, rejected (in shadow mode too) and failed requests are all kept, clean ones with probability
    `sample_clean`, by a hash of the server-made id.
    """

    def __init__(
        self,
        open_store: Callable[[], StateStore],
        chains: Sequence[ChainInfo] = (),
        *,
        exporter: Callable[[], SpanExporter | None] = lambda: None,
        service_name: str | None = None,
        sample_clean: float = 0.01,
        payloads: bool = True,
    ) -> None:
        self._open_store = open_store
        self._chains = tuple(chains)
        self._make_exporter = exporter
        self._service_name = service_name
        self._sampled_below = round(sample_clean * 2**32)
        self._payloads = payloads
        self._closed = False
        self._starting = Lock()
        self._verdicts, self._clean = _lanes()
        self._writer: Writer | None = None
        self._export: Export | None = None
        myself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forked(myself))

    def offer(self, observation: Observation) -> bool:
        """Takes the observation without blocking; False when the lane it belongs to is full."""
        judged = observation.judged
        if judged is None:
            return self._put(self._verdicts, observation, 1, 0)
        verdicts = judged.verdicts
        if np.count_nonzero(verdicts.shadowed):
            return self._put(self._verdicts, observation, len(verdicts), _payload_bytes(judged))
        if zlib.crc32(observation.id.encode()) >= self._sampled_below:
            return True
        return self._put(self._clean, observation, len(verdicts), judged.batch.x.nbytes)

    def has_room(self, principal: str) -> bool:
        """Whether a flagged or rejected verdict could be taken now; asked before an enforcing endpoint answers."""
        if self._verdicts.has_room(principal):
            return True
        if self._writer is not None:
            self._writer.hurry()
        return False

    def stats(self) -> Mapping[str, int]:
        """What was kept and what was lost since the start, in this process."""
        lanes = {
            f"{word}_{name}": lane.counts[place]
            for name, lane in (("verdicts", self._verdicts), ("clean", self._clean))
            for word, place in (("taken", Place.WHOLE), ("taken_bare", Place.BARE), ("dropped", Place.REFUSED))
        }
        return {**lanes, **self._counted()}

    def close(self, timeout_s: float = 5.0) -> None:
        """Writes and sends what waits, for at most `timeout_s`; afterwards offers are refused."""
        self._closed = True
        deadline = time.monotonic() + timeout_s
        writer, export = self._writer, self._export
        if writer is not None:
            writer.stop(deadline)
            writer.join(max(0.0, deadline - time.monotonic()))
        if export is not None:
            export.stop(deadline)
            export.join(max(0.0, deadline - time.monotonic()))
            export.abandon()

    def _put(self, lane: Lane[Observation], observation: Observation, rows: int, nbytes: int) -> bool:
        if self._closed:
            return False
        if self._writer is None:
            self._start()
        return lane.put(observation, observation.principal, rows, nbytes) is not Place.REFUSED

    def _start(self) -> None:
        with self._starting:
            if self._writer is not None:
                return
            exporter = self._make_exporter()
            if exporter is not None:
                self._export = Export(exporter, self._service_name)
                self._export.start()
            lanes = (self._verdicts, self._clean)
            captured: PayloadState = "kept" if self._payloads else "off"
            pass_on = self._export.add if self._export is not None else _nobody
            writer = Writer(lanes, self._open_store, self._chains, captured=captured, pass_on=pass_on)
            writer.start()
            self._writer = writer

    def after_fork(self) -> None:
        """A child starts anew: the threads are its parent's, and so is what waited."""
        _ABANDONED.append(self._writer)
        self._writer = self._export = None
        self._verdicts, self._clean = _lanes()
        self._starting = Lock()

    def _counted(self) -> Mapping[str, int]:
        keys = ("stored", "store_failures", "store_lost", "payloads_lost", "undescribed")
        writer = self._writer.counts if self._writer is not None else {}
        export = self._export.counts if self._export is not None else {}
        sent = ("exported", "export_failures", "export_lost")
        now = {"waiting": 0, "written_s": 0}
        if self._writer is not None:
            now = {"waiting": self._writer.lagging, "written_s": self._writer.written_s}
        return {**{key: writer.get(key, 0) for key in keys}, **{key: export.get(key, 0) for key in sent}, **now}


def open_recorder(config: Config, chains: Sequence[ChainInfo]) -> SideRecorder:
    """The recorder this config asks for. The store is opened once, so that mistakes show before serving.

    Raises:
        OperatorError: the state folder can't be written, or holds a store this release can't use.
    """
    capture = config.state.capture
    quota = Quota(capture.max_requests, capture.max_bytes, capture.max_age_days * 86_400.0, capture.principal_share)
    path, telemetry = config.state.path, config.telemetry
    try:
        SqliteStore.open_for_writing(path, quota).close()
    except StoreError as exc:
        raise OperatorError(f"state.path: expected a folder the gateway can write, found: {exc}") from exc
    return SideRecorder(
        lambda: SqliteStore.open_for_writing(path, quota),
        chains,
        exporter=lambda: exporter_for(telemetry.otlp),
        service_name=telemetry.sender,
        sample_clean=telemetry.sample_clean,
        payloads=capture.payloads,
    )


def bare(observation: Observation) -> Observation:
    """The observation without its rows: evidence and class scores stay, input and features go."""
    judged = observation.judged
    if judged is None:
        return observation
    outputs, before = _light(judged.outputs), _light(judged.before)
    no_rows = Batch(np.empty((0, *judged.batch.x.shape[1:]), judged.batch.x.dtype))
    return replace(observation, judged=replace(judged, batch=no_rows, outputs=outputs, before=before, purified=None))


def _light(outputs: Outputs | None) -> Outputs | None:
    return None if outputs is None else Outputs(outputs.tensors, outputs.logits)


def _payload_bytes(judged: Judged) -> int:
    size = judged.batch.x.nbytes
    return size if judged.purified is None else 2 * size


def _lanes() -> tuple[Lane[Observation], Lane[Observation]]:
    return Lane(_VERDICTS, bare), Lane(_CLEAN, bare)


def _nobody(record: Record) -> None:
    """Where spans go when nobody asked for them."""


def _forked(myself: weakref.ref[SideRecorder]) -> None:
    recorder = myself()
    if recorder is not None:
        recorder.after_fork()
