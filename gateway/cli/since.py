"""Times on a command line: `10m`, `2h`, `3d`, or a date with or without a time."""

from __future__ import annotations

import re
from datetime import datetime

from gateway.errors import OperatorError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def instant_ns(option: str, value: str | None, now_ns: int) -> int | None:
    """The moment `value` means, as `time.time_ns()`; None for None. A time without a zone is local.

    Raises:
        OperatorError: it is neither an age nor a time.
    """
    if value is None:
        return None
    ago = _AGO.fullmatch(value.strip())
    if ago is not None:
        return now_ns - int(float(ago[1]) * _UNITS_S[ago[2]] * 1e9)
    try:  # Python 3.10 does not read a final Z
        return int(datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", value.strip())).timestamp() * 1e9)
    except (ValueError, OverflowError, OSError):
        raise OperatorError(
            f"{option}: expected an age (45s, 10m, 2h, 3d, 1w) or a time (2026-05-01T12:00), found {value!r}"
        ) from None


def duration_s(option: str, value: str) -> float:
    """The seconds that `value` means.

    Raises:
        OperatorError: it is no duration.
    """
    found = _AGO.fullmatch(value.strip())
    if found is None:
        raise OperatorError(f"{option}: expected a duration (45s, 10m, 2h, 3d, 1w), found {value!r}")
    return float(found[1]) * _UNITS_S[found[2]]


def local(moment_ns: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """The moment in local time."""
    return datetime.fromtimestamp(moment_ns / 1e9).astimezone().strftime(form)


def iso(moment_ns: int) -> str:
    """The moment for machines: ISO 8601 with milliseconds and the local offset."""
    return datetime.fromtimestamp(moment_ns / 1e9).astimezone().isoformat(timespec="milliseconds")
