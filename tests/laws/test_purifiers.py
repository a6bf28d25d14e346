"""Every purifier of the catalogue, on every kind of input that it suits."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from defenses.base import PurifierSpec, Unsuitable
from defenses.bit_depth import BitDepthSpec
from defenses.catalogue import AnyPurifierSpec
from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from defenses.gaussian import GaussianSpec
from defenses.jpeg import JpegSpec
from defenses.lattice import LatticeSpec
from defenses.laws import LawBroken, check_purifier
from defenses.low_pass import LowPassSpec
from defenses.median import MedianSpec
from defenses.nearest_neighbors_mean import NearestNeighborsMeanSpec
from defenses.non_local_means import NonLocalMeansSpec
from defenses.resample import ResampleSpec
from defenses.resize_and_pad import ResizeAndPadSpec
from defenses.total_variation import TotalVariationSpec
from defenses.winsorize import WinsorizeSpec
from models.batch import NO_ARRAYS, Array, Arrays, Bounds, InputSpec, Layout

SPECS: list[PurifierSpec] = [
    BitDepthSpec(bits=1),
    BitDepthSpec(bits=5),
    MedianSpec(size=3),
    GaussianSpec(),
    JpegSpec(),
    TotalVariationSpec(iterations=5),
    NonLocalMeansSpec(search=3),
    ResizeAndPadSpec(shrink=0.5),
    DenoisingAutoencoderSpec(steps=2, width=4, depth=1),
    LowPassSpec(),
    ResampleSpec(factor=3),
    LatticeSpec(),
    WinsorizeSpec(share=0.2),
    NearestNeighborsMeanSpec(k=2),
]
ON_IMAGES = [MedianSpec(), *(spec for spec in SPECS if "image" in spec.suits)]
LAYOUTS: list[tuple[tuple[int, ...], Layout]] = [((1, 8, 7), "NCHW"), ((8, 7, 3), "NHWC")]
INPUTS = [
    InputSpec("image", np.dtype(dtype), shape, Bounds(*bounds), layout)
    for dtype, bounds in (("float32", (0, 1)), ("float64", (-2.1, 2.64)), ("float16", (0, 1)), ("uint8", (0, 255)))
    for shape, layout in LAYOUTS
]
INPUTS += [InputSpec("image", np.dtype("int32"), (3, 5, 5), Bounds(0, 65535), "NCHW")]
OTHERS = [
    InputSpec("series", np.dtype("float32"), (20,), Bounds(-1, 1)),
    InputSpec("series", np.dtype("float64"), (3, 20), Bounds(-1, 1), missing=True),
    InputSpec("series", np.dtype("int16"), (20, 2), None),
    InputSpec("table", np.dtype("float32"), (6,), Bounds(0, 0.1), missing=True),
    InputSpec("table", np.dtype("int64"), (6,), None),
]


def describe(value: Any) -> str:
    if isinstance(value, InputSpec):
        return f"{value.kind}-{value.dtype}-{'x'.join(map(str, value.shape))}"
    return "-".join(map(str, value.model_dump().values()))


def rows(inputs: InputSpec) -> Array:
    bounds = inputs.bounds or Bounds(-300, 300)
    x = np.random.default_rng(0).uniform(*bounds, (6, *inputs.shape)).astype(inputs.dtype)
    if inputs.missing:
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    return x


@pytest.mark.parametrize("spec", ON_IMAGES, ids=describe)
@pytest.mark.parametrize("inputs", INPUTS, ids=describe)
def test_on_images(spec: PurifierSpec, inputs: InputSpec) -> None:
    check_purifier(spec, inputs, rows(inputs))


@pytest.mark.parametrize("spec", SPECS, ids=describe)
@pytest.mark.parametrize("inputs", OTHERS, ids=describe)
def test_on_series_and_tables(spec: PurifierSpec, inputs: InputSpec) -> None:
    if inputs.kind not in spec.suits:
        with pytest.raises(Unsuitable, match=rf"works on [a-z ]+ inputs; this one is {inputs.kind}"):
            spec.build(inputs)
    elif inputs.bounds is None and isinstance(spec, BitDepthSpec):
        with pytest.raises(Unsuitable, match=r"input\.bounds"):
            spec.build(inputs)
    else:
        check_purifier(spec, inputs, rows(inputs))


def test_every_purifier_of_the_catalogue_is_tried() -> None:
    assert set(get_args(get_args(AnyPurifierSpec)[0])) == {type(spec) for spec in SPECS}


class Planted:
    """Breaks one law."""

    def __init__(self, law: str) -> None:
        self.name = "planted"
        self.law = law
        self.seen = 0

    def apply(self, x: Array) -> Array:
        match self.law:
            case "dtype":
                return x.astype(np.float64)
            case "shape":
                return x.reshape(len(x), x[0].size if len(x) else 0)
            case "bounds":
                return x * np.float32(1.5)
            case "alone":
                return x - x.mean(axis=0) if len(x) > 1 else x
            case "deterministic":
                return np.random.default_rng().random(x.shape, dtype=np.float32)
            case "change":
                self.seen += len(x)
            case "missing":
                return np.where(x > 0.5, np.float32(np.nan), x)
            case "write":
                x[...] = np.round(x)
        return x


class PlantedSpec(PurifierSpec):
    kind: str = "planted"
    law: str

    def build(self, spec: InputSpec, arrays: Arrays = NO_ARRAYS) -> Planted:
        return Planted(self.law)


LAWS = {
    "dtype": "keep the dtype float32, not make it float64",
    "shape": "keep the shape",
    "bounds": "stay inside the bounds",
    "alone": "the bounds|same alone",
    "deterministic": "deterministic",
    "change": "not change when it is used",
    "missing": "missing values",
    "write": "not write to the rows",
}


@pytest.mark.parametrize(("law", "says"), LAWS.items())
def test_a_law_breaker_is_refused(law: str, says: str) -> None:
    inputs = InputSpec("image", np.dtype("float32"), (1, 4, 4), Bounds(0, 1), "NCHW")
    with pytest.raises(LawBroken, match=says):
        check_purifier(PlantedSpec(law=law), inputs, rows(inputs))
