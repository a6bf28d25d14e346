"""A network made by the operator's own code, with weights from a safetensors file. At `calibrate` only."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from models.errors import ModelError
from models.specs import PytorchSpec

__all__ = ["make_network"]


def make_network(spec: PytorchSpec, folder: Path | None = None) -> Any:
    """The `torch.nn.Module` that the factory returns, with the weights loaded, in eval mode.

    A `./net.py` is relative to `folder`, or else to the weights' folder.

    Raises:
        ModelError: no such factory, or the weights are not this network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = (folder or Path()) / spec.path
    place, _, name = (spec.factory or "").partition(":")
    make = getattr(_module(place, folder or path.parent), name, None)
    if not callable(make):
        raise ModelError(f"factory: expected a function {name!r} in {place}, found none")
    if not path.is_file():
        raise ModelError(f"model: expected a file, found none at {path}")
    network = make()
    try:
        network.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ModelError(f"model: expected safetensors in {path.name} ({error})") from None
    except RuntimeError as error:  # torch lists every missing and unexpected name
        raise ModelError(f"model: expected the weights of {spec.factory}: {' '.join(str(error).split())}") from None
    return network.eval()


def _module(place: str, folder: Path) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ModelError(f"factory: expected a module {place!r} ({error})") from None
    path = folder / place
    found = importlib.util.spec_from_file_location(path.stem, path)
    if found is None or found.loader is None or not path.is_file():
        raise ModelError(f"factory: expected a Python file, found none at {path}")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
