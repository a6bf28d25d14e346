"""A detector of the operator's own: `kind: custom, spec: "pkg.mod:MySpec"`; all other keys go to that class."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from pydantic import ConfigDict, PrivateAttr, ValidationError, ValidationInfo, model_validator

from detectors.base import Detector, DetectorSpec, Need, Reference, Unsuitable
from detectors.laws import refuse_lawless
from detectors.outside import module_digest
from models.backend import Outputs
from models.batch import Arrays, InputSpec

NO_IMPORTS: Mapping[str, Any] = {"imports": False}  # a pydantic context: nobody's code runs while a config is read


class CustomSpec(DetectorSpec):
    """Stands for the class that it names.

    Parsing one imports that module: parse only what the operator wrote. In the context `NO_IMPORTS` the module is
    imported when it is first needed, which gives `serve` the time to look whether it is still the same.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: Literal["custom"] = "custom"
    spec: str
    _own: DetectorSpec | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> CustomSpec:
        _parts(self.spec)
        if (info.context or {}).get("imports", True):
            self._own = self._loaded()  # its errors carry the keys they are about
        return self

    def code(self) -> Mapping[str, str]:
        """The digest of the module's file."""
        module, _ = _parts(self.spec)
        return {module: module_digest(module)}

    def fit(self, reference: Reference) -> Arrays:
        """As the named class does.

        Raises:
            Unsuitable: what it makes breaks a law, scores that depend on other rows for one.
        """
        arrays = self.own.fit(reference)
        refuse_lawless(self.spec, self.own.build(arrays, reference.spec), reference)
        return arrays

    def build(self, arrays: Arrays, spec: InputSpec) -> Detector:
        """As the named class does."""
        return self.own.build(arrays, spec)

    def notes(self, arrays: Arrays, spec: InputSpec) -> tuple[str, ...]:
        """As the named class does."""
        return self.own.notes(arrays, spec)

    def needed(self) -> frozenset[Need]:
        """As the named class does."""
        return self.own.needed()

    def refuse_unsuitable(self, spec: InputSpec, outputs: Outputs) -> None:
        """As the named class does."""
        self.own.refuse_unsuitable(spec, outputs)

    @property
    def own(self) -> DetectorSpec:
        """The operator's own spec.

        Raises:
            Unsuitable: its module can't be imported, or it takes no such keys.
        """
        if self._own is None:
            try:
                self._own = self._loaded()
            except (ValidationError, ValueError) as error:
                raise Unsuitable(" ".join(str(error).split())) from error
        return self._own

    def _loaded(self) -> DetectorSpec:
        own = _spec_class(self.spec)
        values: dict[str, Any] = dict(self.model_extra or {})
        if own.model_fields["kind"].is_required():
            values["kind"] = "custom"
        return own.model_validate(values)


def _parts(path: str) -> tuple[str, str]:
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"expected `package.module:ClassName`, found {path!r}")
    return module, name


def _spec_class(path: str) -> type[DetectorSpec]:
    module, name = _parts(path)
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
