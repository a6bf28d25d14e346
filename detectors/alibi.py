"""A detector of alibi-detect, by class and parameters. An optional extra, whose licence (Business Source License 1.1)
is not an open one: docs/write-a-detector.md.

Its saved detectors are pickles (`.dill`, `.pickle`), so the bundle keeps the rows that it was fitted on instead, and it
is fitted again, with the same seed, wherever it is loaded; a few scores kept beside tell whether that gives the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from defenses.base import Unsuitable
from detectors.base import Detector, DetectorSpec, Reference, View
from detectors.laws import refuse_lawless
from detectors.onnx import MOST_SCORE
from detectors.outside import release
from detectors.space import Reads, Space
from models.batch import Array, Arrays, InputSpec, Kind

PACKAGE = "alibi-detect"
_PROBED = 32  # rows whose scores are kept
_SAME = 1e-4  # of the scores' spread, or of their size


@dataclass(frozen=True, slots=True)
class AlibiScore:
    """Its instance score: in alibi-detect a high one is suspicious."""

    space: Space
    fitted: Any
    name: str = "alibi"

    def score(self, view: View) -> Array:
        """(n,) float32; a row whose score is no number is as suspicious as can be."""
        found = _scores(self.fitted, self.space.coordinates(view).copy())  # others share them
        return np.nan_to_num(np.clip(found, -MOST_SCORE, MOST_SCORE), copy=False, nan=float(MOST_SCORE))


class AlibiSpec(DetectorSpec):
    """`method` is a class of `alibi_detect.od` or `alibi_detect.ad` (`od.IForest`), made with `parameters` and fitted
    on at most `keep` reference rows (a seeded draw) in the coordinates of `detectors.space`; `reads` says of what.
    """

    kind: Literal["alibi"] = "alibi"
    method: Annotated[str, Field(pattern=r"^(od|ad)\.[A-Za-z0-9]+$")]
    parameters: dict[str, Any] = Field(default_factory=dict)
    reads: Reads = "auto"
    keep: Annotated[int, Field(ge=10, le=100_000)] = 2000
    suits: ClassVar[frozenset[Kind]] = frozenset({"image", "table", "series", "tokens"})

    @model_validator(mode="before")
    @classmethod
    def _saved(cls, entry: Any) -> Any:
        saved = [key for key in ("path", "saved", "filepath") if isinstance(entry, Mapping) and key in entry]
        if saved:
            raise ValueError(
                f"{saved[0]}: a detector saved by alibi-detect is a pickle (.dill), which runs code when it is read: "
                "name its class and `parameters` instead, it is fitted at calibrate; or export it, for `kind: onnx`"
            )
        return entry

    def code(self) -> Mapping[str, str]:
        """The installed release: what it scores is its own."""
        return {PACKAGE: release(PACKAGE)}

    def fit(self, reference: Reference) -> Arrays:
        """The space, the rows it is fitted on, the seed, and the scores of the first of these rows.

        Raises:
            Unsuitable: alibi-detect is not installed or has no such class, or it can't be fitted so, or its scores are
                not a function of a row alone.
        """
        space = Space.fit(reference, self.reads)
        z = space.coordinates(reference.view)
        rows = z[np.sort(np.random.default_rng(reference.seed).permutation(len(z))[: self.keep])]
        seed = np.array(reference.seed)
        probed = _scores(self._fitted(rows, reference.seed), rows[:_PROBED])
        arrays = {**space.to_arrays(), "rows": rows, "seed": seed, "probed": probed}
        refuse_lawless(self.method, self.build(arrays, reference.spec), reference)
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """The detector, fitted again.

        Raises:
            Unsuitable: it scores otherwise than it did at `fit`.
        """
        rows, wanted = arrays["rows"], arrays["probed"]
        fitted = self._fitted(rows, int(arrays["seed"]))
        gap = np.abs(_scores(fitted, rows[:_PROBED]).astype(np.float64) - wanted)
        if not (gap <= _SAME * np.maximum(np.abs(wanted), wanted.std())).all():
            raise Unsuitable(f"{self.method}: fitting it again on the same rows gives other scores")
        return AlibiScore(Space.from_arrays(arrays), fitted)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """What it is fitted on, and what its licence says."""
        what = "the model's penultimate features" if bool(arrays["space_features"]) else "the standardised input"
        licence = f"{PACKAGE} is not open source: its licence forbids most production use"
        return (f"alibi: {self.method}, fitted on {len(arrays['rows'])} rows of {what}", licence)

    def _fitted(self, rows: Array, seed: int) -> Any:
        made = self._class()
        values = dict(self.parameters)
        if "threshold" in inspect.signature(made).parameters:
            values.setdefault("threshold", 0.0)  # it asks for one; calibrate sets ours
        try:
            with seeded(seed):
                fitted = made(**values)
                if hasattr(fitted, "fit") and not _learns_as_it_scores(made, values):
                    fitted.fit(rows)
                _scores(fitted, rows[:1])
        except Exception as error:  # somebody else's code: whatever it raises is what is wrong with it
            said = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise Unsuitable(f"{self.method} can't be made from its parameters and fitted: {said}") from error
        return fitted

    def _class(self) -> Any:
        try:
            from alibi_detect import ad, od
        except ImportError as error:
            raise Unsuitable("kind alibi needs alibi-detect: install watchgate[alibi]") from error
        module, _, name = self.method.partition(".")
        found = getattr({"od": od, "ad": ad}[module], name, None)
        if inspect.isclass(found):
            return found
        if found is None:
            raise Unsuitable(f"alibi_detect.{module} has no {name!r}")
        raise Unsuitable(f"{self.method} needs a package that is not installed (tensorflow, mostly)")


def _learns_as_it_scores(made: Any, values: Mapping[str, Any]) -> bool:
    """Whether `fit` is only for columns of categories, and none are named."""
    return "cat_vars" in inspect.signature(made).parameters and not values.get("cat_vars")


def _scores(fitted: Any, z: Array) -> Array:
    """(n,) float32."""
    if not len(z):
        return np.empty(0, dtype=np.float32)
    found = np.asarray(fitted.predict(z)["data"]["instance_score"])
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """numpy's global state, which such libraries draw from, seeded inside and as before outside."""
    before = np.random.get_state()  # noqa: NPY002 - not ours to choose
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
