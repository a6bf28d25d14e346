"""`watchgate traces mark`: an operator's word on a request, as the console takes it too."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from gateway.cli.output import note
from gateway.cli.traces.options import DEFAULT_CONFIG, ConfigOption, TraceId, found


class Word(str, Enum):
    """What the request was, in the operator's judgment; `none` lifts the mark."""

    attack = "attack"
    honest = "honest"
    broken = "broken"
    none = "none"


def mark(
    trace_id: TraceId,
    word: Annotated[Word, typer.Argument(help="What it was; `broken` is a broken client, `none` lifts the mark.")],
    text: Annotated[str, typer.Option("--note", help="A note for whoever looks at it later.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say whether a stopped request was an attack, honest, or a broken client."""
    from gateway.configfile import read
    from gateway.errors import OperatorError
    from gateway.state.marks import MARK_WORDS
    from gateway.state.sqlite import SqliteStore
    from gateway.state.store import StoreError

    path = read(config).state.path
    SqliteStore.open_for_reading(path).close()  # one that is not there is a mistake, not something to make
    try:
        store = SqliteStore.open_for_writing(path)
    except StoreError as error:
        raise OperatorError(str(error)) from None
    try:
        record = found(store, trace_id).record
        chosen = next((each for each in MARK_WORDS if each == word.value), None)
        if chosen is None:
            store.marks.lift(record.id)
        else:
            store.marks.put(record, chosen, text)
    except StoreError as error:
        raise OperatorError(f"state.path: {error}") from None
    finally:
        store.close()
    note(f"{record.id[:8]}: {'no mark' if chosen is None else chosen}")
