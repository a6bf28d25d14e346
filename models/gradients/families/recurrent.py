"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.gradients.operator import Operator

# Where torch's gates stand among ONNX's: input, forget, cell, output; reset, update, new.
LSTM_GATES = (0, 2, 3, 1)
GRU_GATES = (1, 0, 2)

Cell = Callable[[Tensor, list[Tensor], list[Tensor], bool], tuple[Tensor, ...]]


def reordered(weights: Tensor, gates: Sequence[int]) -> Tensor:
    """Rows with their blocks, one a gate, in another order."""
    blocks = weights.chunk(len(gates))
    return torch.cat([blocks[gate] for gate in gates])


def parameters(w: Tensor, r: Tensor, b: Tensor | None, gates: Sequence[int]) -> list[Tensor]:
    """Torch's weights and biases of all directions."""
    found: list[Tensor] = []
    for direction in range(len(w)):
        biases = w.new_zeros(2 * w.shape[1]) if b is None else b[direction]
        found += [reordered(v, gates) for v in (w[direction], r[direction], *biases.chunk(2))]
    return found


def run(
    cell: Cell, x: Tensor, weights: list[Tensor], states: list[Tensor | None], direction: str
) -> tuple[Tensor, ...]:
    """Outputs (length, directions, n, hidden), then the last states (directions, n, hidden)."""
    both = direction == "bidirectional"
    hidden = weights[1].shape[1]
    zeros = x.new_zeros(1 + both, x.shape[1], hidden)
    first = [zeros if state is None else state for state in states]
    sequence = x.flip(0) if direction == "reverse" else x
    y, *last = cell(sequence, first, weights, both)
    y = y.flip(0) if direction == "reverse" else y
    return y.reshape(*y.shape[:2], 1 + both, hidden).transpose(1, 2), *last


def lstm_cell(x: Tensor, states: list[Tensor], weights: list[Tensor], both: bool) -> tuple[Tensor, ...]:
    """Torch's LSTM."""
    return torch.lstm(x, states, weights, True, 1, 0.0, False, both, False)


def gru_cell(x: Tensor, states: list[Tensor], weights: list[Tensor], both: bool) -> tuple[Tensor, ...]:
    """Torch's GRU."""
    return torch.gru(x, states[0], weights, True, 1, 0.0, False, both, False)


def tanh_cell(x: Tensor, states: list[Tensor], weights: list[Tensor], both: bool) -> tuple[Tensor, ...]:
    """Torch's plain recurrent layer."""
    return torch.rnn_tanh(x, states[0], weights, True, 1, 0.0, False, both, False)


def lstm(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: None = None,
    state: Tensor | None = None,
    memory: Tensor | None = None,
    *,
    direction: str = "forward",
) -> tuple[Tensor, ...]:
    """LSTM (Hochreiter and Schmidhuber 1997) over x (length, n, columns)."""
    return run(lstm_cell, x, parameters(w, r, b, LSTM_GATES), [state, memory], direction)


def gru(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: None = None,
    state: Tensor | None = None,
    *,
    direction: str = "forward",
    linear_before_reset: int,
) -> tuple[Tensor, ...]:
    """GRU (Cho et al. 2014) over x (length, n, columns), reset after the recurrent product."""
    return run(gru_cell, x, parameters(w, r, b, GRU_GATES), [state], direction)


def rnn(
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: None = None,
    state: Tensor | None = None,
    *,
    direction: str = "forward",
) -> tuple[Tensor, ...]:
    """A plain recurrent layer with tanh (Elman 1990) over x (length, n, columns)."""
    return run(tanh_cell, x, parameters(w, r, b, (0,)), [state], direction)


def recurrent(function: Callable[..., tuple[Tensor, ...]], activations: list[str], outputs: int) -> Operator:
    """An operator of one layer, without peepholes, lengths of its own or other activations."""
    allowed = {
        "activations": (activations, activations * 2),
        "input_forget": (0,),
        "layout": (0,),
        "linear_before_reset": (1,),
    }
    return Operator(function, allowed=allowed, ignored=("hidden_size",), absent=(4,), outputs=outputs)


TABLE = {
    "GRU": recurrent(gru, ["Sigmoid", "Tanh"], 2),
    "LSTM": recurrent(lstm, ["Sigmoid", "Tanh", "Tanh"], 3),
    "RNN": recurrent(rnn, ["Tanh"], 2),
}
