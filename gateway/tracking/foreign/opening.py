"""From a config to the trackers of other people's detectors: what may run code is refused before anything is served."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from defenses.base import Unsuitable
from detectors.alibi_saved import Saved
from gateway.endpoint import Endpoint
from gateway.errors import OperatorError
from gateway.tracking.foreign.config import AlibiTracker
from gateway.tracking.foreign.runner import ForeignTracker
from gateway.tracking.storeclock import StoreClock


def open_foreign(endpoints: Mapping[str, Endpoint], clock: StoreClock) -> list[ForeignTracker]:
    """The trackers that the endpoints' configs ask for, not started.

    Raises:
        OperatorError: a folder is no saved detector, holds what may run code, or is not what was pinned; or
            alibi-detect is not installed.
    """
    return [
        ForeignTracker(name, each.info.version, tracker, _saved(f"endpoints.{name}.trackers[{index}]", tracker), clock)
        for name, each in endpoints.items()
        for index, tracker in enumerate(each.config.trackers)
    ]


def _saved(where: str, tracker: AlibiTracker) -> Saved:
    try:
        saved = Saved.read(tracker.path)
        if tracker.sha256 is not None:
            saved.refuse_unpinned(tracker.sha256)
        if not tracker.trust:
            saved.refuse_code()
    except Unsuitable as error:
        raise OperatorError(f"{where}: {error}") from error
    if find_spec("alibi_detect") is None:
        raise OperatorError(f"{where}: kind alibi needs alibi-detect: install watchgate[alibi]")
    return saved
