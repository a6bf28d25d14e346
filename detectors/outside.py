"""What tells whether Python code that is not ours has changed: found without importing it."""

from __future__ import annotations

from hashlib import sha256
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from defenses.base import Unsuitable


def module_digest(name: str) -> str:
    """The digest of the files that importing `pkg.mod` runs first: those of its packages, and its own.

    What these import in turn is not looked at.

    Raises:
        Unsuitable: there is no such module, or it has no file.
    """
    found = sha256()
    for spec in _specs(name):
        if spec.submodule_search_locations is not None and spec.origin is None:  # a folder without __init__.py
            continue
        if not spec.origin or not Path(spec.origin).is_file():
            raise Unsuitable(f"module {spec.name!r} has no file that could be checked for changes")
        found.update(Path(spec.origin).read_bytes())
    return f"sha256:{found.hexdigest()}"


def release(package: str) -> str:
    """The installed version of a package.

    Raises:
        Unsuitable: it is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        raise Unsuitable(f"{package} is not installed") from None


def _specs(name: str) -> list[ModuleSpec]:
    """Those of `pkg`, `pkg.sub`, `pkg.sub.mod`."""
    specs: list[ModuleSpec] = []
    where: list[str] | None = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:depth]), where)
        if spec is None:
            raise Unsuitable(f"no module {name!r} on the Python path")
        specs.append(spec)
        where = list(spec.submodule_search_locations or ())
    return specs
