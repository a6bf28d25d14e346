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


def heads(x: Tensor, count: int) -> Tensor:
    """(n, length, heads * width) as (n, heads, length, width)."""
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int = 0,
    q_num_heads: int = 0,
    scale: float | None = None,
) -> Tensor:
    """Attention (Vaswani et al. 2017) over (n, heads, length, width), or heads side by side in (n, length, columns)."""
    flat = q.dim() == 3
    if flat:
        q, k, v = heads(q, q_num_heads), heads(k, kv_num_heads), heads(v, kv_num_heads)
    if is_causal and mask is not None:
        before = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
        mask = mask & before if mask.dtype == torch.bool else mask.masked_fill(~before, float("-inf"))
    causal = bool(is_causal) and mask is None
    shared = q.shape[1] != k.shape[1]
    y = functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=scale, enable_gqa=shared)
    return y.transpose(1, 2).flatten(2) if flat else y


TABLE = {
    "Attention": Operator(attention, allowed={"softcap": (0.0,)}, ignored=("qk_matmul_output_mode",)),
    "Einsum": Operator(einsum),
    "Gemm": Operator(gemm),
    "MatMul": Operator(torch.matmul),
}
