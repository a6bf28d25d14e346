"""One worker process: from the operator's file to a running app, and back down."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from gateway.errors import OperatorError

if TYPE_CHECKING:
    from gateway.app import App

CONFIG_VARIABLE = "WATCHGATE_CONFIG"
WORKERS_VARIABLE = "WATCHGATE_WORKERS"
DRAIN_S = 20.0
SWITCH_S = 0.0005  # how long the side path may keep the interpreter from a request; Python's own choice is 5 ms
_log = logging.getLogger("watchgate")


def workers() -> int:
    """How many worker processes to start.

    Raises:
        OperatorError: WATCHGATE_WORKERS is no positive number.
    """
    stated = os.environ.get(WORKERS_VARIABLE, "1")
    if not stated.isdigit() or int(stated) < 1:
        raise OperatorError(f"{WORKERS_VARIABLE}: expected a number of at least 1, found {stated!r}")
    return int(stated)


class Worker:
    """What one process serves: nothing until `start`, nothing again after `stop`."""

    def __init__(self) -> None:
        self.app: App | None = None
        self._recorder: Any = None
        self._tracker: Any = None

    def start(self) -> App:
        """Reads the config that WATCHGATE_CONFIG names, loads its bundle and builds the app.

        Raises:
            OperatorError: no config is named, or it can't be served; the text is one line.
        """
        from gateway import app, configfile  # here, so that building a bento needs neither a config nor a bundle
        from gateway.telemetry.recorder import open_recorder
        from gateway.tracking.opening import open_tracker
        from gateway.training.loading import load_endpoints

        named = os.environ.get(CONFIG_VARIABLE)
        if not named:
            raise OperatorError(f"{CONFIG_VARIABLE}: expected the path of a watchgate.yaml, found nothing")
        logging.getLogger("uvicorn.access").propagate = False  # else uvicorn prepares a line a request that none reads
        config = configfile.read(Path(named))
        endpoints = load_endpoints(config)
        sys.setswitchinterval(SWITCH_S)
        threadpool_limits(1)  # spinning BLAS threads cost other workers more than they give this one
        self._recorder = open_recorder(config, [endpoint.info for endpoint in endpoints.values()])
        self._tracker = open_tracker(config, endpoints, workers())
        if self._tracker is not None:
            self._tracker.start()
        self.app = app.build(config, endpoints, self._recorder, self._tracker)
        self.app.start()
        gc.collect()
        gc.freeze()  # what was loaded stays; looking through it again and again would stop the world for nothing
        return self.app

    async def stop(self) -> None:
        """Answers what was accepted, then lets the recorder finish."""
        if self.app is not None:
            await self.app.drain(DRAIN_S)
        if self._tracker is not None:
            await asyncio.to_thread(self._tracker.close, DRAIN_S / 4)
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close, DRAIN_S / 2)
        self.app = None
        self._recorder = self._tracker = None
