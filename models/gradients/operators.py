"""The operators that gradients can pass through, by domain ("" is ai.onnx) and name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from models.gradients.families import (
    activations,
    arithmetic,
    classical,
    convolution,
    indexing,
    linear,
    normalization,
    pooling,
    quantization,
    recurrent,
    reductions,
    resizing,
    shapes,
)
from models.gradients.operator import Operator

FAMILIES = (
    activations,
    arithmetic,
    convolution,
    indexing,
    linear,
    normalization,
    pooling,
    quantization,
    recurrent,
    reductions,
    resizing,
    shapes,
)

OPERATORS: Mapping[tuple[str, str], Operator] = MappingProxyType(
    {("", name): operator for family in FAMILIES for name, operator in family.TABLE.items()}
    | {("ai.onnx.ml", name): operator for name, operator in classical.TABLE.items()}
)
