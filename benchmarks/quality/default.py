"""The default chain: what `watchgate init` writes and `calibrate` makes of it, run as an operator runs them."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.data import CACHE
from benchmarks.quality.remembering import Remembering
from benchmarks.quality.subject import Subject
from benchmarks.watchgate import ran
from gateway.chain import Chain
from gateway.configfile import read
from gateway.training.loading import load_endpoints

CONFIG = "watchgate.yaml"


@dataclass(frozen=True)
class Default:
    """The chain, how long `calibrate` took, and what it printed."""

    chain: Chain
    seconds: float
    printed: str


def default(subject: Subject, quick: bool) -> Default:
    """Writes the config, lets `calibrate` choose the stages and list them there, and loads the bundle."""
    folder = _folder(subject, "default")
    files = ("--reference", str(subject.reference), "--holdout", str(subject.holdout))
    ran(folder, "init", "--model", str(subject.trained.onnx), *files, "--name", subject.name)
    return _calibrated(subject, folder, "--write", *["--quick"] * quick)


def hardened(subject: Subject, quick: bool, rounds: int) -> Default:
    """The same stages after so many rounds of self-play; needs `default` to have been called."""
    folder = _folder(subject, "hardened")
    shutil.copy(folder.parent / "default" / CONFIG, folder)
    return _calibrated(subject, folder, "--harden", str(rounds), *["--quick"] * quick)


def _calibrated(subject: Subject, folder: Path, *options: str) -> Default:
    started = time.perf_counter()
    printed = ran(folder, "calibrate", *options)
    seconds = time.perf_counter() - started
    chain = load_endpoints(read(folder / CONFIG))[subject.name].chain
    return Default(replace(chain, backend=Remembering(chain.backend)), seconds, printed)


def _folder(subject: Subject, name: str) -> Path:
    folder = CACHE / "quality" / subject.name / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
