"""alibi-detect's detectors, where it is installed; and what is refused with or without it."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.alibi import AlibiSpec
from detectors.base import Unsuitable, View
from detectors.laws import check_detector
from tests import tiny

installed = find_spec("alibi_detect") is not None
needs_alibi = pytest.mark.skipif(not installed, reason="alibi-detect is not installed: an optional extra")
CASE = tiny.image()
FOREST = AlibiSpec(method="od.IForest", parameters={"n_estimators": 10})


@pytest.fixture(autouse=True)
def _imported() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it and its dependencies say when they are imported
        if installed:
            import alibi_detect  # noqa: F401


@needs_alibi
@pytest.mark.parametrize("case", [tiny.image(), tiny.table(missing=True)], ids=["image", "table"])
def test_keeps_the_laws(case: tiny.Case) -> None:
    check_detector(FOREST, case.reference, case.rows, case.adversarial)


@needs_alibi
def test_fitted_again_it_scores_the_same() -> None:
    arrays = FOREST.fit(CASE.reference)
    np.random.seed(7)  # noqa: NPY002 - the process's own chance must be left alone
    expected = np.random.RandomState(7).random_sample(3)
    one, other = (FOREST.build(arrays, CASE.spec).score(View(CASE.rows, CASE.net)) for _ in range(2))
    assert (one == other).all()
    assert (np.random.random_sample(3) == expected).all()  # noqa: NPY002
    assert FOREST.code().keys() == {"alibi-detect"}
    changed = {**arrays, "seed": arrays["seed"] + 1}
    with pytest.raises(Unsuitable, match=r"od.IForest: fitting it again on the same rows gives other scores"):
        FOREST.build(changed, CASE.spec)


@needs_alibi
def test_one_that_learns_as_it_scores_is_refused() -> None:
    with pytest.raises(Unsuitable, match=r"breaks a law .*od.Mahalanobis: must score the same rows the same way twice"):
        AlibiSpec(method="od.Mahalanobis").fit(CASE.reference)


@needs_alibi
@pytest.mark.parametrize(
    ("detector", "parameters", "says"),
    [
        ("od.Nothing", {}, "alibi_detect.od has no 'Nothing'"),
        ("od.IForest", {"trees": 3}, "can't be made from its parameters and fitted: TypeError"),
    ],
)
def test_is_refused(detector: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(Unsuitable, match=says):
        AlibiSpec(method=detector, parameters=parameters).fit(CASE.reference)


@pytest.mark.skipif(installed, reason="alibi-detect is installed")
def test_says_what_to_install() -> None:
    with pytest.raises(Unsuitable, match=r"install watchgate\[alibi\]"):
        FOREST.fit(CASE.reference)


@pytest.mark.parametrize("key", ["path", "saved", "filepath"])
def test_saved_detectors_are_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=r"saved by alibi-detect is a pickle \(.dill\), which runs code"):
        AlibiSpec.model_validate({"method": "od.IForest", key: "folder"})


@pytest.mark.parametrize("name", ["cd.KSDrift", "IForest", "od.os.system"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="method"):
        AlibiSpec(method=name)


def test_json_keeps_it() -> None:
    assert AlibiSpec.model_validate(json.loads(FOREST.model_dump_json())) == FOREST
