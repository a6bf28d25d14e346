from __future__ import annotations

import json

import numpy as np
import pytest

from gateway.demo.malformed import PATH, ROW, Malformed, requests, valid

VALID = json.loads(valid(np.array(ROW).reshape(1, 8, 8)))


def test_there_are_a_dozen_kinds_and_more_each_with_its_name() -> None:
    names = [request.name for request in requests()]
    assert len(names) >= 12
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("request_", requests(), ids=lambda request: request.name)
def test_each_differs_from_a_valid_request(request_: Malformed) -> None:
    try:
        document = json.loads(request_.body, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return  # no JSON at all
    assert (
        request_.path != PATH
        or request_.method != "POST"
        or document != json.loads(json.dumps(VALID), object_pairs_hook=list)
    )


def test_a_valid_request_spells_the_row() -> None:
    row = (np.arange(64, dtype=np.float32) / 64).reshape(1, 8, 8)
    (tensor,) = json.loads(valid(row))["inputs"]
    assert tensor["shape"] == [1, 1, 8, 8]
    np.testing.assert_array_equal(np.array(tensor["data"], np.float32), row.ravel())
