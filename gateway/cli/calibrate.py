"""`watchgate calibrate`: learns what is normal, sets thresholds, writes the bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, ConfigFile, print_json


def calibrate(
    config: ConfigFile = Path("watchgate.yaml"),
    endpoint: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    trained: Annotated[
        bool | None,
        typer.Option("--trained/--untrained", help="Without a holdout: was the model trained on the reference?"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Seconds instead of minutes for what learns from attacks, at some loss.")
    ] = False,
    harden: Annotated[
        int, typer.Option(min=0, max=20, help="Rounds of attacks that know the combiner, which learns from each.")
    ] = 0,
    json: AsJson = False,
) -> None:
    """Fit the detectors, set the thresholds and write the bundle that `serve` loads."""
    from gateway.cli.progress import progress_bar
    from gateway.configfile import read
    from gateway.errors import OperatorError
    from gateway.training.calibrate import calibrate as run
    from gateway.training.learning import Learning

    settings = read(config, need_files=True)
    unknown = [name for name in endpoint or () if name not in settings.endpoints]
    if unknown:
        raise OperatorError(f"--endpoint: expected one of {', '.join(settings.endpoints)}, found {unknown[0]!r}")
    reports = []
    for name in endpoint or settings.endpoints:
        saw = _saw_training(name, trained, asked=settings.endpoints[name].holdout is None)
        with progress_bar(name) as tell:
            reports.append(run(settings, name, progress=tell, saw_training=saw, learning=Learning(quick, harden)))
    if json:
        print_json({"endpoints": [report.to_json() for report in reports]})
        return
    from rich.console import Console

    for report in reports:
        Console().print(report.table(), soft_wrap=False)


def _saw_training(name: str, told: bool | None, asked: bool) -> bool | None:
    """Whether the model saw the reference in training: as told, or as answered on a terminal; None is not known."""
    if told is not None or not asked or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return told
    return typer.confirm(f"{name} has no holdout. Was its model trained on rows of the reference?", err=True)
