"""Products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.gradients.operator import Operator


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """alpha * a @ b + beta * c, either factor transposed first."""
    if alpha == beta == 1.0 and not transA and transB and (c is None or c.dim() == 1):
        return functional.linear(a, b, c)
    product = (a.t() if transA else a) @ (b.t() if transB else b)
    product = product if alpha == 1.0 else alpha * product
    if c is None:
        return product
    return product + (c if beta == 1.0 else beta * c)


def einsum(*tensors: Tensor, equation: str) -> Tensor:
    """Einstein's summation."""
    result: Tensor = torch.einsum(equation.replace(" ", ""), *tensors)
    return result


TABLE = {"Einsum": Operator(einsum), "Gemm": Operator(gemm), "MatMul": Operator(torch.matmul)}
