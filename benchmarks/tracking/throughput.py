"""`python -m benchmarks.tracking.throughput`: a busy endpoint with `drift`, with `queries` too, and with neither."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil

from benchmarks import machine
from benchmarks.command import Run, main
from benchmarks.data import CACHE, mnist
from benchmarks.mnist_model import trained
from benchmarks.queries.served import ALONE, BOTH, PLAIN, WATCHED, served
from benchmarks.serving.bodies import OIP_BINARY, written
from benchmarks.serving.client import Burst, Order
from benchmarks.serving.load import sent
from benchmarks.tables import table, write

CONNECTIONS = 16
NAMES = (PLAIN, WATCHED, BOTH)
PACKAGES = ("onnxruntime", "numpy")


def measure(run: Run) -> Path:
    """Measures and writes the page."""
    train, test = mnist()
    folder = CACHE / "tracking-throughput"
    bursts: dict[str, list[Burst]] = {name: [] for name in NAMES}
    names = (ALONE, *NAMES)  # the first is what the server is asked for until it is ready
    with served(folder, trained(train).onnx, train.part(0, 6000), test.part(0, 5000), [], names) as place:
        x = train.x[10_000:26_000]
        requests = {
            name: written(folder / "requests" / name, f"/v2/models/{name}/infer", OIP_BINARY, x) for name in NAMES
        }
        parent = psutil.Process(place.pid)
        pids = tuple(process.pid for process in (parent, *parent.children(recursive=True)))
        for number in range(1 if run.quick else 6):
            for name in NAMES if number % 2 else NAMES[::-1]:
                order = Order(place.port, CONNECTIONS, 0.5, 1.0 if run.quick else 5.0, str(requests[name]), pids)
                bursts[name].append(sent(order))
    return keep(bursts, run)


def keep(bursts: dict[str, list[Burst]], run: Run) -> Path:
    """Writes the page; gives its path."""
    rates = {name: [burst.per_second for burst in each] for name, each in bursts.items()}
    cpu = {name: float(np.median([burst.cpu_us for burst in each])) for name, each in bursts.items()}
    ratios = {
        name: [on / off for on, off in zip(rates[name], rates[PLAIN], strict=True)] for name in NAMES if name != PLAIN
    }
    rows = [
        [
            name,
            f"{np.median(rates[name]):.0f}",
            f"{cpu[name]:.0f}",
            f"{np.median([burst.p50_ms for burst in each]):.2f}",
            f"{np.median([burst.p99_ms for burst in each]):.2f}",
            f"{np.median(ratios[name]):.3f}" if name in ratios else "",
            ", ".join(f"{ratio:.2f}" for ratio in ratios.get(name, [])),
        ]
        for name, each in bursts.items()
    ]
    refused = sum(
        count for each in bursts.values() for b in each for status, count in b.statuses.items() if status != "200"
    )
    text = "\n\n".join(
        [
            "# What tracking costs a busy endpoint",
            f"`{run.command}`; {machine.sentence(run.facts)}",
            f"One worker, {CONNECTIONS} connections, one MNIST row a request, no row twice in 16,000; medians of "
            f"{len(rates[PLAIN])} rounds, the endpoints in turns. `{WATCHED}` has `drift` with its defaults (but a "
            f"window of 1000), `{BOTH}` has `queries` as well (but only `flag`), `{PLAIN}` neither. Answers other than "
            f"200: {refused}.",
            table(
                [
                    *("endpoint", "requests a second", "server CPU µs a request", "p50 ms", "p99 ms"),
                    *(f"of `{PLAIN}`", "rounds"),
                ],
                rows,
            ),
        ]
    )
    document = {
        "facts": run.facts,
        "per_second": rates,
        "cpu_us": cpu,
        "ratio": {name: float(np.median(each)) for name, each in ratios.items()},
    }
    return write("tracking-throughput", text, document, run.folder)[0]


if __name__ == "__main__":
    sys.exit(main("benchmarks.tracking.throughput", __doc__, PACKAGES, measure))
