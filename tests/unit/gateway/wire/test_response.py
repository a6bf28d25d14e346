"""Answers: JSON and binary, blanked rows, and what callers may see of the verdict."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gateway.disclosure import Disclosure, LabelsOnly
from gateway.errors import Rejected
from gateway.verdict import Judged, Verdicts
from gateway.wire.request import ALL_BINARY, Wanted
from gateway.wire.response import Writer, blanked, error_body
from models.backend import Outputs, TensorSpec
from models.batch import Array, Batch
from models.specs import OutputConfig
from tests.wired import sign

Y = np.array([[1.5, 2.0], [3.0, 4.0]], dtype=np.float32)


def judged(*actions: int, outputs: dict[str, Array] | None = None) -> Judged:
    n = len(actions)
    rows = np.array(actions, dtype=np.uint8)
    verdicts = Verdicts(rows, rows, np.ones(n), np.linspace(0.1, 0.2, n), np.full(n, -1), ())
    return Judged(Batch(np.zeros((n, 2), np.float32)), verdicts, Outputs(outputs or {"y": Y[:n]}))


ALL_JSON = Wanted()


def write(given: Judged, wanted: Wanted = ALL_JSON, id: str = "", **signed: Any) -> dict[str, Any]:
    """The answer as a client reads it: values by output name, `id` and content type beside them."""
    headers, body = Writer(sign(**signed)).write(given, int(given.verdicts.actions.max()), wanted, id)
    head = {name.decode(): value.decode() for name, value in headers}
    assert int(head["content-length"]) == len(body)
    size = int(head.get("inference-header-content-length", len(body)))
    document = json.loads(body[:size])
    found = {"id": document.get("id"), "type": head["content-type"], "model": document["model_name"]}
    offset = size
    for each in document["outputs"]:
        if "data" in each:
            found[each["name"]] = each["data"], each["shape"], each["datatype"]
        else:
            blob = body[offset : offset + each["parameters"]["binary_data_size"]]
            offset += len(blob)
            found[each["name"]] = blob, each["shape"], each["datatype"]
    assert offset == len(body)
    return found


def test_allowed_rows_are_answered_as_the_model_does() -> None:
    found = write(judged(0, 0), id='se"ven')
    assert found == {
        "id": 'se"ven',
        "type": "application/json",
        "model": "m",
        "y": ([1.5, 2.0, 3.0, 4.0], [2, 2], "FP32"),
    }


@pytest.mark.parametrize("id", ["", "seven"])
def test_binary_answers_hold_the_same_bytes(id: str) -> None:
    found = write(judged(0, 0), ALL_BINARY, id)
    assert found["type"] == "application/octet-stream"
    assert found["y"] == (Y.tobytes(), [2, 2], "FP32")
    assert found["id"] == (id or None)


def test_the_kept_form_of_an_answer_follows_the_shape() -> None:
    writer = Writer(sign())
    for n in (1, 2, 1, 2):
        _, body = writer.write(judged(*[0] * n), 0, ALL_BINARY, "")
        assert body.endswith(Y[:n].tobytes())
        assert b'"shape":[%d,2]' % n in body
    headers, _ = writer.write(judged(0), 0, ALL_BINARY, "")
    headers.append((b"x-watchgate-id", b"mine"))
    assert (b"x-watchgate-id", b"mine") not in writer.write(judged(0), 0, ALL_BINARY, "")[0]


@pytest.mark.parametrize("wanted", [ALL_JSON, ALL_BINARY, Wanted(True, (("y", True),))])
def test_callers_see_what_the_policy_leaves(wanted: Wanted) -> None:
    disclosure = Disclosure.of([LabelsOnly()], OutputConfig(logits="y", kind="probabilities"), sign().outputs.values())
    given = judged(0, 2)
    _, body = Writer(sign(), disclosure).write(given, 2, wanted, "")
    expected = b"[0.0,1.0,null,null]" if wanted is ALL_JSON else np.array([[0, 1], [np.nan] * 2], np.float32).tobytes()
    assert expected in body
    assert b'"outputs":{"y":[[0.0,1.0],[null,null]]}' in Writer(sign(), disclosure).plain(given, 2, "an id")
    assert given.outputs is not None
    assert np.array_equal(given.outputs.tensors["y"], Y)  # the trace keeps what the model said


def test_outputs_may_differ_in_encoding_and_order() -> None:
    wanted = Wanted(False, (("verdict", True), ("y", False)))
    found = write(judged(0, 1), wanted)
    assert list(found)[3:] == ["verdict", "y"]
    assert found["verdict"] == (b"\x05\0\0\0allow\x04\0\0\0flag", [2], "BYTES")


@pytest.mark.parametrize("actions", [(0, 1), (0, 2), (1, 1)])
def test_a_batch_that_is_not_all_allowed_says_which_rows(actions: tuple[int, int]) -> None:
    words = ["allow", "flag", "reject"]
    assert write(judged(*actions))["verdict"] == ([words[a] for a in actions], [2], "BYTES")


def test_scores_disclose_the_p_value_and_nothing_else() -> None:
    found = write(judged(0, 2), disclose="scores")
    assert found["p_value"] == ([0.1, 0.2], [2], "FP64")
    assert set(found) == {"id", "type", "model", "y", "verdict", "p_value"}
    assert "verdict" not in write(judged(0, 0), disclose="scores")


def test_undisclosed_verdicts_leave_no_sign_on_flagged_rows() -> None:
    assert write(judged(0, 1), disclose="none") == write(judged(0, 0), disclose="none")


def test_rejected_rows_hold_nan_and_say_so_even_among_chosen_outputs() -> None:
    found = write(judged(2, 0))
    assert found["y"][0] == [None, None, 3.0, 4.0]
    found = write(judged(2, 0), Wanted(True, (("y", True),)))
    np.testing.assert_array_equal(np.frombuffer(found["y"][0], np.float32), [np.nan, np.nan, 3, 4])
    assert "verdict" in found


@pytest.mark.parametrize(("actions", "disclose"), [((2, 2), "scores"), ((0, 2), "none"), ((2,), "verdict")])
def test_nothing_allowed_or_nothing_to_be_told_is_a_refusal(actions: tuple[int, ...], disclose: str) -> None:
    with pytest.raises(Rejected):
        write(judged(*actions), disclose=disclose)
    with pytest.raises(Rejected):
        Writer(sign(disclose=disclose)).plain(judged(*actions), 2, "an id")  # type: ignore[arg-type]


def test_values_json_has_no_word_for_become_null() -> None:
    y = np.array([[np.nan, np.inf]], dtype=np.float32)
    assert write(judged(0, outputs={"y": y}))["y"][0] == [None, None]


def test_strings_are_answered_as_text() -> None:
    said = np.array([["a"], ["ü"]], dtype=object)
    specs = [TensorSpec("said", "BYTES", (-1, 1))]
    assert write(judged(0, 0, outputs={"said": said}), outputs=specs)["said"][0] == ["a", "ü"]
    packed = write(judged(0, 0, outputs={"said": said}), ALL_BINARY, outputs=specs)["said"][0]
    assert packed == b"\x01\0\0\0a\x02\0\0\0\xc3\xbc"


@pytest.mark.parametrize(
    ("values", "blank"),
    [
        (np.ones(2, np.float16), np.nan),
        (np.ones(2, np.float64), np.nan),
        (np.ones(2, np.int8), -128),
        (np.ones(2, np.int64), -(2**63)),
        (np.ones(2, np.uint8), 0),
        (np.ones(2, np.bool_), False),
        (np.array(["a", "b"], dtype=object), ""),
    ],
)
def test_blank_rows_are_nan_the_minimum_or_empty(values: Array, blank: Any) -> None:
    found = blanked(values, np.array([True, False]))
    np.testing.assert_array_equal(found[0], blank)
    assert found[1] == values[1]
    assert values[0] == values[1] or values[0] == "a"  # the model's own stay


def test_plain_answers_are_nested_and_told_apart_by_name() -> None:
    document = json.loads(Writer(sign()).plain(judged(0, 2), 2, "an id"))
    assert document == {
        "id": "an id",
        "endpoint": "m",
        "outputs": {"y": [[1.5, 2.0], [None, None]]},
        "verdict": ["allow", "reject"],
    }


def test_errors_say_what_and_which() -> None:
    assert json.loads(error_body('a "b"', "an id")) == {"error": 'a "b"', "id": "an id"}
