"""`python -m benchmarks.queries.extraction`: what callers who copy a model look like beside honest ones, on MNIST.

Each caller asks as many rows of the model; the measures are those that `watchgate principals --json` tells, by the same
code: the share of rows near the boundary, and the share of the reference's cells that were asked in.

Attacks: bisection between rows of two classes (Lowd, Meek: KDD 2005; Tramer et al.: USENIX Security 2016), Jacobian
augmentation of 100 rows with a substitute (Papernot et al.: AsiaCCS 2017), pictures of other things (Orekondy et al.:
Knockoff Nets, CVPR 2019: CIFAR-10 in gray here), and uniform noise.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.command import Run, main
from benchmarks.data import CACHE, Labeled, cifar_gray, mnist, to_grid
from benchmarks.mnist_model import build, trained
from benchmarks.tables import table, write
from detectors.queries.extraction import Extraction, territory
from gateway.chain import Chain
from gateway.state.principals.file import PrincipalFile
from gateway.tracking.queries.asking import AskingWatcher
from gateway.tracking.seen import Seen
from gateway.training.passes import Chunked
from gateway.verdict import Judged
from models.backend import ModelBackend
from models.batch import Array, Batch
from models.specs import InputConfig, OnnxSpec, load_model, resolve

PACKAGES = ("onnxruntime", "torch", "numpy")
ROWS, CALLERS = 1000, 10
QUICK_ROWS, QUICK_CALLERS = 200, 3
SEEDS, STEP, EPOCHS = 100, 0.1, 10
HONEST = ("any rows", "one class", "noisy rows")
NAME = "queries-extraction"
Asks = Callable[[np.random.Generator, int], Array]


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    rows, callers = (QUICK_ROWS, QUICK_CALLERS) if run.quick else (ROWS, CALLERS)
    train, test = mnist()
    backend = loaded(trained(train).onnx, train.x[:64])
    reference, held_out = Batch(train.x[:6000]), Batch(test.x[:2000])
    known = Extraction.fit(territory(reference.x, backend.predict(reference)), backend.predict(held_out))
    asked = {
        name: [asks(np.random.default_rng(caller), rows) for caller in range(callers)]
        for name, asks in kinds(backend, test.part(2000, 10_000)).items()
    }
    found, microseconds = watched(known, backend, asked, CACHE / "extraction")
    facts = {**run.facts, "rows": rows, "callers": callers, "microseconds_a_row": microseconds}
    return kept(found, facts, run)


def loaded(path: Path, sample: Array) -> ModelBackend:
    """The model as it is served."""
    spec = resolve(OnnxSpec(path=path, input=InputConfig(bounds=(0.0, 1.0))), sample, None)
    return Chunked(load_model(spec, None))


def kinds(backend: ModelBackend, test: Labeled) -> dict[str, Asks]:
    """Every kind of caller: the rows that one asks."""

    def some(rng: np.random.Generator, n: int, x: Array = test.x) -> Array:
        return np.asarray(x[rng.choice(len(x), n, replace=n > len(x))])

    other = cifar_gray(4000)
    return {
        "any rows": some,
        "one class": lambda rng, n: some(rng, n, test.x[test.y == rng.integers(10)]),
        "noisy rows": lambda rng, n: noisy(some(rng, n), rng),
        "bisection": lambda rng, n: bisected(backend, test.x, rng, n),
        "augmentation": lambda rng, n: augmented(backend, test.x, rng, n),
        "other pictures": lambda rng, n: some(rng, n, other),
        "noise": lambda rng, n: to_grid(rng.random((n, *test.x.shape[1:]))),
    }


def noisy(x: Array, rng: np.random.Generator) -> Array:
    """As a poor camera makes them."""
    return to_grid(x + rng.normal(0.0, 0.1, x.shape))


def bisected(backend: ModelBackend, x: Array, rng: np.random.Generator, n: int) -> Array:
    """Eight steps along each line between two rows of which the model says two classes."""
    parts: list[Array] = []
    while sum(map(len, parts)) < n:
        ends = x[rng.choice(len(x), (2, 64))]
        classes = [said(backend, end) for end in ends]
        low, high = (end[classes[0] != classes[1]] for end in ends)
        parts.append(np.concatenate([low, high]))
        first = classes[0][classes[0] != classes[1]]
        for _ in range(8):
            middle = ((low + high) / 2.0).astype(np.float32)
            parts.append(middle)
            same = (said(backend, middle) == first)[:, None, None, None]
            low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.asarray(np.concatenate(parts)[:n])


def augmented(backend: ModelBackend, x: Array, rng: np.random.Generator, n: int) -> Array:
    """Rows and answers train a substitute; along the sign of its Jacobian each row gives another, until there are n."""
    torch.manual_seed(int(rng.integers(2**31)))
    asked = x[rng.choice(len(x), SEEDS, replace=False)]
    while len(asked) < n:
        labels = torch.from_numpy(said(backend, asked))
        substitute = fitted(torch.tensor(asked), labels)
        rows = torch.tensor(asked, requires_grad=True)
        substitute(rows).gather(1, labels[:, None]).sum().backward()
        assert rows.grad is not None
        moved = asked + np.float32(STEP) * rows.grad.sign().numpy() * rng.choice([-1, 1], (len(asked), 1, 1, 1))
        asked = np.concatenate([asked, to_grid(moved)])
    return np.asarray(asked[:n])


def fitted(x: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    """A substitute of the same shape."""
    network = build()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(64):  # type: ignore[no-untyped-call]
            optimizer.zero_grad()
            functional.cross_entropy(network(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network


def said(backend: ModelBackend, x: Array) -> Array:
    """The model's classes."""
    logits = backend.predict(Batch(x)).logits
    assert logits is not None
    return np.asarray(logits.argmax(axis=1))


def watched(
    known: Extraction, backend: ModelBackend, asked: dict[str, list[Array]], folder: Path
) -> tuple[dict[str, list[tuple[float, float]]], float]:
    """Near share and coverage of every caller, and microseconds a row of counting them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("principals.db*"):
        old.unlink()
    watcher = AskingWatcher({"m": ("v", known)}, lambda: PrincipalFile.open(folder))
    seen = []
    for name, callers in asked.items():
        for number, x in enumerate(callers):
            outputs = backend.predict(Batch(x))
            for start in range(0, len(x), 4):  # as requests of four rows
                part = slice(start, start + 4)
                verdicts = Chain(None)._unjudged(len(x[part]))  # type: ignore[arg-type]
                seen.append(Seen("m", f"{name}/{number}", "", Judged(Batch(x[part]), verdicts, outputs.take(part))))
    rows, spent = sum(map(len, seen)), 0.0
    for start in range(0, len(seen), 50):
        watcher._rates["m"]._saved = 1e9  # everything is looked at, faster than a clock would let
        started = time.process_time()
        watcher.take(seen[start : start + 50])
        watcher.close(0.0)
        spent += time.process_time() - started
    watcher.leave(None)  # type: ignore[arg-type] # it opens the store of principals itself
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
    with closing(PrincipalFile.open(folder)) as store:
        for each in store.measures():
            found[each.principal.partition("/")[0]].append((each.near_boundary or 0.0, each.coverage))
    return found, spent / rows * 1e6


def told_apart(attack: Array, honest: Array) -> float:
    """The share of pairs in which the attacker's is the larger (AUROC)."""
    return float((attack[:, None] > honest).mean() + 0.5 * (attack[:, None] == honest).mean())


def kept(found: dict[str, list[tuple[float, float]]], facts: dict[str, Any], run: Run) -> Path:
    """Writes the page and its numbers."""
    honest = np.array([pair for name in HONEST for pair in found[name]])
    lines, document = [], {}
    for name, pairs in found.items():
        each = np.array(pairs)
        apart = [told_apart(each[:, column], honest[:, column]) for column in range(2)]
        cells = [name, "honest" if name in HONEST else "attack"]
        for column in range(2):
            low, middle, high = each[:, column].min(), each[:, column].mean(), each[:, column].max()
            cells.append(f"{middle:.1%} ({low:.1%} to {high:.1%})")
        cells += ["" if name in HONEST else f"{value:.2f}" for value in apart]
        lines.append(cells)
        document[name] = {"near_boundary": each[:, 0].tolist(), "coverage": each[:, 1].tolist(), "auroc": apart}
    header = ("caller", "is", "near the boundary", "coverage", "AUROC near", "AUROC coverage")
    text = (
        f"# How callers who copy a model ask (MNIST)\n\n`{run.command}`; {facts['callers']} callers of each kind, "
        f"{facts['rows']} rows each: mean, least and largest.\n\n{table(header, lines)}\n\n"
        "AUROC: how often an attacker's measure is above that of an honest caller of any of the three kinds.\n"
        f"Counting costs {facts['microseconds_a_row']:.1f} µs of CPU a row, in requests of four.\n"
    )
    return write(NAME, text, {"facts": facts, "callers": document}, run.folder)[0]


if __name__ == "__main__":
    sys.exit(main("benchmarks.queries.extraction", __doc__, PACKAGES, measure))
