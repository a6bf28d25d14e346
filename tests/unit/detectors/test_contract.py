"""What is refused for certain, what only counts as odd, and what each row is told."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Reference, Unsuitable, View
from detectors.calibration import CERTAIN
from detectors.contract import Contract, ContractSpec
from models.batch import Array, Batch, Bounds, InputSpec
from tests import tiny

RNG = np.random.default_rng(0)
CENTS = np.stack([RNG.integers(18, 91, 1000), np.round(RNG.normal(3, 1, 1000), 2), RNG.normal(size=1000)], axis=1)
TABLE = InputSpec("table", np.dtype("float32"), (3,), columns=("age", "price", "score"))
PIXELS = (RNG.integers(0, 256, (400, 1, 28, 28)) / 255).astype(np.float32)
IMAGE = InputSpec("image", np.dtype("float32"), (1, 28, 28), Bounds(0.0, 1.0), "NCHW")


class NoModel:
    """The contract is checked before any model runs: one that is asked fails the test."""

    def predict(self, batch: Batch) -> None:
        raise AssertionError("the contract ran the model")


def view(x: Array) -> View:
    return View(Batch(x), NoModel())  # type: ignore[arg-type]


def contract(x: Array, spec: InputSpec, settings: ContractSpec | None = None) -> Contract:
    settings = settings or ContractSpec()
    x = x.astype(spec.dtype)
    built = settings.build(settings.fit(Reference(view(x), spec)), spec)
    assert isinstance(built, Contract)
    return built


def one(detector: Contract, row: Array) -> tuple[float, str]:
    """Score and explanation of a single row."""
    row = np.asarray(row, dtype=np.float32)
    return float(detector.score(view(row[None].copy()))[0]), detector.explain(row)


def test_normal_rows_score_nothing() -> None:
    assert one(contract(CENTS, TABLE), CENTS[0]) == (0.0, "")
    assert not contract(CENTS, TABLE).score(view(CENTS.astype(np.float32))).any()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((30.5, 3.0, 0.0), "column 'age' = 30.5 is off the lattice 0 + k * 1"),
        ((30.0, 3.005, 0.0), "column 'price' = 3.005 is off the lattice 0 + k * 0.01"),
        ((30.0, np.nan, 0.0), "column 'price' = nan is not finite"),
        ((30.0, 3.0, -np.inf), "column 'score' = -inf is not finite"),
    ],
)
def test_certain(row: tuple[float, ...], says: str) -> None:
    assert one(contract(CENTS, TABLE), np.array(row)) == (CERTAIN, says)


def test_beyond_the_range_is_graded_in_ranges() -> None:
    detector = contract(CENTS, TABLE)
    low, high = CENTS[:, 0].min(), CENTS[:, 0].max()
    inside, _ = one(detector, np.array([high + 7, 3.0, 0.0]))
    near, _ = one(detector, np.array([120.0, 3.0, 0.0]))
    far, says = one(detector, np.array([1000.0, 3.0, 0.0]))
    assert inside == 0.0  # the margin is a tenth of the range
    assert 0.0 < near < far < CERTAIN
    assert far == pytest.approx(1.0 + (1000.0 - high) / (high - low) - 0.1, rel=1e-4)
    assert says == "column 'age' = 1000 is 12.5 ranges outside [10.8, 97.2]"


def test_many_values_a_little_outside_are_odder_than_one_far_out() -> None:
    x = PIXELS.copy()
    x[:, :, :4] = 0.0  # a margin that is always black
    detector = contract(x, IMAGE)
    speckled, gray = x[0].copy(), x[0].copy()
    speckled[0, 0, 0] = 1.0
    gray[0, :3] = 46 / 255
    (far, says), (wide, tells) = one(detector, speckled), one(detector, gray)
    assert far == pytest.approx(1.9)
    assert wide == pytest.approx(84 * (0.9 + 46 / 255), rel=1e-4)
    assert says == "value [0, 0, 0] = 1 is 0.9 ranges outside [-0.1, 0.1]"
    assert tells == "value [0, 0, 0] = 0.180392 is 0.0804 ranges outside [-0.1, 0.1]; 83 other values are wrong too"


def test_a_column_whose_values_pile_up_at_an_end_has_no_margin_there() -> None:
    x = CENTS.copy()
    x[:700, 0] = x[:, 0].min()
    detector = contract(x, TABLE)
    low, high = x[:, 0].min(), x[:, 0].max()
    assert one(detector, np.array([low - 1, 3.0, 0.0]))[0] > 1.0
    assert one(detector, np.array([high + 1, 3.0, 0.0]))[0] == 0.0


def test_a_nearly_rounded_value_is_on_the_lattice() -> None:
    assert one(contract(CENTS, TABLE), np.array([30.0, np.float32(3.07) + 1e-6, 0.0])) == (0.0, "")
    printed = np.array([float(f"{v:.5f}") for v in PIXELS[0].ravel()]).reshape(1, 28, 28)
    assert one(contract(PIXELS, IMAGE), printed) == (0.0, "")


def test_one_pixel_between_two_steps_is_enough() -> None:
    row = PIXELS[0].copy()
    row[0, 3, 4] += 0.3 / 255
    score, says = one(contract(PIXELS, IMAGE), row)
    assert score == CERTAIN
    assert says.startswith("value [0, 3, 4] = ")
    assert says.endswith("is off the lattice 0 + k * 0.00392157")


def test_outside_the_stated_bounds() -> None:
    row = PIXELS[0].copy()
    row[0, 0, 0] = 256 / 255
    assert one(contract(PIXELS, IMAGE), row) == (
        CERTAIN,
        "value [0, 0, 0] = 1.00392 is outside the stated bounds [0, 1]",
    )


def test_rounding_at_a_bound_is_no_breach() -> None:
    row = PIXELS[0].copy()
    row[0, 0, 0] = np.nextafter(np.float32(1.0), np.float32(2.0))
    assert one(contract(PIXELS, IMAGE), row) == (0.0, "")


def test_rules_can_be_left_out() -> None:
    odd = np.array([500.25, 3.005, 0.0])
    assert one(contract(CENTS, TABLE, ContractSpec(lattice=False)), odd)[0] < CERTAIN
    assert one(contract(CENTS, TABLE, ContractSpec(range=False)), odd)[0] == CERTAIN
    assert one(contract(CENTS, TABLE, ContractSpec(range=False, lattice=False)), odd)[0] == 0.0
    wild = np.array([3e38, 3.0, 0.0])
    assert one(contract(CENTS, TABLE, ContractSpec(range=False, lattice=False)), wild)[0] == 0.0
    assert one(contract(CENTS, TABLE, ContractSpec(range=False, lattice=False)), np.array([np.inf, 3, 0]))[0] == CERTAIN


def test_too_few_rows_claim_no_lattice() -> None:
    assert one(contract(CENTS[:100], TABLE), np.array([30.5, 3.0, 0.0]))[0] == 0.0


def test_columns_of_a_few_values() -> None:
    x = np.stack([RNG.choice(np.log([2.0, 3.0, 5.0]), 1000), RNG.normal(size=1000)], axis=1)
    detector = contract(x, InputSpec("table", np.dtype("float32"), (2,)))
    assert one(detector, np.array([np.log(3.0), 0.0])) == (0.0, "")
    score, says = one(detector, np.array([np.log(4.0), 0.0]))
    assert score == CERTAIN
    assert says == "value [0] = 1.38629 is none of the values that the reference has there"


def test_missing_values() -> None:
    x = CENTS.copy()
    x[RNG.random(1000) < 0.2, 1] = np.nan
    spec = InputSpec("table", np.dtype("float32"), (3,), missing=True, columns=TABLE.columns)
    detector = contract(x, spec)
    assert one(detector, np.array([30.0, np.nan, 0.0])) == (0.0, "")
    assert one(detector, np.array([30.5, np.nan, 0.0]))[0] == CERTAIN
    assert one(detector, np.array([np.nan, 3.0, 0.0])) == (
        2.0,
        "column 'age' is missing, which it never is in the reference",
    )


def test_a_never_seen_column_says_nothing() -> None:
    x = CENTS.copy()
    x[:, 2] = np.nan
    detector = contract(x, InputSpec("table", np.dtype("float32"), (3,), missing=True))
    assert one(detector, np.array([30.0, 3.0, 1e6])) == (0.0, "")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64"])
def test_any_type(dtype: str) -> None:
    x = RNG.integers(0, 16, (500, 4)).astype(dtype)
    spec = InputSpec("table", np.dtype(dtype), (4,), Bounds(0, 100))
    settings = ContractSpec()
    detector = settings.build(settings.fit(Reference(view(x), spec)), spec)
    rows = np.array([[1, 2, 3, 4], [1, 2, 3, 30], [1, 2, 3, 101]], dtype=dtype)
    plain, odd, broken = detector.score(view(rows))
    assert plain == 0.0
    assert odd == pytest.approx(1.0 + 15 / 15 - 0.1)
    assert broken == CERTAIN


def test_each_row_is_judged_by_itself() -> None:
    detector = contract(CENTS, TABLE)
    rows = CENTS[:64].astype(np.float32)
    rows[17, 0] = 30.5
    rows[40, 0] = 150.0
    score = detector.score(view(rows))
    assert np.flatnonzero(score == CERTAIN).tolist() == [17]
    assert np.flatnonzero(score).tolist() == [17, 40]


def test_a_reference_outside_its_own_bounds_is_refused() -> None:
    spec = InputSpec("table", np.dtype("float32"), (3,), Bounds(0.0, 50.0))
    with pytest.raises(Unsuitable, match=r"of 1000 reference rows lie outside the stated bounds \[0, 50\]: values go"):
        contract(CENTS, spec)


def test_a_reference_with_holes_is_refused_unless_they_are_allowed() -> None:
    x = CENTS.copy()
    x[:7, 0] = np.nan
    with pytest.raises(Unsuitable, match="7 reference rows hold values that are not finite; where NaN is a value"):
        contract(x, TABLE)


def test_says_what_it_learned() -> None:
    arrays = ContractSpec().fit(Reference(view(CENTS.astype(np.float32)), TABLE))
    assert ContractSpec().notes(arrays, TABLE) == (
        "contract: range of 3 values learned from 1000 rows",
        "contract: 2 of 3 values lie on a grid, steps of 0.01 to 1",
    )


def test_finds_an_attack_on_the_digits_by_the_lattice_alone() -> None:
    case = tiny.image()
    assert case.adversarial is not None
    detector = contract(case.reference.view.x, case.spec)
    assert (detector.score(View(case.adversarial, case.net)) == CERTAIN).all()
    assert (detector.score(View(case.rows, case.net)) < CERTAIN).all()
