"""What the commands of `watchgate traces` are asked alike: which store, and which of its traces."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import note

if TYPE_CHECKING:
    from gateway.state.record import Trace
    from gateway.state.sqlite import SqliteStore
    from gateway.state.store import Filter


class VerdictWord(str, Enum):
    """Which traces to show; without it all but sampled clean ones."""

    flag = "flag"
    reject = "reject"
    error = "error"
    allow = "allow"


TraceId = Annotated[str, typer.Argument(metavar="ID", help="A trace's id, or enough of its beginning.")]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]
Since = Annotated[str | None, typer.Option(help="Not older than: 45s, 10m, 2h, 3d, or 2026-05-01T12:00.")]
Until = Annotated[str | None, typer.Option(help="Older than, written in the same ways.")]
EndpointOption = Annotated[str | None, typer.Option("--endpoint", help="Only of this endpoint.")]
VerdictOption = Annotated[
    list[VerdictWord] | None, typer.Option("--verdict", help="Only these (repeatable); else all but sampled `allow`.")
]
StageOption = Annotated[str | None, typer.Option("--stage", help="Only those this stage decided.")]
PrincipalOption = Annotated[str | None, typer.Option("--principal", help="Only those of this caller.")]
LabelOption = Annotated[int | None, typer.Option("--label", help="Only those in which the model saw this class.")]
DigestOption = Annotated[str | None, typer.Option("--digest", help="Only those with this input: its whole sha256.")]
DEFAULT_CONFIG = Path("watchgate.yaml")


@contextmanager
def opened(config: Path) -> Iterator[SqliteStore]:
    """The store of this config, to read."""
    from gateway.configfile import read
    from gateway.state.sqlite import SqliteStore

    store = SqliteStore.open_for_reading(read(config).state.path)
    try:
        yield store
    finally:
        store.close()


def matching(
    since: str | None,
    until: str | None,
    endpoint: str | None,
    verdict: list[VerdictWord] | None,
    stage: str | None,
    principal: str | None,
) -> Filter:
    """What the options ask for."""
    from gateway.cli.since import instant_ns
    from gateway.state.store import Filter

    now = time.time_ns()
    words = verdict or [VerdictWord.flag, VerdictWord.reject, VerdictWord.error]
    times = instant_ns("--since", since, now), instant_ns("--until", until, now)
    return Filter(*times, endpoint, tuple(word.value for word in words), stage, principal)


def found(store: SqliteStore, prefix: str) -> Trace:
    """The trace whose id begins so; else the command ends with status 1."""
    try:
        return store.get(prefix.lower())
    except LookupError as error:
        note(f"watchgate: {error.args[0]}")
        raise typer.Exit(1) from None
