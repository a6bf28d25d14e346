"""A combiner learns which evidence counts, is monotone in each piece, and says what it is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from defenses.bit_depth import BitDepthSpec
from detectors.base import Detector, Reference, Unsuitable, View
from detectors.calibration import CERTAIN
from detectors.catalogue import AnyDetectorSpec
from detectors.combiner import Combiner, CombinerSpec, Piece
from detectors.contract import ContractSpec
from detectors.energy import EnergySpec
from detectors.examples import Examples
from detectors.feature_squeezing import FeatureSqueezingSpec
from detectors.input_statistics import InputStatisticsSpec
from detectors.laws import check_detector
from detectors.mahalanobis import MahalanobisSpec
from detectors.nearest import NearestSpec
from models.batch import Array, Batch
from tests import tiny

PIECES = (InputStatisticsSpec(look="residuals"), MahalanobisSpec(), EnergySpec())


@cache
def learned() -> Reference:
    """The tiny image case with attacks of two kinds on the first of its fresh rows, and mild wear of them."""
    case = tiny.image()
    x = case.rows.x[:100]
    attacks = {f"step-{epsilon}": attacked(x, epsilon) for epsilon in (0.1, 0.3)}
    return replace(case.reference, examples=Examples(view(x), attacks, {"light": view(np.clip(x * 0.97, 0.0, 1.0))}))


def attacked(x: Array, epsilon: float) -> View:
    """One signed step up the loss of the class that the model answers."""
    net = tiny.image().net
    logits = net.predict(Batch(x)).logits
    assert logits is not None
    return view(np.clip(x + epsilon * np.sign(net.gradient(x, logits.argmax(axis=1))), 0.0, 1.0))


def view(x: Array) -> View:
    return View(Batch(np.asarray(x, dtype=np.float32)), tiny.image().net)


def built(spec: CombinerSpec, reference: Reference) -> Combiner:
    made = spec.build(spec.fit(reference), reference.spec)
    assert isinstance(made, Combiner)
    return made


def found(detector: Detector, share: float) -> float:
    """Share of fresh attacked rows above what this share of fresh honest rows exceeds."""
    fresh = tiny.image().rows.x[100:200]
    return float((detector.score(attacked(fresh, 0.3)) > np.quantile(detector.score(view(fresh)), 1.0 - share)).mean())


@pytest.mark.parametrize("spec", [CombinerSpec(), CombinerSpec(evidence=PIECES)], ids=["default", "listed"])
def test_keeps_the_laws_when_it_has_learned(spec: CombinerSpec) -> None:
    case = tiny.image()
    check_detector(spec, learned(), case.rows, case.adversarial)


def test_finds_what_its_best_piece_finds() -> None:
    combined = built(CombinerSpec(evidence=PIECES), learned())
    alone = [piece.build(piece.fit(learned()), learned().spec) for piece in PIECES]
    assert found(combined, 0.05) >= max(found(detector, 0.05) for detector in alone) - 0.05


def test_no_rarer_score_makes_a_row_less_suspicious() -> None:
    for piece in built(CombinerSpec(), learned()).pieces:
        middle = int(np.argmin(piece.logit))
        assert (np.diff(piece.logit[middle:]) >= -1e-9).all()
        assert (np.diff(piece.logit[: middle + 1]) <= 1e-9).all()


def test_honest_rows_hardly_tie_so_that_a_budget_can_be_used() -> None:
    reference = learned()
    combined = built(CombinerSpec(evidence=PIECES), reference)
    assert reference.examples is not None
    honest = combined.score(reference.examples.honest)
    assert len(np.unique(honest)) > 0.9 * len(honest)


def test_what_breaks_a_contract_for_certain_stays_certain() -> None:
    combined = built(CombinerSpec(evidence=(ContractSpec(), EnergySpec())), learned())
    broken = view(tiny.image().rows.x[:3] + 5.0)
    assert (combined.score(broken) == CERTAIN).all()


def test_contributions_add_up_to_the_score() -> None:
    combined = built(CombinerSpec(), learned())
    rows = attacked(tiny.image().rows.x, 0.2)
    parts = combined.contributions(rows)
    assert set(parts) == {piece.detector.name for piece in combined.pieces}
    total = np.sum(list(parts.values()), axis=0)
    np.testing.assert_allclose(combined.score(rows), total, rtol=1e-6)


def test_forward_passes_are_shared_between_the_pieces() -> None:
    squeezing = FeatureSqueezingSpec(squeezers=(BitDepthSpec(bits=2),))
    combined = built(CombinerSpec(evidence=(MahalanobisSpec(), EnergySpec(), squeezing)), learned())
    asked = View(tiny.image().rows.take(slice(0, 10)), tiny.image().net)
    combined.score(asked)
    assert asked.rows_run == 20  # once as they are, once squeezed


def test_without_attacks_the_rarest_piece_counts_and_a_note_says_so() -> None:
    case = tiny.image()
    spec = CombinerSpec(evidence=PIECES)
    arrays = spec.fit(case.reference)
    combined = spec.build(arrays, case.spec)
    assert isinstance(combined, Combiner)
    assert spec.notes(arrays, case.spec) == (
        "combiner: had no attacks to learn from; the rarest of input_statistics-residuals, mahalanobis, energy counts",
    )
    rows = View(case.rows, case.net)
    np.testing.assert_allclose(
        combined.score(rows), np.max(list(combined.contributions(rows).values()), axis=0), rtol=1e-6
    )


def test_notes_say_where_the_evidence_comes_from() -> None:
    spec = CombinerSpec(evidence=PIECES)
    shares, summary = spec.notes(spec.fit(learned()), learned().spec)
    assert shares.startswith("combiner: what finds attacks comes from ")
    assert "%" in shares
    assert summary.startswith("combiner: finds ")


def test_default_pieces_that_do_not_suit_are_left_out_and_listed_ones_refused() -> None:
    blind = tiny.table().with_net(logits=False)
    spec = CombinerSpec()
    names = [piece.detector.name for piece in built(spec, blind.reference).pieces]
    assert "energy" not in names
    assert "mahalanobis" in names
    listed = CombinerSpec(evidence=(MahalanobisSpec(), EnergySpec()))
    with pytest.raises(Unsuitable, match="energy needs class logits"):
        listed.refuse_unsuitable(blind.spec, blind.reference.view.outputs)
    with pytest.raises(Unsuitable, match="energy needs class logits"):
        listed.fit(blind.reference)


def test_is_configured_like_any_detector_but_not_inside_itself() -> None:
    union: TypeAdapter[Any] = TypeAdapter(AnyDetectorSpec)
    spec = union.validate_python({"kind": "combiner", "evidence": [{"kind": "nearest", "k": 3}, {"kind": "energy"}]})
    assert spec == CombinerSpec(evidence=(NearestSpec(k=3), EnergySpec()))
    with pytest.raises(ValidationError, match="combiner"):
        union.validate_python({"kind": "combiner", "evidence": [{"kind": "combiner"}]})


def test_a_piece_adds_what_lies_between_its_knots() -> None:
    detector = EnergySpec().build({}, tiny.image().spec)
    piece = Piece(detector, np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 2.0]))
    assert piece.add(np.array([-5.0, 0.5, 2.0, 99.0])).tolist() == [0.0, 1.0, 2.0, 2.0]
