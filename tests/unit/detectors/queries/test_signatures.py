"""The two signatures, the unit of distance and the limits, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Unsuitable
from detectors.queries.chains import Chains
from detectors.queries.hashes import Hashes, Quantiser
from detectors.queries.likeness import Likeness
from detectors.queries.limits import COUNTS
from detectors.queries.pooled import MOST, Pooled
from detectors.queries.ring import Ring
from models.batch import Bounds, InputSpec
from tests.unit.detectors.queries.conftest import SPECS, fitted, rows


def test_what_a_bundle_keeps_signs_the_same(kind: str) -> None:
    likeness = fitted(kind)
    again = Likeness.from_arrays(likeness.to_arrays(), SPECS[kind])
    x = rows(kind)[:20]
    assert np.array_equal(again.pooled(x), likeness.pooled(x))
    assert np.array_equal(again.units(again.pooled(x)), likeness.units(likeness.pooled(x)))
    assert np.array_equal(again.hashes(b"s")(x), likeness.hashes(b"s")(x))
    assert [again.limits(count, 50) for count in COUNTS] == [likeness.limits(count, 50) for count in COUNTS]


@pytest.mark.parametrize(
    ("kind", "shape", "layout", "width"),
    [
        ("image", (1, 28, 28), "NCHW", 49),
        ("image", (32, 32, 3), "NHWC", 75),
        ("image", (28, 28), None, 49),
        ("image", (3, 5, 5), "NCHW", 3),
        ("series", (128,), None, 32),
        ("series", (64, 6), None, 96),
        ("series", (400, 200), None, 100),
        ("table", (14,), None, 14),
        ("table", (500,), None, 100),
    ],
)
def test_a_signature_is_short(kind: str, shape: tuple[int, ...], layout: str | None, width: int) -> None:
    spec = InputSpec(kind, np.dtype("float32"), shape, None, layout)  # type: ignore[arg-type]
    x = np.random.default_rng(0).random((50, *shape), dtype=np.float32)
    signed = Pooled.of(x, spec)(x)
    assert signed.shape == (50, width)
    assert width <= MOST
    assert signed.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_are_no_numbers_sign_finitely(kind: str, value: float) -> None:
    x = rows(kind)[:3].copy()
    x.reshape(3, -1)[:, 0] = value
    signed = fitted(kind).pooled(x)
    assert np.isfinite(signed).all()
    assert np.isfinite(fitted(kind).units(signed)).all()
    assert fitted(kind).hashes(b"s")(x).shape[0] == 3


def test_noise_averages_out() -> None:
    x = rows("image")[:50]
    noisy = np.clip(x + np.random.default_rng(0).normal(size=x.shape) * 16 / 255, 0, 1).astype(np.float32)
    likeness = fitted("image")
    z = likeness.pooled(x)
    moved = np.linalg.norm(likeness.pooled(noisy) - z, axis=1)
    assert (moved < 0.5 * likeness.units(z)).mean() > 0.9


def test_integers_are_signed() -> None:
    spec = InputSpec("image", np.dtype("uint8"), (8, 8, 3), Bounds(0, 255), "NHWC")
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    assert Pooled.of(x, spec)(x).shape == (40, 12)


def test_tokens_are_unsuitable() -> None:
    spec = InputSpec("tokens", np.dtype("int64"), (8,))
    with pytest.raises(Unsuitable, match="token ids"):
        Likeness.fit(np.ones((10, 8), dtype=np.int64), spec)


def test_too_few_rows_are_refused_with_how_many_would_do() -> None:
    with pytest.raises(Unsuitable, match="expected at least 320 unlike rows, found"):
        Likeness.fit(rows("table")[:200], SPECS["table"])


def test_equal_rows_are_refused() -> None:
    with pytest.raises(Unsuitable, match="the same"):
        Likeness.fit(np.ones((3000, 12), dtype=np.float32), SPECS["table"])


def test_the_more_rows_are_remembered_the_nearer_like_ones_must_be(kind: str) -> None:
    limits = fitted(kind).limits
    for count in COUNTS:
        found = [limits(count, n) for n in (16, 64, 256, 1024)]
        assert found == sorted(found, reverse=True)
        assert limits(count, count - 1) == 0.0


def test_hashes_depend_on_the_secret() -> None:
    x, quantiser = rows("image")[:5], fitted("image").quantiser
    one, other = (Hashes.of(quantiser, 784, secret)(x) for secret in (b"one", b"other"))
    assert not np.intersect1d(one, other).size


def test_a_changed_value_changes_only_the_windows_it_is_in() -> None:
    quantiser = Quantiser(np.zeros(1, np.float32), np.ones(1, np.float32))
    hashes = Hashes.of(quantiser, 60, b"secret")
    x = np.random.default_rng(0).integers(0, 5, (1, 60)).astype(np.float32)
    changed = x.copy()
    changed[0, hashes.order[59]] += 1  # the last in the secret order: in the last window only
    assert hashes.kept == 41
    assert len(np.intersect1d(hashes(x), hashes(changed))) == 40


def test_chains_grow_over_variants_and_tell_owners_apart() -> None:
    chains = Chains(rows=16, slots=2**12)
    row = np.random.default_rng(0).integers(0, 2**63, 50).astype(np.uint64)

    def add(owner: int, now: float = 0.0, since: float = -1.0, times: int = 1) -> list[tuple[int, int]]:
        return chains.add(np.repeat(row[None], times, axis=0), np.full(times, owner), now, since)

    assert add(1, times=3) == [(0, 0), (1, 1), (2, 2)]
    assert add(2) == [(0, 3)]
    assert add(2) == [(1, 4)]
    assert add(2, 9.0, 5.0) == [(0, 0)]  # what was before 5.0 is forgotten


def test_a_ring_keeps_the_last_rows_in_order() -> None:
    ring = Ring(100, 2)
    for start in range(0, 1000, 7):
        numbers = np.arange(start, start + 7)
        ring.add(np.column_stack([numbers, numbers]).astype(np.float32), numbers.astype(np.uint64), 3, float(start))
        expected = np.arange(max(0, start + 7 - 100), start + 7)
        assert np.array_equal(ring.digests, expected)
        assert np.array_equal(ring.z[:, 0], expected)
        assert np.array_equal(ring.squares, 2.0 * expected.astype(np.float32) ** 2)
        assert (ring.owners == 3).all()
    assert ring.nbytes < 8000
    ring.expire(980.0)
    assert ring.digests[0] == 980
    assert ring.has(np.array([979, 981], dtype=np.uint64)).tolist() == [False, True]
