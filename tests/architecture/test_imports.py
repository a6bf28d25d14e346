"""Imports only point left: models <- defenses <- detectors <- attacks <- gateway."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = ("models", "defenses", "detectors", "attacks", "gateway")
FILES = sorted(path for package in ORDER for path in (ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_package_imports_only_what_stands_left_of_it(path: Path) -> None:
    own = ORDER.index(path.relative_to(ROOT).parts[0])
    wrong = [
        f"line {line}: {module}"
        for line, module in imported(path)
        if module.split(".")[0] in ORDER and ORDER.index(module.split(".")[0]) > own
    ]
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=name)
def test_bentoml_and_torch_stay_in_their_rooms(path: Path) -> None:
    rooms = {
        "bentoml": {"gateway/service.py"},
        "torch": {"models/pytorch", "models/gradients/", "defenses/training/", "detectors/alibi_"},
        "alibi_detect": {"detectors/alibi.py", "detectors/alibi_saved.py"},
    }
    for _, module in imported(path):
        top = module.split(".")[0]
        if top in rooms and not name(path).startswith(("attacks/", "gateway/demo/")):
            assert name(path).startswith(tuple(rooms[top]))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_unpickles(path: Path) -> None:
    assert not {module.split(".")[0] for _, module in imported(path)} & {"pickle", "cloudpickle", "joblib", "dill"}
    assert "allow_pickle=True" not in path.read_text()
    assert "weights_only=False" not in path.read_text()


def test_the_chain_knows_no_transport() -> None:
    code = (
        "import gateway.chain, sys\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('bentoml', 'torch', 'starlette')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_no_import_cycle_between_modules() -> None:
    graph = {module_name(path): {m for _, m in top_level(path)} & set(map(module_name, FILES)) for path in FILES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' -> '.join((*trail[trail.index(module) :], module))}"
        if module not in done:
            for target in graph[module]:
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def top_level(path: Path) -> Iterator[tuple[int, str]]:
    """Imports that run when the module is imported: those inside functions may point back."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
