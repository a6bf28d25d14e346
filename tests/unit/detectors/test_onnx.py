"""Graphs of somebody else's: what they are given, which way round they score, and which are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from detectors.base import Unsuitable, View
from detectors.laws import check_detector
from detectors.onnx import MOST_SCORE, OnnxScoreSpec
from models.batch import Array, Batch
from tests import graphs, tiny

CASE = tiny.image()


def saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "score.onnx")
    return folder / "score.onnx"


def scores(spec: OnnxScoreSpec, x: Array | None = None) -> Array:
    view = View(CASE.rows if x is None else Batch(x), CASE.net)
    return spec.build(spec.fit(CASE.reference), CASE.spec).score(view)


def test_scores_the_input(tmp_path: Path) -> None:
    spec = OnnxScoreSpec(path=saved(graphs.ink(), tmp_path))
    assert scores(spec) == pytest.approx(np.abs(CASE.rows.x).reshape(200, -1).sum(axis=1), rel=1e-5)


def test_high_may_be_normal(tmp_path: Path) -> None:
    path = saved(graphs.ink(), tmp_path)
    assert (scores(OnnxScoreSpec(path=path, higher="normal")) == -scores(OnnxScoreSpec(path=path))).all()


@pytest.mark.parametrize("reads", ["features", "logits"])
def test_reads_the_model(reads: str, tmp_path: Path) -> None:
    spec = OnnxScoreSpec.model_validate({"path": saved(graphs.ink(), tmp_path), "reads": reads})
    values = getattr(CASE.net.predict(CASE.rows), reads)
    assert scores(spec) == pytest.approx(np.abs(values).sum(axis=1), rel=1e-5)
    assert spec.needed() == {reads}
    bare = CASE.with_net(logits=False, features=False)
    with pytest.raises(Unsuitable, match=f"`reads: {reads}`: this model has none"):
        spec.refuse_unsuitable(bare.spec, bare.net.predict(CASE.rows))


def test_one_of_several_outputs(tmp_path: Path) -> None:
    twice = graphs.ink()
    twice.graph.node.append(helper.make_node("Neg", ["score"], ["minus"]))
    twice.graph.output.append(helper.make_tensor_value_info("minus", TensorProto.FLOAT, None))
    path = saved(twice, tmp_path)
    assert (scores(OnnxScoreSpec(path=path, output="minus")) == -scores(OnnxScoreSpec(path=path, output="score"))).all()
    with pytest.raises(Unsuitable, match=r"score.onnx: expected one output, found score, minus"):
        OnnxScoreSpec(path=path).fit(CASE.reference)
    with pytest.raises(Unsuitable, match="expected one of score, minus, found 'other'"):
        OnnxScoreSpec(path=path, output="other").fit(CASE.reference)


def test_a_score_that_is_no_number_is_suspicious(tmp_path: Path) -> None:
    x = CASE.rows.x.copy()
    x[0, 0, 0, 0] = np.nan
    x[1, 0, 0, 0] = np.inf
    spec = OnnxScoreSpec(path=saved(graphs.ink(), tmp_path))
    assert scores(spec, x)[:2].tolist() == [MOST_SCORE, MOST_SCORE]


def test_needs_nothing_but_the_bundle(tmp_path: Path) -> None:
    spec = OnnxScoreSpec(path=saved(graphs.ink(), tmp_path))
    arrays = spec.fit(CASE.reference)
    spec.path.unlink()
    assert spec.build(arrays, CASE.spec).score(View(CASE.rows, CASE.net)).shape == (200,)


def foreign() -> onnx.ModelProto:
    nodes = [helper.make_node("Mine", ["x"], ["score"], domain="somebody.else")]
    return graphs.scoring(nodes, opsets=[("", 17), ("somebody.else", 1)])


def elsewhere() -> onnx.ModelProto:
    model = graphs.scoring([helper.make_node("Add", ["x", "w"], ["score"])])
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="weights.bin")
    model.graph.initializer.append(weight)
    return model


REFUSED = {
    "foreign operators": (foreign(), "expected operators of ONNX and onnxruntime, found somebody.else.Mine"),
    "data elsewhere": (elsewhere(), "expected all data in score.onnx itself, found that of 'w' elsewhere"),
    "no score a row": (
        graphs.scoring([helper.make_node("Identity", ["x"], ["score"])]),
        r"score.onnx: expected one score a row, \(1000,\) or \(1000, 1\), found \(1000, 1, 8, 8\)",
    ),
    "other rows matter": (graphs.ink_among_others(), "score.onnx: a row must score the same in a flood of one row"),
    "chance": (
        graphs.scoring(
            [
                helper.make_node("Flatten", ["x"], ["flat"], axis=1),
                helper.make_node("RandomUniformLike", ["flat"], ["noise"]),
                helper.make_node("ReduceL1", ["noise"], ["score"], axes=[1], keepdims=0),
            ]
        ),
        "score.onnx: must score the same rows the same way twice",
    ),
    "no numbers": (
        graphs.scoring([*graphs.ink().graph.node[:1], helper.make_node("ReduceLogSum", ["flat"], ["score"], axes=[1])]),
        r"score.onnx: \d+ of 1000 reference rows have no finite score",
    ),
}


@pytest.mark.parametrize(("model", "says"), REFUSED.values(), ids=REFUSED)
def test_is_refused(model: onnx.ModelProto, says: str, tmp_path: Path) -> None:
    path = saved(model, tmp_path)
    x = CASE.reference.view.x.copy()
    x[5] = -1.0  # has no logarithm
    reference = tiny.Case(CASE.net, CASE.reference, CASE.rows, None).reference
    if "no finite" in says:
        reference = type(reference)(View(Batch(x), CASE.net), CASE.spec)
    with pytest.raises(Unsuitable, match=says):
        OnnxScoreSpec(path=path).fit(reference)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"MZ\x90\x00 no graph")
    with pytest.raises(Unsuitable, match=r"expected an ONNX file, found something else in no.onnx"):
        OnnxScoreSpec(path=tmp_path / "no.onnx").fit(CASE.reference)
    with pytest.raises(Unsuitable, match="can't be read: No such file"):
        OnnxScoreSpec(path=tmp_path / "none.onnx").fit(CASE.reference)


def test_a_fixed_number_of_columns_gets_flat_rows(tmp_path: Path) -> None:
    model = graphs.ink()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 64]))
    spec = OnnxScoreSpec(path=saved(model, tmp_path))
    check_detector(spec, CASE.reference, CASE.rows, CASE.adversarial)
