from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.data import Images, smooth_images, to_grid
from benchmarks.quality import tampering
from benchmarks.quality.corruptions import WEARS
from benchmarks.quality.outside import enlarged
from benchmarks.quality.tampering import tampered

FAULTS = ("far", "negative", "unknown", "halves", "swapped")


def pictures(channels: int) -> Images:
    """Soft ones with no value near the ends of the range."""
    rows: Images = np.repeat(0.2 + 0.5 * smooth_images(4, seed=0), channels, axis=1)
    return to_grid(rows)


def table(n: int = 200) -> Images:
    random = np.random.default_rng(0)
    amounts = random.integers(1, 90, (n, 6))
    rows: Images = np.concatenate([amounts, random.integers(0, 5, (n, 8))], axis=1).astype(np.float32)
    return rows


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", WEARS)
def test_wear_changes_a_picture_a_little(name: str, channels: int) -> None:
    x = pictures(channels)
    worn = to_grid(WEARS[name](x))
    assert worn.shape == x.shape
    assert 0.0 < float(np.abs(worn - x).mean()) < 0.1


def test_gray_pictures_become_colorful_ones_of_one_gray() -> None:
    large = enlarged(pictures(1))
    assert large.shape == (4, 3, 32, 32)
    np.testing.assert_array_equal(large[:, 0], large[:, 2])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_touches_one_or_two_values_of_every_row(name: str) -> None:
    x = table()
    fault: Callable[[Images, np.random.Generator], Images] = getattr(tampering, name)
    touched = (fault(x, np.random.default_rng(1)) != x).sum(axis=1)
    assert touched.max() <= 2
    assert touched.mean() > 0.9


def test_shuffled_columns_keep_every_value() -> None:
    x = table()
    changed = tampering.shuffled(x, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(changed, axis=0), np.sort(x, axis=0))
    assert (changed != x).any(axis=1).mean() > 0.99


def test_only_touched_rows_are_probes_and_only_one_fault_breaks_the_lattice() -> None:
    x = table()
    x[:50, 3] = 0.0  # no gain: ten times as much is nothing either
    probes = {probe.name: probe for probe in tampered(x)}
    assert len(probes["capital_gain x10"].x) == 150
    broken = {name for name, probe in probes.items() if (probe.x % 1.0).any()}
    assert broken == {"off the lattice"}
