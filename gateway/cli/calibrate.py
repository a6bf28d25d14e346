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
        int, typer.Option(min=0, max=20, help="Rounds of attacks that know the chain; its combiners learn from each.")
    ] = 0,
    select: Annotated[
        bool, typer.Option("--select", help="Choose the stages even where the config lists some; needs --write there.")
    ] = False,
    cost: Annotated[
        float | None, typer.Option(min=1.0, help="At most so many forward passes a row, instead of the config's.")
    ] = None,
    from_traffic: Annotated[
        bool, typer.Option("--from-traffic", help="Only set the thresholds anew, on kept rows of production.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Write the chosen stages into the config.")] = False,
    json: AsJson = False,
) -> None:
    """Fit the detectors, set the thresholds and write the bundle that `serve` loads."""
    from gateway.cli.progress import progress_bar
    from gateway.configfile import read
    from gateway.configfile.writing import write_chain
    from gateway.errors import OperatorError
    from gateway.training.calibrate import calibrate as run
    from gateway.training.learning import Learning
    from gateway.training.recutting import recut

    settings = read(config, need_files=not from_traffic)
    unknown = [name for name in endpoint or () if name not in settings.endpoints]
    if unknown:
        raise OperatorError(f"--endpoint: expected one of {', '.join(settings.endpoints)}, found {unknown[0]!r}")
    if from_traffic and (harden or select or write or cost is not None):
        raise OperatorError("--from-traffic: sets thresholds and nothing else: leave --harden, --select and --cost out")
    reports = []
    for name in endpoint or settings.endpoints:
        if from_traffic:
            with progress_bar(name) as tell:
                reports.append(recut(settings, name, tell))
            continue
        saw = _saw_training(name, trained, asked=settings.endpoints[name].holdout is None)
        with progress_bar(name) as tell:
            learning = Learning(quick, harden, select, cost, write)
            report = run(settings, name, progress=tell, saw_training=saw, learning=learning)
        if write and report.selection is not None:
            write_chain(config, name, report.selection.stages)
        reports.append(report)
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
