"""What an endpoint takes and gives, worked out once at load so that requests are checked against plain tuples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from gateway.config import Disclose, Limits
from gateway.errors import BadRequest, TooLarge
from gateway.wire.images import ImageCodec
from models.backend import ModelBackend, TensorSpec
from models.batch import InputSpec


@dataclass(frozen=True, slots=True)
class Field:
    """One input tensor. `row` is a row's shape, -1 where an axis is free; `missing` lets NaN through."""

    name: str
    datatype: str
    dtype: np.dtype[np.generic]
    row: tuple[int, ...]
    missing: bool = False
    image: ImageCodec | None = None

    @property
    def takes(self) -> str:
        """What a row may be sent as, for people."""
        return f"{self.datatype} or BYTES (a PNG or JPEG image a row)" if self.image else self.datatype


@dataclass(frozen=True, slots=True)
class Signature:
    """Names, shapes and limits of one endpoint. `verdict` and `p_value` are the names of the tensors that tell on rows.

    `extras` are the names of those that callers may see: neither with `disclose: none`.
    """

    endpoint: str
    version: str
    inputs: Mapping[str, Field]
    outputs: Mapping[str, TensorSpec]
    limits: Limits
    disclose: Disclose = "verdict"
    verdict: str = "verdict"
    p_value: str = "p_value"
    certified_class: str = "certified_class"
    certified_radius: str = "certified_radius"
    certifies: int = 0  # rows a request that may be certified
    ragged: bool = field(init=False)  # some axis is free: requests may differ in row shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "ragged", any(-1 in field.row for field in self.inputs.values()))

    @property
    def extras(self) -> tuple[str, ...]:
        """The tensors beside the model's own that a caller may see."""
        return {"none": (), "verdict": (self.verdict,), "scores": (self.verdict, self.p_value)}[self.disclose]

    def check_certify(self, rows: int) -> None:
        """Refuses to certify where the endpoint doesn't, or so many rows.

        Raises:
            BadRequest: the endpoint has no `smoothing`.
            TooLarge: more rows than it certifies at once.
        """
        if not self.certifies:
            raise BadRequest(f"certify: endpoint {self.endpoint!r} gives no certificates")
        if rows > self.certifies:
            raise TooLarge(f"certify: expected at most {self.certifies} rows, found {rows}")


def signature(
    endpoint: str,
    version: str,
    backend: ModelBackend,
    limits: Limits,
    disclose: Disclose,
    guard: Collection[str] = (),
    certifies: int = 0,
) -> Signature:
    """The signature of a loaded model. `guard` names the guarded inputs where there are several inputs."""
    guarded = _guarded(backend, guard)
    fields = {spec.name: _field(spec, backend.spec, spec.name in guarded, len(guarded) == 1) for spec in backend.inputs}
    outputs = {spec.name: spec for spec in backend.outputs}
    return Signature(
        endpoint,
        version,
        fields,
        outputs,
        limits,
        disclose,
        _beside("verdict", outputs),
        _beside("p_value", outputs),
        _beside("certified_class", outputs),
        _beside("certified_radius", outputs),
        certifies,
    )


def _beside(name: str, outputs: Collection[str]) -> str:
    """The name of a tensor that stands beside the model's own."""
    return name if name not in outputs else f"watchgate_{name}"


def _guarded(backend: ModelBackend, guard: Collection[str]) -> frozenset[str]:
    if guard:
        return frozenset(guard)
    if len(backend.inputs) == 1:
        return frozenset(spec.name for spec in backend.inputs)
    alike = [s.name for s in backend.inputs if s.dtype == backend.spec.dtype and _fits(s.shape[1:], backend.spec.shape)]
    return frozenset(alike[:1] or [s.name for s in backend.inputs if s.datatype != "BYTES"])  # else: numeric columns


def _fits(row: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(row) == len(shape) and all(a in (-1, b) for a, b in zip(row, shape, strict=True))


def _field(tensor: TensorSpec, spec: InputSpec, guarded: bool, alone: bool) -> Field:
    row = tensor.shape[1:]
    if not guarded:
        return Field(tensor.name, tensor.datatype, tensor.dtype, row)
    whole = alone and _fits(row, spec.shape)  # not one of several columns: the guarded row's own shape is known
    image = ImageCodec.of(spec) if whole else None
    return Field(tensor.name, tensor.datatype, tensor.dtype, spec.shape if whole else row, spec.missing, image)
