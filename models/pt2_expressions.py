"""The small integer grammar that symbolic shapes and shape guards of a `.pt2` file may be written in.

torch hands symbolic shapes to sympy, which evaluates them as Python, and compiles guards as Python.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

__all__ = ["is_guard", "is_symbolic"]

MAX_CHARS = 4096
MAX_INTEGER = 2**63
MAX_POWER = 8
SYMBOL = re.compile(r"[a-z]{1,3}\d{1,9}")
SIZE = re.compile(r"L(\[('\w+'|\d+)\])+\.(size|stride)\(\)\[\d+\]")
FUNCTIONS = frozenset(
    {"Add", "Mul", "Max", "Min", "FloorDiv", "CleanDiv", "CeilDiv", "Mod", "PythonMod", "ModularIndexing"}
    | {"Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "And", "Or", "Not"}
    | {"GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan"}
)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod)


def is_symbolic(text: str) -> bool:
    """Whether a symbolic expression is of integers, symbols like `s77` and the functions above, and nothing else."""
    return (tree := _parse(text)) is not None and _is_symbolic(tree)


def is_guard(text: str) -> bool:
    """Whether a guard compares sizes and strides of inputs with integers, and does nothing else."""
    return (tree := _parse(SIZE.sub("1", text))) is not None and _is_integer(tree)


def _parse(text: str) -> ast.expr | None:
    if len(text) > MAX_CHARS:
        return None
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_symbolic(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return _is_integer(node, _is_symbolic)
    if node.func.id == "Symbol":
        return _is_symbol(node)
    if node.keywords:
        return False
    if node.func.id == "Integer":
        return len(node.args) == 1 and _is_number(node.args[0])
    if node.func.id == "Pow":
        return _is_power(node)
    return node.func.id in FUNCTIONS and all(map(_is_symbolic, node.args))


def _is_symbol(node: ast.expr) -> bool:
    """Symbol('s77', positive=True, integer=True)."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Symbol"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and SYMBOL.fullmatch(node.args[0].value) is not None
        and all(
            k.arg is not None and isinstance(k.value, ast.Constant) and k.value.value is True for k in node.keywords
        )
    )


def _is_power(node: ast.Call) -> bool:
    """Pow(symbol, Integer(small)): of a symbol alone, so that no tower of powers can be built."""
    if len(node.args) != 2 or not _is_symbol(node.args[0]):
        return False
    match node.args[1]:
        case ast.Call(func=ast.Name(id="Integer"), args=[ast.Constant(value=int(power))], keywords=[]):
            return 0 <= power <= MAX_POWER
        case _:
            return False


def _is_integer(node: ast.expr, term: Callable[[ast.expr], bool] | None = None) -> bool:
    """Arithmetic and comparisons of integers; `max` and `min` too. `term` says what else may stand in it."""
    inside = term or _is_integer
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            return isinstance(op, OPERATORS) and inside(left) and inside(right)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            return inside(operand)
        case ast.Compare(left=left, comparators=rest):
            return inside(left) and all(map(inside, rest))
        case ast.BoolOp(values=values):
            return all(map(inside, values))
        case ast.Call(func=ast.Name(id="max" | "min"), args=args, keywords=[]):
            return term is None and all(map(inside, args))
        case _:
            return _is_number(node)


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) < MAX_INTEGER
