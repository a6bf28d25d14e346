"""`python -m benchmarks.nearest`: what `nearest` finds and takes on the MNIST model, by what it keeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from attacks.fgsm import fgsm
from attacks.grid import on_grid
from attacks.pgd import pgd
from benchmarks.data import DataMissing, Images, Labeled, mnist
from benchmarks.mnist_model import trained
from benchmarks.networks import Trained
from benchmarks.tables import table, write
from detectors.base import Reference, View
from detectors.space import Space
from detectors.subspace import Subspace
from models.backend import ModelBackend
from models.batch import Array, Batch, Bounds
from models.specs import OnnxSpec, load_model, resolve

NAME = "nearest-mnist"
REFERENCE_ROWS, HONEST_ROWS, ATTACKED_ROWS = 6000, 3000, 400
K = 5
BOUNDS = Bounds(0.0, 1.0)
# name: (components, None for all; kept values in all)
KEPT: Mapping[str, tuple[int | None, int]] = {
    "5,000 rows": (None, 5000 * 129),
    "1 MiB of rows": (None, 2**18),
    "256 KiB of rows": (None, 2**16),
    "256 KiB, 32 components and the rest": (32, 2**16),
    "256 KiB, 16 components and the rest": (16, 2**16),
}


@dataclass(frozen=True)
class Found:
    """One way to keep: shape, the share of each set over the honest 99 % and 95 % quantiles, and one row's time."""

    kept: tuple[int, int]
    shares: Mapping[str, tuple[float, float]]
    microseconds: float


def attacked(model: Trained, clean: Labeled) -> Iterator[tuple[str, Images]]:
    """Rows on the grid that fool the model, and two sets from elsewhere."""
    x, y = torch.from_numpy(clean.x), torch.from_numpy(clean.y)
    made = {
        f"PGD {eps:g}": pgd(model.network, x, y, epsilon=eps, steps=30, bounds=BOUNDS, seed=0)
        for eps in (0.1, 0.2, 0.3)
    }
    made["FGSM 0.2"] = fgsm(model.network, x, y, epsilon=0.2, bounds=BOUNDS)
    for name, rows in made.items():
        rounded = on_grid(rows, step=1 / 255, bounds=BOUNDS)
        yield name, rounded[model.network(rounded).argmax(dim=1) != y].numpy()
    yield "uniform noise", np.random.default_rng(0).random(clean.x.shape, dtype=np.float32)
    yield "inverted", (1.0 - clean.x).astype(np.float32)


def judge(z: Array, honest: Array, sets: Mapping[str, Array], components: int | None, values: int) -> Found:
    """What the k-th neighbor among so much of the reference's coordinates `z` tells."""
    subspace = None if components is None else Subspace.fit(z, components)
    reduce = (lambda rows: rows) if subspace is None else subspace
    kept = reduce(z)
    kept = kept[np.random.default_rng(0).permutation(len(kept))[: min(5000, values // kept.shape[1])]]
    score = _kth(reduce(honest), kept)
    cuts = np.quantile(score, (0.99, 0.95))
    shares = {name: _over(_kth(reduce(rows), kept), *cuts) for name, rows in sets.items()}
    return Found(kept.shape, shares, _time(lambda row: _kth(reduce(row), kept), honest))


def _over(score: Array, first: float, second: float) -> tuple[float, float]:
    return float((score > first).mean()), float((score > second).mean())


def _kth(rows: Array, kept: Array) -> Array:
    squares = (rows**2).sum(axis=1)[:, None] - 2.0 * rows @ kept.T + (kept**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(np.partition(squares, K - 1, axis=1)[:, K - 1], 0.0)))


def _time(score: object, honest: Array, repeats: int = 300) -> float:
    """Median microseconds of one row, with the cache emptied before as a model's pass does."""
    assert callable(score)
    elsewhere, took = np.ones(2**20), []
    for at in range(repeats):
        elsewhere.sum()
        started = time.perf_counter()
        score(honest[at : at + 1])
        took.append(time.perf_counter() - started)
    return float(np.median(took) * 1e6)


def main() -> int:
    """Writes the table."""
    torch.set_num_threads(1)
    try:
        train, test = mnist()
    except DataMissing as error:
        print(error, file=sys.stderr)
        return 1
    model = trained(train)
    backend = load_model(resolve(OnnxSpec(path=model.onnx), test.x[:8]))
    reference = Reference(_view(backend, train.x[:REFERENCE_ROWS]), backend.spec)
    space = Space.fit(reference)
    honest = space.coordinates(_view(backend, test.x[:HONEST_ROWS]))
    clean = test.part(HONEST_ROWS, HONEST_ROWS + ATTACKED_ROWS)
    sets = {name: space.coordinates(_view(backend, rows)) for name, rows in attacked(model, clean)}
    z = space.coordinates(reference.view)
    found = {name: judge(z, honest, sets, *kept) for name, kept in KEPT.items()}
    write(
        NAME,
        _page(found),
        {name: {"kept": f.kept, "found": f.shares, "us": f.microseconds} for name, f in found.items()},
    )
    return 0


def _view(backend: ModelBackend, x: Images) -> View:
    return View(Batch(np.ascontiguousarray(x)), backend)


def _page(found: Mapping[str, Found]) -> str:
    names = list(next(iter(found.values())).shares)
    rows = [
        [
            name,
            f"{f.kept[0]}x{f.kept[1]}",
            *(f"{100 * a:.0f} / {100 * b:.0f}" for a, b in f.shares.values()),
            f"{f.microseconds:.0f}",
        ]
        for name, f in found.items()
    ]
    head = "# What `nearest` keeps\n\n`python -m benchmarks.nearest`\n\n"
    told = (
        f"Share (%) of rows over the honest 99 % / 95 % quantile of the distance to the {K}th neighbor, on MNIST's "
        f"penultimate features; {HONEST_ROWS} honest rows never seen; attacks that ignore the defense, rounded to 8 "
        "bits, only rows that fool the model. Time is of one row alone after its cache was emptied (median).\n\n"
    )
    return head + told + table(["kept", "shape", *names, "us a row"], rows)


if __name__ == "__main__":
    raise SystemExit(main())
