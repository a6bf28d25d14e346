"""`watchgate status`: what the console's overview shows."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, print_json, safe

if TYPE_CHECKING:
    from gateway.console.overview import Health, Overview


class RangeWord(str, Enum):
    """How far back."""

    quarter = "15m"
    hour = "1h"
    hours = "6h"
    day = "24h"
    days = "3d"


def status(
    config: Annotated[Path, typer.Option("--config", "-c", help="The config file.")] = Path("watchgate.yaml"),
    range_: Annotated[
        RangeWord, typer.Option("--range", help="How far back; as far as the console has watched.")
    ] = RangeWord.hour,
    json: AsJson = False,
) -> None:
    """Tell how every endpoint does, and what needs attention."""
    from gateway.configfile import read
    from gateway.console.overview import RANGES_S, health, overview
    from gateway.console.source import Source
    from gateway.errors import OperatorError
    from gateway.state.sqlite import FILE
    from gateway.state.store import StoreError

    settings = read(config)
    if not (settings.state.path / FILE).is_file():
        raise OperatorError(f"{settings.state.path / FILE}: expected the store of a gateway that served, found no file")
    source = Source(settings, config)
    try:
        seen = [overview(source, name, RANGES_S[range_.value]) for name in settings.endpoints]
        whole = health(source)
    except StoreError as error:
        raise OperatorError(f"state.path: the store can't be read now: {error}") from None
    finally:
        source.close()
    if json:
        print_json({"endpoints": [one.to_json() for one in seen], "gateway": whole.to_json()})
        return
    for one in seen:
        _tell(one)
    _tell_health(whole)


def _tell(one: Overview) -> None:

    added = one.added
    typer.echo(f"{one.endpoint}: {safe(one.attention.text)}")
    over = "since the state folder began" if one.seconds is None else f"in {_duration(one.seconds)}"
    typer.echo(f"  {added.requests:,.0f} requests {over}, {added.refused:,.0f} malformed, {added.failed:,.0f} failed")
    for which, name, budget in (
        ("flag", "flagged or rejected", one.facts.flag_budget),
        ("reject", "rejected", one.facts.reject_budget),
    ):
        share = one.share(which)
        if share is not None:
            typer.echo(f"  {share:.2%} of rows {name}" + ("" if budget is None else f", budget {budget:.2%}"))
    fast, slow = added.quantile_ms(0.5), added.quantile_ms(0.99)
    if fast is not None and slow is not None:
        typer.echo(f"  answer time p50 {_ms(fast)} ms, p99 {_ms(slow)} ms")
    drift = one.facts.drift
    if drift.drifted:
        typer.echo(f"  drift: {safe(drift.sentence)}; `watchgate drift` tells how far")
    elif drift.drift.series:
        typer.echo("  no drift" + (f" in {drift.status.rows:,} rows" if drift.status is not None else ""))
    elif drift.watched:
        typer.echo(f"  drift: {safe(drift.trouble or 'nothing was evaluated yet')}")


def _tell_health(whole: Health) -> None:
    size = whole.stored_bytes / 2**20
    typer.echo(
        f"gateway: {whole.workers} workers, {whole.stored_requests:,} requests kept ({size:.1f} MiB), {whole.lost} lost"
    )


def _duration(seconds: int) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"


def _ms(value: float) -> str:
    """Two digits, and no powers of ten."""
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.2g}"
