"""What a number was measured on: no host names, no paths."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def facts(packages: Sequence[str]) -> dict[str, Any]:
    """Cores, processor, load, Python, the versions of these packages, and the date (UTC)."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "load_1min_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
    }


def sentence(known: dict[str, Any]) -> str:
    """The facts in one line."""
    packages = ", ".join(f"{name} {number}" for name, number in known["packages"].items())
    return (
        f"{known['date']}; {known['cores']} cores of {known['processor']} ({known['system']}), load before the run "
        f"{known['load_1min_before']}; Python {known['python']}, {packages}."
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
