"""Who is found to ask like queries, and who is not."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.queries.memory import Bounds, QueryMemory
from models.batch import Array
from tests.unit.detectors.queries.conftest import fitted, rows

SECRET = b"secret"


def variants(row: Array, n: int, seed: int, amount: float = 0.02) -> Array:
    """The row with a little noise, n times: what a search for a gradient asks."""
    noise = np.random.default_rng(seed).normal(size=(n, *row.shape))
    return np.asarray(row + amount * row.std() * noise, dtype=np.float32)


def asked(memory: QueryMemory, x: Array, name: str = "someone", now: float = 0.0) -> list[bool]:
    """Whether each row, asked by itself, is alike to earlier ones."""
    return [memory.ask([name], x[row : row + 1], now)[name].alike > 0 for row in range(len(x))]


def test_an_attacker_is_found_at_the_fourth_query(kind: str) -> None:
    memory = QueryMemory(fitted(kind), SECRET)
    target = rows(kind)[3500] if kind != "table" else rows(kind)[3500] / np.logspace(-2, 3, 12).astype(np.float32)
    x = variants(target, 8, 1)
    if kind == "table":
        x = x * np.logspace(-2, 3, 12).astype(np.float32)
    assert asked(memory, x) == [False] * 3 + [True] * 5


def test_honest_callers_are_not(kind: str) -> None:
    memory = QueryMemory(fitted(kind), SECRET)
    x = rows(kind)[3000:]
    found = [memory.ask([f"caller {row % 5}"], x[row : row + 1], float(row)) for row in range(0, len(x), 2)]
    assert not any(finding.alike for told in found for finding in told.values())


@pytest.mark.parametrize("signature", ["pooled", "hashed"])
def test_either_signature_finds_small_changes(signature: str) -> None:
    memory = QueryMemory(fitted("image"), SECRET, pooled=signature == "pooled", hashed=signature == "hashed")
    x = np.clip(variants(rows("image")[3500], 12, 1, 0.002), 0.0, 1.0)
    assert sum(asked(memory, x)) >= 6


def test_only_the_pooled_one_sees_through_noise() -> None:
    x = np.clip(variants(rows("image")[3500], 12, 1, 0.4), 0.0, 1.0)
    found = {}
    for signature in ("pooled", "hashed"):
        memory = QueryMemory(fitted("image"), SECRET, pooled=signature == "pooled", hashed=signature == "hashed")
        found[signature] = sum(asked(memory, x))
    assert found == {"pooled": 9, "hashed": 0}


def test_resent_rows_do_not_count() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    x = rows("image")[3500:3502]
    for _ in range(20):
        told = memory.ask(["a", "a"], x, 0.0)["a"]
        assert not told.alike
    assert told.new == 0


def test_resent_rows_in_one_request_do_not_count() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    assert memory.ask(["a"] * 9, np.repeat(rows("image")[:1], 9, axis=0), 0.0)["a"].new == 1


def test_one_request_is_seen_row_by_row() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    told = memory.ask(["a"] * 100, variants(rows("image")[3500], 100, 1), 0.0)["a"]
    assert (told.new, told.alike) == (100, 97)


def test_decoys_between_do_not_help() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    attack, decoys = variants(rows("image")[3500], 12, 1), rows("image")[3000:3240]
    found = []
    for each in range(12):
        found += asked(memory, attack[each : each + 1])
        memory.ask(["someone"] * 20, decoys[20 * each : 20 * each + 20], 0.0)
    assert sum(found) >= 5


def test_what_is_old_is_forgotten() -> None:
    memory = QueryMemory(fitted("image"), SECRET, Bounds(seconds=60.0))
    x = variants(rows("image")[3500], 12, 1)
    assert not any(asked(memory, x[row : row + 1], now=61.0 * row) == [True] for row in range(12))


def test_an_attack_spread_over_callers_is_found() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    names = [f"key {row % 20}" for row in range(200)]
    told = [
        memory.ask([name], row[None], 0.0)[name].alike
        for name, row in zip(names, variants(rows("image")[3500], 200, 1), strict=True)
    ]
    assert {name for name, alike in zip(names, told, strict=True) if alike} == set(names)
    assert not any(told[:28])


def test_a_bystander_who_asks_the_same_once_is_not() -> None:
    memory = QueryMemory(fitted("image"), SECRET)
    asked(memory, variants(rows("image")[3500], 50, 1), "attacker")
    assert asked(memory, rows("image")[3500:3501], "bystander") == [False]


def test_memory_is_bounded() -> None:
    bounds = Bounds(rows=64, everybody=128, nbytes=2**18)
    memory = QueryMemory(fitted("image"), SECRET, bounds)
    x = rows("image")
    for start in range(0, 4000, 40):
        memory.ask([f"caller {start}"] * 40, x[start : start + 40], float(start))
    sizes = memory.nbytes
    memory.ask(["late"] * 40, x[:40] * 0.5, 5000.0)
    assert len(memory) < 20
    assert abs(memory.nbytes - sizes) < 2**18
    assert memory.nbytes < 2**23


def test_findings_do_not_depend_on_how_rows_arrive() -> None:
    x = np.concatenate([rows("image")[3000:3030], variants(rows("image")[3500], 20, 1)])
    one, many = QueryMemory(fitted("image"), SECRET), QueryMemory(fitted("image"), SECRET)
    together = one.ask(["a"] * len(x), x, 0.0)["a"]
    assert (together.new, together.alike) == (len(x), sum(asked(many, x)))
