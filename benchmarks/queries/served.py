"""A calibrated MNIST endpoint served as anybody would, several times: each with a memory of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import Labeled
from benchmarks.queries.caller import NAMED
from benchmarks.serving.process import free_port
from gateway import configfile
from gateway.demo.server import serving
from gateway.training.calibrate import calibrate

ALONE = "digits"  # compares a principal with itself only
CLEAN = "clean"  # as an operator would have it, but all rows are looked at
PLAIN = "plain"  # remembers nothing
WATCHED = "watched"  # looks for drift, as an operator would have it
BOTH = "both"  # remembers and looks for drift
_FLAGS = "queries: {steps: [flag]"
_USUAL = [f"{_FLAGS}}}"]  # as an operator would have it
_DRIFT = "drift: {window: 1000}"
_KEYS = {
    ALONE: [f"{_FLAGS}, everybody: 0}}"],
    CLEAN: [f"{_FLAGS}, rows_per_second: 100000}}"],
    PLAIN: [],
    WATCHED: [_DRIFT],
    BOTH: [*_USUAL, _DRIFT],
}


@dataclass(frozen=True)
class Place:
    """Where the endpoints are served, and where they keep their state and bundles."""

    port: int
    folder: Path
    pid: int

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"


@contextmanager
def served(
    folder: Path,
    model: Path,
    reference: Labeled,
    holdout: Labeled,
    crowds: Sequence[str],
    usual: Sequence[str] = (ALONE, CLEAN),
) -> Iterator[Place]:
    """The endpoints, ready. `crowds` are more that compare principals with each other."""
    folder.mkdir(parents=True, exist_ok=True)
    reference.save(folder / "reference.npz")
    holdout.save(folder / "holdout.npz")
    config = folder / "watchgate.yaml"
    settings = {name: _KEYS[name] for name in usual} | dict.fromkeys(crowds, _USUAL)
    lines = [_endpoint(name, model, each) for name, each in settings.items()]
    trusted = f"principal: {{header: {NAMED}, trusted: [127.0.0.1]}}"
    config.write_text("\n".join(["endpoints:", *lines, "state: {path: state}", trusted, ""]))
    for name in settings:
        calibrate(configfile.read(config, need_files=True), name)
    port = free_port()
    with serving(config, port, folder / "server.log") as server:
        yield Place(port, folder, server.pid)


def _endpoint(name: str, model: Path, keys: Sequence[str]) -> str:
    return (
        f"  {name}:\n    model: {{kind: onnx, path: {model}, input: {{bounds: [0, 1]}}}}\n"
        f"    reference: reference.npz\n    holdout: holdout.npz\n" + "".join(f"    {key}\n" for key in keys)
    )
