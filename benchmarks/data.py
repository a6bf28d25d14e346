"""Rows that benchmarks use: shared data sets, and made ones. All images lie on the grid k/255, as real files do."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
SIDE = 28

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


class DataMissing(Exception):
    """A data set is not on this machine; the text says where it was looked for."""


@dataclass(frozen=True)
class Labeled:
    """Images (n, 1, 28, 28) in [0, 1] on the grid k/255, and their classes (n,)."""

    x: Images
    y: Labels

    def __len__(self) -> int:
        return len(self.x)

    def part(self, start: int, stop: int) -> Labeled:
        """Rows start to stop."""
        return Labeled(self.x[start:stop], self.y[start:stop])

    def save(self, path: Path) -> Path:
        """As the `.npz` file that `watchgate calibrate` reads."""
        np.savez(path, x=self.x, y=self.y)
        return path


def shared(name: str) -> Path:
    """The path of a shared data file: WATCHGATE_SHARED_DATA, else ../shared/data beside the repository.

    Raises:
        DataMissing: no such file.
    """
    folder = Path(os.environ.get("WATCHGATE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    if not path.is_file():
        raise DataMissing(f"{name} not found: put it in ../shared/data, or set WATCHGATE_SHARED_DATA to its folder")
    return path


def to_grid(x: npt.NDArray[np.floating[Any]]) -> Images:
    """The nearest values k/255 in [0, 1]: what survives being stored as an 8-bit image."""
    return from_bytes(np.rint(np.clip(x, 0.0, 1.0) * 255.0).astype(np.uint8))


def from_bytes(x: npt.NDArray[np.uint8]) -> Images:
    """8-bit pixels as float32 k/255."""
    return x.astype(np.float32) / np.float32(255.0)


def mnist() -> tuple[Labeled, Labeled]:
    """MNIST's 60,000 training and 10,000 test images.

    Raises:
        DataMissing: the shared file is absent.
    """
    with np.load(shared("mnist.npz"), allow_pickle=False) as file:
        train = Labeled(from_bytes(file["x_train"])[:, None], file["y_train"].astype(np.int64))
        test = Labeled(from_bytes(file["x_test"])[:, None], file["y_test"].astype(np.int64))
    return train, test


def cifar_gray(n: int) -> Images:
    """The last n images of the shared CIFAR-10 file in gray, resized to 28x28.

    Raises:
        DataMissing: the shared file is absent.
    """
    from PIL import Image

    with np.load(shared("cifar10.npz"), allow_pickle=False) as file:
        blob, offsets = file["blob"], file["offsets"]
    pictures = []
    for start, stop in zip(offsets[-n - 1 : -1], offsets[-n:], strict=True):
        picture = Image.open(io.BytesIO(blob[start:stop].tobytes())).convert("L")
        pictures.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
    return from_bytes(np.stack(pictures))[:, None]


def digits_upscaled() -> Images:
    """scikit-learn's 1,797 digits, 8x8 in 17 gray levels, resized to 28x28."""
    from PIL import Image
    from sklearn.datasets import load_digits

    small = np.rint(load_digits().images / 16.0 * 255.0).astype(np.uint8)
    size = (SIDE, SIDE)
    large = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)) for image in small]
    return from_bytes(np.stack(large))[:, None]


def smooth_images(n: int, seed: int) -> Images:
    """n made images, (n, 1, 28, 28): three soft blobs each, at random places, of random widths and heights."""
    rng = np.random.default_rng(seed)
    axis = np.linspace(0.0, 1.0, SIDE)
    centers = rng.uniform(0.2, 0.8, (2, n, 3, 1))
    widths = rng.uniform(0.08, 0.25, (n, 3, 1))
    profiles = np.exp(-(((axis - centers) / widths) ** 2))
    heights = rng.uniform(0.3, 0.9, (n, 3))
    return to_grid(np.einsum("nb,nby,nbx->nyx", heights, profiles[0], profiles[1]))[:, None]
