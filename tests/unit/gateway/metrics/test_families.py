"""The one list of metrics: Prometheus' conventions, and the documentation that is made from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.errors import Refusal, Rejected
from gateway.metrics.__main__ import tables
from gateway.metrics.families import FAMILIES, LABELS, Family, family_of

DOCUMENT = Path(__file__).parents[4] / "docs" / "metrics.md"
UNITS = {"seconds": "_seconds", "bytes": "_bytes", "share": "_ratio", "seconds since 1970": "_timestamp_seconds"}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_names_keep_to_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"watchgate_[a-z]+(_[a-z]+)*", family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert family.name.endswith(UNITS.get(family.unit, ""))
    assert set(family.labels) <= set(LABELS)
    assert family.text.endswith(".")


def test_no_two_have_the_same_name() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))


def test_every_label_is_used() -> None:
    assert {label for family in FAMILIES for label in family.labels} == set(LABELS)


def test_samples_find_their_family() -> None:
    found = {sample: family_of(sample) for sample in ("watchgate_rows_total", "watchgate_batch_rows_bucket")}
    assert [family.name for family in found.values() if family] == ["watchgate_rows_total", "watchgate_batch_rows"]
    assert family_of("watchgate_rows") is None
    assert family_of("up") is None


def test_the_document_has_the_list() -> None:
    assert DOCUMENT.read_text(encoding="utf-8").endswith(tables()), "python -m gateway.metrics prints the tables anew"


def test_the_bounds_of_labels_are_those_of_the_code() -> None:
    refusals = {kind for kind in _all(Refusal) if not kind.__subclasses__()}
    assert LABELS["reason"].endswith(f"at most {len(refusals - {Rejected})}")  # which is a verdict
    statuses = {200, 500} | {kind.status for kind in refusals}
    assert f"at most {len(statuses)}" in LABELS["status"]


def _all(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*map(_all, kind.__subclasses__()))
