"""ONNX element types, attributes and constants as torch has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper

DTYPES: Mapping[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.UINT16: torch.uint16,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.UINT32: torch.uint32,
    TensorProto.UINT64: torch.uint64,
    TensorProto.BFLOAT16: torch.bfloat16,
}

# Four bits wide in the file, a byte wide here: they only occur as quantized weights.
NIBBLES: Mapping[int, torch.dtype] = {TensorProto.INT4: torch.int8, TensorProto.UINT4: torch.uint8}

FLOATING = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def readable(tensor: TensorProto) -> bool:
    """Whether torch has this tensor's element type."""
    return tensor.data_type in DTYPES or tensor.data_type in NIBBLES


def to_torch(tensor: TensorProto) -> torch.Tensor:
    """A writable copy of the values of a `readable` tensor."""
    array = numpy_helper.to_array(tensor)
    if tensor.data_type == TensorProto.BFLOAT16:
        return torch.from_numpy(np.array(array, dtype=np.float32)).to(torch.bfloat16)
    if tensor.data_type in NIBBLES:
        wide = np.int8 if tensor.data_type == TensorProto.INT4 else np.uint8
        return torch.from_numpy(np.array(array, dtype=wide))
    return torch.from_numpy(np.array(array))


def attribute(proto: onnx.AttributeProto) -> Any:
    """The value as a Python number, text, list of them, or protobuf message (tensor, graph)."""
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode()
    if proto.type == onnx.AttributeProto.STRINGS:
        return [text.decode() for text in value]
    if proto.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
        return list(value)
    return value
