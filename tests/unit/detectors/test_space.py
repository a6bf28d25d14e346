"""Which coordinates, and that they are always finite."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.base import Reference, Unsuitable, View
from detectors.space import MOST, Space
from models.batch import Array, Batch, InputSpec
from tests import tiny


def test_takes_the_features_where_there_are_some() -> None:
    case = tiny.image()
    space = Space.fit(case.reference)
    z = space.coordinates(case.reference.view)
    assert z.shape == (tiny.FITTED, tiny.HIDDEN + 1)
    assert z.dtype == np.float32
    assert np.abs(z.mean(axis=0)).max() < 1e-3
    assert (z[:, :-1] ** 2).mean() == pytest.approx(1.0, rel=1e-3)
    assert z[:, -1].std() == pytest.approx(1.0, rel=1e-3)
    features = case.reference.view.outputs.features
    assert features is not None
    assert np.allclose(np.exp(z[:, -1] / space.scale[-1] + space.mean[-1]), np.linalg.norm(features, axis=1), rtol=1e-3)
    assert np.allclose(np.linalg.norm(z[:, :-1] / space.scale[:-1] + space.mean[:-1], axis=1), 1.0, rtol=1e-3)
    assert space.note() == "distances are measured on the model's 32 penultimate features"


def test_else_the_standardised_input() -> None:
    case = tiny.table(missing=True).with_net(features=False)
    space = Space.fit(case.reference)
    z = space.coordinates(case.reference.view)
    varied = z.std(axis=0) > 0
    assert np.abs(z.mean(axis=0)).max() < 1e-3
    assert np.allclose(z[:, varied].std(axis=0), np.sqrt(0.9), atol=0.03)  # a tenth is missing, at the mean
    assert (z[np.isnan(case.reference.view.x)] == 0.0).all()
    assert "standardised input (64 values), as the model has no penultimate features" in space.note()


def test_a_picture_has_one_scale_a_channel() -> None:
    case = tiny.image().with_net(features=False)
    space = Space.fit(case.reference)
    assert len(set(space.scale.tolist())) == 1


def test_survives_its_arrays() -> None:
    case = tiny.image().with_net(features=False)
    space = Space.fit(case.reference)
    again = Space.from_arrays(space.to_arrays())
    assert np.array_equal(space.coordinates(case.reference.view), again.coordinates(case.reference.view))


def wide(values: int) -> tuple[Space, View]:
    x = np.random.default_rng(0).normal(size=(50, values)).astype(np.float32)
    spec = InputSpec("table", np.dtype("float32"), (values,))
    net = tiny.Net(spec, *tiny.initial(values), with_features=False)
    view = View(Batch(x), net)
    return Space.fit(Reference(view, spec)), view


def test_many_values_are_folded_and_distances_stay() -> None:
    space, view = wide(5000)
    z = space.coordinates(view)
    assert z.shape == (50, MOST)
    plain = Space(False, space.mean, space.scale).coordinates(view)

    def apart(points: Array) -> Array:
        return np.asarray(np.linalg.norm(points[:25] - points[25:], axis=1))

    assert np.abs(apart(z) / apart(plain) - 1.0).max() < 0.1
    assert "folded to 1024" in space.note()
    again = Space.from_arrays(space.to_arrays())
    assert np.array_equal(again.coordinates(view), z)


def test_wild_values_stay_finite_and_leave_their_neighbors_alone() -> None:
    case = tiny.table().with_net(features=False)
    space = Space.fit(case.reference)
    x = case.rows.x[:3].copy()
    x[0, :4] = [np.nan, np.inf, -np.inf, 3e38]
    z = space.coordinates(View(Batch(x), case.net))
    assert np.isfinite(z).all()
    assert np.array_equal(z[1:], space.coordinates(View(case.rows.take(slice(1, 3)), case.net)))


def test_features_that_are_no_numbers_are_far_out() -> None:
    case = tiny.image()
    space = Space.fit(case.reference)
    view = View(case.rows.take(slice(0, 4)), case.net)
    features = view.outputs.features
    assert features is not None
    features[0, 0], features[1, 0], features[2, 0] = np.nan, np.inf, 3e38
    distance = np.linalg.norm(space.coordinates(view), axis=1)
    assert (distance[:3] > 100.0).all()
    assert distance[3] < 50.0


def test_large_offsets_keep_their_digits() -> None:
    stamps = (1.7e9 + np.arange(300.0))[:, None]
    spec = InputSpec("table", np.dtype("float64"), (1,))
    view = View(Batch(stamps), tiny.Net(spec, *tiny.initial(1), with_features=False))
    z = Space.fit(Reference(view, spec)).coordinates(view)
    assert np.allclose(np.diff(z[:, 0]), 1.0 / stamps.std(), rtol=1e-3)


def test_token_ids_are_no_coordinates() -> None:
    with pytest.raises(Unsuitable, match="distances between token ids mean nothing"):
        Space.fit(tiny.tokens().with_net(features=False).reference)
