"""The grammar of symbolic shapes and guards admits what torch writes, and no call of anything else."""

from __future__ import annotations

import pytest

from models.pt2_expressions import is_guard, is_symbolic

S0 = "Symbol('s0', positive=True, integer=True)"


@pytest.mark.parametrize(
    "text",
    [
        S0,
        f"Mul(Integer(48), {S0})",
        f"Add(FloorDiv(Add({S0}, Integer(-3)), Integer(2)), Integer(1))",
        f"Max(Integer(1), {S0})",
        f"Pow({S0}, Integer(2))",
        f"Eq({S0}, Integer(4))",
        "Integer(7)",
        "7 + 1",
    ],
)
def test_what_torch_writes_is_symbolic(text: str) -> None:
    assert is_symbolic(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__import__('os')",
        f"{S0}.__class__",
        "Symbol('__import__')",
        "Symbol('s0', real=print())",
        "Symbol('s0', **{'a': True})",
        "Integer('7')",
        "Integer(__import__('os').getpid())",
        "[7 for _ in (1,)]",
        "(lambda: 7)()",
        "7 if print() else 7",
        "Add(*[1])",
        "Lambda(1, 2)",
        "Pow(Integer(9), Integer(9))",
        f"Pow({S0}, Integer(999999999))",
        f"Pow(Pow({S0}, Integer(8)), Integer(8))",
        "9 ** 9 ** 9",
        "1 << 999999",
        f"Integer({10**30})",
        "f'{print()}'",
        "Integer(7); print()",
        "Integer(7)\nprint()",
        "(" * 5000,
        "-" * 4000 + "1",
    ],
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_symbolic(text)


@pytest.mark.parametrize(
    "text",
    [
        "L['ids'].size()[1] == 7",
        "(1 + (((-3) + L['x'].size()[3]) // 2)) != 1",
        "(max(1, 1 + (((-3) + L['x'].size()[3]) // 2))*max(1, L['x'].stride()[2])) != 1",
        "L['args'][0].size()[0] % 2 == 0 and 2 <= L['x']['k'].size()[0]",
    ],
)
def test_guards_that_compare_sizes_are_guards(text: str) -> None:
    assert is_guard(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').getpid()",
        "L['x'].size()[print()] == 1",
        "L['x'].tolist() == 1",
        "L['x'].size() == 1",
        "print() == 1",
        "x == 1",
        "L['x'].size()[0] == 1) or (print()",
        "'a' == 'a'",
    ],
)
def test_guards_that_do_more_are_not(text: str) -> None:
    assert not is_guard(text)
