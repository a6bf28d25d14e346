"""`python -m benchmarks.queries.throughput`: what remembering queries costs a busy endpoint, beside one without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.data import CACHE, ROOT, Images, mnist
from benchmarks.mnist_model import trained
from benchmarks.queries.served import ALONE, PLAIN, USUAL, served
from benchmarks.serving.client import Burst, Order
from benchmarks.tables import table, write

CONNECTIONS = 16
PACKAGES = ("onnxruntime", "numpy")


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    train, test = mnist()
    folder = CACHE / "queries-throughput"
    bursts: dict[str, list[Burst]] = {PLAIN: [], USUAL: []}
    with served(
        folder, trained(train).onnx, train.part(0, 6000), test.part(0, 5000), [], (ALONE, PLAIN, USUAL)
    ) as place:
        requests = {name: written(folder / "requests" / name, name, train.x[10_000:26_000]) for name in bursts}
        parent = psutil.Process(place.pid)
        pids = tuple(process.pid for process in (parent, *parent.children(recursive=True)))
        for number in range(2 if run.quick else 6):
            for name in sorted(bursts, reverse=bool(number % 2)):
                order = Order(place.port, CONNECTIONS, 0.5, 1.0 if run.quick else 5.0, str(requests[name]), pids)
                bursts[name].append(driven(order))
    return keep(bursts, run)


def written(folder: Path, endpoint: str, x: Images) -> Path:
    """One request a row, all different, ready to be sent."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(x):
        tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 28, 28]}
        head = {"inputs": [tensor | {"parameters": {"binary_data_size": row.nbytes}}]}
        told = json.dumps(head | {"parameters": {"binary_data_output": True}}).encode()
        lines = (
            f"POST /v2/models/{endpoint}/infer HTTP/1.1",
            "host: gateway",
            "content-type: application/octet-stream",
            f"inference-header-content-length: {len(told)}",
            f"content-length: {len(told) + row.nbytes}",
            "",
            "",
        )
        (folder / f"{number:05}").write_bytes("\r\n".join(lines).encode() + told + row.tobytes())
    return folder


def driven(order: Order) -> Burst:
    """A burst from a client process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving.client"],
        input=json.dumps(vars(order)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return Burst(**json.loads(ran.stdout))


def keep(bursts: dict[str, list[Burst]], run: Run) -> Path:
    """Writes the page; gives its path."""
    rates = {name: [burst.per_second for burst in each] for name, each in bursts.items()}
    cpu = {name: float(np.median([burst.cpu_us for burst in each])) for name, each in bursts.items()}
    ratios = [on / off for on, off in zip(rates[USUAL], rates[PLAIN], strict=True)]
    rows = [
        [
            name,
            f"{np.median(rates[name]):.0f}",
            f"{cpu[name]:.0f}",
            f"{np.median([b.p50_ms for b in each]):.2f}",
            f"{np.median([b.p99_ms for b in each]):.2f}",
        ]
        for name, each in bursts.items()
    ]
    refused = sum(
        count for each in bursts.values() for b in each for status, count in b.statuses.items() if status != "200"
    )
    text = "\n\n".join(
        [
            "# What remembering queries costs a busy endpoint",
            f"`{run.command}`; {machine.sentence(run.facts)}",
            f"One worker, {CONNECTIONS} connections, one MNIST row a request, no row twice in 16,000; medians of "
            f"{len(ratios)} rounds, the two endpoints in turns. `{USUAL}` has `queries` with its defaults (but only "
            f"`flag`), `{PLAIN}` none. Answers other than 200: {refused}.",
            table(["endpoint", "requests a second", "server CPU µs a request", "p50 ms", "p99 ms"], rows),
            f"With over without: {np.median(ratios):.3f} (rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}); "
            f"in CPU a request {cpu[PLAIN] / cpu[USUAL]:.3f}.",
        ]
    )
    document = {"facts": run.facts, "per_second": rates, "cpu_us": cpu, "ratio": float(np.median(ratios))}
    return write("queries-throughput", text, document, run.folder)[0]


if __name__ == "__main__":
    sys.exit(main("benchmarks.queries.throughput", __doc__, PACKAGES, measure))
