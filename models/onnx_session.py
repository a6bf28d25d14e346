"""An onnxruntime session as a config asks for it, and what it says of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort

from models.backend import TensorSpec
from models.errors import ModelError
from models.specs import OnnxSpec

__all__ = ["batch_rows", "input_specs", "open_session", "output_specs"]

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}


def open_session(model: onnx.ModelProto, path: Path, spec: OnnxSpec) -> ort.InferenceSession:
    """A session over the (edited) graph; weights in other files are read from the folder of `path`.

    Raises:
        ModelError: a provider is not available, or onnxruntime refuses the graph; the text is its own.
    """
    providers = [PROVIDERS[name] for name in spec.providers]
    for name, provider in zip(spec.providers, providers, strict=True):
        if provider not in ort.get_available_providers():
            raise ModelError(
                f"providers: expected ones that this onnxruntime has, found {name} ({provider} is missing)"
            )
    options = ort.SessionOptions()
    options.intra_op_num_threads = spec.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning pools starve other workers
    folder = str(path.parent.resolve())
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise ModelError(f"model: onnxruntime can't load {path.name}: {' '.join(str(error).split())}") from error
    if session.get_providers()[0] != providers[0]:
        raise ModelError(f"providers: expected {spec.providers[0]}, found that it doesn't start on this machine")
    return session


def input_specs(session: ort.InferenceSession) -> tuple[TensorSpec, ...]:
    """The inputs as the protocol speaks of them.

    Raises:
        ModelError: an input has a type that no protocol datatype carries.
    """
    return tuple(_tensor_spec(node, "input") for node in session.get_inputs())


def output_specs(session: ort.InferenceSession, names: Container[str]) -> tuple[TensorSpec, ...]:
    """The outputs among `names`, likewise."""
    return tuple(_tensor_spec(node, "output") for node in session.get_outputs() if node.name in names)


def batch_rows(session: ort.InferenceSession) -> int | None:
    """The number of rows that the graph fixes; None where any number goes.

    Raises:
        ModelError: the inputs disagree.
    """
    fixed = {node.shape[0] for node in session.get_inputs() if node.shape and isinstance(node.shape[0], int)}
    if len(fixed) > 1:
        raise ModelError(f"model: expected inputs with one number of rows, found {sorted(fixed)}")
    return fixed.pop() if fixed else None


def _tensor_spec(node: Any, side: str) -> TensorSpec:
    if node.type not in DATATYPES:
        raise ModelError(f"model: expected {side} {node.name!r} to be a tensor of a common type, found {node.type}")
    sizes = [size if isinstance(size, int) and size >= 0 else -1 for size in node.shape]
    if side == "input" and not sizes:
        raise ModelError(f"model: expected a batch axis in input {node.name!r}, found none")
    # An output of unknown rank is told as rows of unknown width.
    return TensorSpec(node.name, DATATYPES[node.type], (-1, *sizes[1:]) if sizes else (-1, -1))
