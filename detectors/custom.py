"""A detector of the operator's own: `kind: custom, spec: "pkg.mod:MySpec"`; all other keys go to that class."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from pydantic import ConfigDict, PrivateAttr, model_validator

from detectors.base import Detector, DetectorSpec, Need, Reference
from models.backend import Outputs
from models.batch import Arrays, InputSpec


class CustomSpec(DetectorSpec):
    """Stands for the class that it names. Parsing one imports that module: parse only what the operator wrote."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Literal["custom"] = "custom"
    spec: str
    _own: DetectorSpec = PrivateAttr()

    @model_validator(mode="after")
    def _load(self) -> CustomSpec:
        own = _spec_class(self.spec)
        values: dict[str, Any] = dict(self.model_extra or {})
        if own.model_fields["kind"].is_required():
            values["kind"] = "custom"
        self._own = own.model_validate(values)  # its errors carry the keys they are about
        return self

    def fit(self, reference: Reference) -> Arrays:
        """As the named class does."""
        return self._own.fit(reference)

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """As the named class does."""
        return self._own.build(arrays, spec)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """As the named class does."""
        return self._own.notes(arrays, spec)

    @property
    def cost(self) -> float:
        """As the named class says."""
        return self._own.cost

    def needed(self) -> frozenset[Need]:
        """As the named class does."""
        return self._own.needed()

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """As the named class does."""
        self._own.refuse_unsuitable(spec, outputs)


def _spec_class(path: str) -> type[DetectorSpec]:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"expected `package.module:ClassName`, found {path!r}")
    try:
        found = getattr(import_module(module), name)
    except ImportError as exc:
        raise ValueError(f"can't import {module!r}: {exc}") from exc
    except AttributeError as exc:
        raise ValueError(f"{module!r} has no {name!r}") from exc
    except Exception as exc:
        raise ValueError(f"importing {module!r} raised {type(exc).__name__}: {exc}") from exc
    if not (isinstance(found, type) and issubclass(found, DetectorSpec)):
        raise ValueError(f"{path!r} is no subclass of detectors.base.DetectorSpec")
    return found
