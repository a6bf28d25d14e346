"""How a model is named in a config, and the union of the kinds there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.backend import ModelBackend
from models.batch import NO_ARRAYS, Array, Arrays, Kind, Layout
from models.errors import ModelError

__all__ = [
    "AnyModelSpec",
    "InputConfig",
    "ModelSpec",
    "OnnxSpec",
    "OutputConfig",
    "OutputKind",
    "Provider",
    "PytorchSpec",
    "export_model",
    "load_model",
    "model_files",
    "resolve",
]

OutputKind = Literal["logits", "probabilities", "none"]
Provider = Literal["cpu", "cuda"]


class Strict(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputConfig(Strict):
    """What the config says of the guarded input; what it leaves out is read from the graph or the reference rows.

    `bounds` is the closed interval of its values. `shape` is a row's, without the batch axis.
    """

    bounds: tuple[float, float] | None = None
    kind: Kind | None = None
    layout: Layout | None = None
    shape: tuple[Annotated[int, Field(gt=0)], ...] | None = None
    missing: Literal["allow", "refuse"] = "refuse"
    columns: tuple[str, ...] = ()

    @field_validator("bounds")
    @classmethod
    def _ordered(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"expected [low, high] with low < high, found [{bounds[0]:g}, {bounds[1]:g}]")
        return bounds


class OutputConfig(Strict):
    """Which output holds the classes, and as what. `kind: none` is a model without classes (regression, embeddings).

    `logits` may name any tensor of an ONNX graph, the input of its last Softmax for one; callers never see it then.
    """

    logits: str | None = None
    kind: OutputKind | None = None

    @model_validator(mode="after")
    def _consistent(self) -> OutputConfig:
        if self.kind == "none" and self.logits is not None:
            raise ValueError(f"`kind: none` says that there are no classes, but `logits` names {self.logits!r}")
        return self


class ModelSpec(Strict):
    """What all kinds of model have in common.

    `guard` names the guarded input, or several columns that are guarded as one table. `features` is the name of the
    penultimate layer's tensor, `auto` or `none`; `layers` are those of intermediate layers that detectors look at, or
    `auto` for some spread over the depth. `providers` are tried in order; each must be available.
    """

    path: Path
    input: InputConfig = InputConfig()
    guard: tuple[str, ...] = ()
    outputs: OutputConfig = OutputConfig()
    features: str = "auto"
    layers: Literal["auto", "none"] | tuple[str, ...] = "none"
    threads: Annotated[int, Field(ge=1)] = 1
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)] = ("cpu",)

    @field_validator("guard", mode="before")
    @classmethod
    def _one_name(cls, guard: Any) -> Any:
        return (guard,) if isinstance(guard, str) else guard

    @property
    def is_resolved(self) -> bool:
        """Whether loading it needs no guess."""
        rows = self.guard and self.input.shape is not None and self.input.kind
        layout = self.input.kind != "image" or self.input.layout
        classes = self.outputs.kind == "none" or (self.outputs.kind and self.outputs.logits)
        return bool(rows and layout and classes) and "auto" not in (self.features, self.layers)


class OnnxSpec(ModelSpec):
    """An `.onnx` file, run by onnxruntime."""

    kind: Literal["onnx"] = "onnx"


class PytorchSpec(ModelSpec):
    """A `torch.export` file (`.pt2`), or `.safetensors` weights plus the `factory` of their network.

    `factory` is `./net.py:make` or `pkg.mod:make`. It is called at `calibrate` only, which exports a `.pt2`.
    """

    kind: Literal["pytorch"] = "pytorch"
    factory: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> PytorchSpec:
        suffix = self.path.suffix.lower()
        if suffix not in {".pt2", ".safetensors"}:
            found = "a pickle, which runs code when it is loaded" if suffix in _PICKLES else f"{self.path.name!r}"
            raise ValueError(f"path: expected a .pt2 (torch.export) or .safetensors file, found {found}")
        if (suffix == ".safetensors") != (self.factory is not None):
            raise ValueError(
                "factory: expected with a .safetensors file and only there (./net.py:make or pkg.mod:make)"
            )
        if self.factory is not None and ":" not in self.factory:
            raise ValueError(f"factory: expected ./net.py:make or pkg.mod:make, found {self.factory!r}")
        return self


_PICKLES = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt"})

AnyModelSpec = Annotated[OnnxSpec | PytorchSpec, Field(discriminator="kind")]


def load_model(spec: ModelSpec, folder: Path | None = None) -> ModelBackend:
    """The model, ready to answer. Relative paths are relative to `folder`.

    Raises:
        ModelError: the file is missing, unsafe or not what the spec says, or something can't be told without
            reference rows (`resolve` fills it in).
    """
    if isinstance(spec, OnnxSpec):
        from models.onnx import OnnxBackend

        return OnnxBackend(spec, folder)
    if isinstance(spec, PytorchSpec):
        from models.pytorch import PytorchBackend  # imports torch

        return PytorchBackend(spec, folder)
    raise ModelError(f"kind: expected onnx or pytorch, found {type(spec).__name__}")


def resolve(spec: ModelSpec, x: Array, folder: Path | None = None, extras: Arrays = NO_ARRAYS) -> ModelSpec:
    """The spec with everything stated that had to be guessed: row shape, kind, layout, guard, logits, features.

    `x` are a few reference rows of the guarded input, (n, *row shape); `extras` rows of the other inputs, if any.

    Raises:
        ModelError: something can't be told (the text names the key to set), or the rows don't fit the model.
    """
    if isinstance(spec, OnnxSpec):
        from models.onnx import resolve_onnx

        return resolve_onnx(spec, x, folder, extras)
    if isinstance(spec, PytorchSpec):
        from models.pytorch import resolve_pytorch  # imports torch

        return resolve_pytorch(spec, x, folder, extras)
    raise ModelError(f"kind: expected onnx or pytorch, found {type(spec).__name__}")


def export_model(spec: ModelSpec, sample: Arrays | Array, out: Path, folder: Path | None = None) -> ModelSpec:
    """The spec of a file that can be served: of `out`, a `.pt2` made there, for safetensors; any other as it is.

    `sample` has two rows or more of the network's only input, or of each by name. Runs the operator's own factory: at
    `calibrate`, never when serving.

    Raises:
        ModelError: the factory, the weights or the network can't be used.
    """
    if not isinstance(spec, PytorchSpec) or spec.factory is None:
        return spec
    from models.pytorch import export_pt2  # imports torch

    return export_pt2(spec, sample, out, folder)


def model_files(spec: ModelSpec, folder: Path | None = None) -> tuple[Path, ...]:
    """The model's file, and beside it the files that its weights live in; what a bundle must copy.

    Raises:
        ModelError: the file is missing or unsafe.
    """
    path = (folder or Path()) / spec.path
    if isinstance(spec, OnnxSpec):
        from models.onnx_screening import external_files

        return (path, *external_files(path))
    return (path,)
