"""`python -m benchmarks.quantized`: what an int8 copy of a model costs, in passes of the model, and where it differs.

Static quantization by onnxruntime (unsigned activations, signed weights a channel), one thread; MNIST and CIFAR-10
models, which `python -m benchmarks.quality` trains. Runs of both take turns, and the fastest of each counts: other
work on the machine then hits both alike.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks import machine
from benchmarks.data import CACHE, DataMissing, Images, mnist
from benchmarks.tables import table

BATCHES = (1, 8, 64)
REPEATS = 100
ROWS, LEARNED_ROWS, CHUNK_ROWS = 2000, 500, 50
FORMATS = {"QDQ": QuantFormat.QDQ, "QOperator": QuantFormat.QOperator}


class Feed(CalibrationDataReader):  # type: ignore[misc]
    """Rows whose activations set the scales."""

    def __init__(self, name: str, x: Images) -> None:
        self.rows = iter([{name: x[start : start + CHUNK_ROWS]} for start in range(0, len(x), CHUNK_ROWS)])

    def get_next(self) -> Any:
        return next(self.rows, None)


def main() -> int:
    """Status 2 where nothing is there to measure."""
    logging.disable(logging.WARNING)
    lines = []
    for name, found in (("mnist", images_of_mnist()), ("cifar10", images_of_cifar10())):
        path = CACHE / name / "model.onnx"
        if found is not None and path.is_file():
            lines += measured(name, path, found)
    if not lines:
        print("no model in .cache/benchmarks: run `python -m benchmarks.quality` first", file=sys.stderr)
        return 2
    print(machine.sentence(machine.facts(("onnxruntime",))))
    print(table(("model", "copy", *(f"passes at {n} rows" for n in BATCHES), "same class %"), lines))
    return 0


def measured(name: str, path: Path, x: Images) -> list[tuple[str, ...]]:
    """A line for each format."""
    plain = session(path)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            copy = session(quantized(path, x[:LEARNED_ROWS], form, Path(folder)))
            same = float((classes(plain, x) == classes(copy, x)).mean())
            costs = (f"{ratio(plain, copy, x[:n]):.2f}" for n in BATCHES)
            lines.append((name, form, *costs, f"{100 * same:.1f}"))
    return lines


def quantized(path: Path, x: Images, form: str, folder: Path) -> Path:
    """The copy; scales are set on these rows."""
    model = onnx.load(str(path))
    del model.graph.value_info[:]  # shapes that an exporter noted stand in the way of a Gemm's rewriting
    bare, made = folder / "bare.onnx", folder / f"{form}.onnx"
    onnx.save(model, str(bare))
    quantize_static(
        str(bare),
        str(made),
        Feed(model.graph.input[0].name, x),
        quant_format=FORMATS[form],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return made


def session(path: Path) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options)


def answer(run: Any, x: Images) -> Any:
    return run.run(None, {run.get_inputs()[0].name: x})[0]


def classes(run: Any, x: Images) -> Any:
    return answer(run, x).argmax(axis=1)


def ratio(plain: Any, copy: Any, x: Images) -> float:
    """The copy's time for these rows, in times of the model."""
    best = [np.inf, np.inf]
    for _ in range(REPEATS):
        for index, run in enumerate((plain, copy)):
            started = time.perf_counter()
            answer(run, x)
            best[index] = min(best[index], time.perf_counter() - started)
    return best[1] / best[0]


def images_of_mnist() -> Images | None:
    try:
        return mnist()[1].x[:ROWS]
    except DataMissing:
        return None


def images_of_cifar10() -> Images | None:
    path = CACHE / "cifar10" / "images.npy"
    if not path.is_file():
        return None
    pixels = np.load(path, mmap_mode="r")[-ROWS:]
    return np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255.0)


if __name__ == "__main__":
    sys.exit(main())
