"""A network that takes noise off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from defenses.base import Unsuitable
from defenses.denoising_autoencoder import DenoisingAutoencoderSpec
from defenses.folding import Folding
from defenses.network import Layer, Network, encode
from models.batch import Array, Bounds, InputSpec, Layout

ROOT = Path(__file__).parents[3]
SMALL = DenoisingAutoencoderSpec(steps=150, width=16, depth=2, noise=0.3)


def blobs(n: int, shape: tuple[int, int]) -> Array:
    """Smooth images, (n, 1, *shape) float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    y, x = np.indices(shape)
    middle = rng.uniform(3, 8, (n, 2, 1, 1))
    far: Array = ((y - middle[:, 0]) ** 2 + (x - middle[:, 1]) ** 2)[:, None]
    return np.asarray(np.exp(-far / 12), dtype=np.float32)


def test_takes_noise_off_images_that_it_never_saw() -> None:
    x = blobs(300, (11, 12))
    spec = InputSpec("image", np.dtype("float32"), (1, 11, 12), Bounds(0, 1), "NCHW")
    purifier = SMALL.build(spec, SMALL.fit(x[:250], spec))
    noisy = np.clip(x[250:] + np.random.default_rng(1).normal(0, 0.2, x[250:].shape), 0, 1).astype(np.float32)
    assert np.abs(purifier.apply(noisy) - x[250:]).mean() < 0.85 * np.abs(noisy - x[250:]).mean()


def test_tells_a_table_column_from_the_others() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(40.0, 10.0, 500)
    x = np.stack([first, 3.0 * first, -first], axis=1)
    spec = InputSpec("table", np.dtype("float64"), (3,), None, missing=True)
    purifier = SMALL.build(spec, SMALL.fit(x[:400], spec))
    moved = x[400:] + rng.normal(0, 0.3, (100, 3)) * x.std(axis=0)
    assert np.abs(purifier.apply(moved) - x[400:]).mean() < 0.8 * np.abs(moved - x[400:]).mean()
    moved[0, 1] = np.nan
    assert np.isnan(purifier.apply(moved)).sum() == 1


@pytest.mark.parametrize(
    ("kind", "shape", "layout"),
    [
        ("image", (3, 5, 7), "NCHW"),
        ("image", (5, 6, 3), "NHWC"),
        ("image", (5, 6), None),
        ("series", (9,), None),
        ("series", (9, 2), None),
        ("series", (2, 8), None),
        ("table", (4,), None),
    ],
)
def test_unfolding_undoes_folding(kind: str, shape: tuple[int, ...], layout: Layout | None) -> None:
    spec = InputSpec(kind, np.dtype("float32"), shape, None, layout)  # type: ignore[arg-type]
    x = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    folding = Folding.of(spec)
    folded = folding.fold(x)
    assert folded.flags.c_contiguous
    assert folded.ndim == 2 + len(folding.kernel)
    assert np.array_equal(folding.unfold(folded, x.shape), x)


def test_a_network_is_what_its_layers_say() -> None:
    rng = np.random.default_rng(0)
    layers = [Layer(rng.normal(size=(5, 3)), rng.normal(size=5)), Layer(rng.normal(size=(2, 5)), rng.normal(size=2))]
    x = rng.normal(size=(4, 3)).astype(np.float32)
    expected = np.maximum(x @ layers[0].weight.T + layers[0].bias, 0) @ layers[1].weight.T + layers[1].bias
    assert np.allclose(Network(encode(layers)).run(x), expected, atol=1e-5)


def test_must_be_trained() -> None:
    spec = InputSpec("image", np.dtype("float32"), (1, 4, 4), Bounds(0, 1), "NCHW")
    with pytest.raises(Unsuitable, match="fit it first"):
        SMALL.build(spec)


def test_serves_without_torch_and_says_what_training_lacks(tmp_path: Path) -> None:
    spec = InputSpec("table", np.dtype("float32"), (3,), None)
    quick = DenoisingAutoencoderSpec(steps=1, width=2, depth=1)
    x = np.random.default_rng(0).random((8, 3), dtype=np.float32)
    arrays = quick.fit(x, spec)
    np.savez(tmp_path / "a.npz", **arrays, x=x, expected=quick.build(spec, arrays).apply(x))
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from defenses.base import Unsuitable\n"
        "from defenses.denoising_autoencoder import DenoisingAutoencoderSpec\n"
        "from models.batch import InputSpec\n"
        "spec = InputSpec('table', np.dtype('float32'), (3,), None)\n"
        "quick = DenoisingAutoencoderSpec(steps=1, width=2, depth=1)\n"
        f"arrays = np.load({str(tmp_path / 'a.npz')!r})\n"
        "assert np.array_equal(quick.build(spec, arrays).apply(arrays['x']), arrays['expected'])\n"
        "try: quick.fit(arrays['x'], spec)\n"
        "except Unsuitable as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "install watchgate[torch]" in ran.stdout
