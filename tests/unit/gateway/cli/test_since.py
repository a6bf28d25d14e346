from __future__ import annotations

from datetime import datetime, timezone

import pytest

from gateway.cli.since import instant_ns, iso, local
from gateway.errors import OperatorError

NOW = 1_800_000_000 * 10**9


@pytest.mark.parametrize(
    ("value", "seconds"), [("45s", 45), ("10m", 600), ("2h", 7200), ("1.5h", 5400), ("3d", 259_200), ("1w", 604_800)]
)
def test_ages(value: str, seconds: int) -> None:
    assert instant_ns("--since", value, NOW) == NOW - seconds * 10**9


def test_times() -> None:
    expected = int(datetime(2026, 5, 1, 12, tzinfo=timezone.utc).timestamp()) * 10**9
    assert instant_ns("--since", "2026-05-01T12:00Z", NOW) == expected
    assert instant_ns("--since", "2026-05-01T14:00+02:00", NOW) == expected
    assert instant_ns("--since", "2026-05-01", NOW) == int(datetime(2026, 5, 1).timestamp()) * 10**9
    assert instant_ns("--since", None, NOW) is None


def test_what_is_neither_is_one_line() -> None:
    with pytest.raises(OperatorError, match=r"--until: expected an age .* found 'yesterday'"):
        instant_ns("--until", "yesterday", NOW)


def test_moments_are_written_for_people_and_machines() -> None:
    moment = NOW + 123_000_000
    assert datetime.fromisoformat(iso(moment)).timestamp() == pytest.approx(moment / 1e9, abs=1e-3)
    assert local(moment) == datetime.fromtimestamp(moment / 1e9).strftime("%Y-%m-%d %H:%M:%S")
