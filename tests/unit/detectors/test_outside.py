"""Code that is not ours is told apart without running it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from defenses.base import Unsuitable
from detectors.outside import module_digest, release


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_change_is_told_and_nothing_is_run(home: Path) -> None:
    package = home / "outside_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('was run')")
    (package / "mod.py").write_text("raise SystemExit('was run')")
    found = {module_digest("outside_package.mod")}
    assert found == {module_digest("outside_package.mod")}
    (package / "mod.py").write_text("x = 1")
    found.add(module_digest("outside_package.mod"))
    (package / "__init__.py").write_text("")
    found.add(module_digest("outside_package.mod"))
    assert len(found) == 3
    assert all(len(digest) == len("sha256:") + 64 for digest in found)
    assert "outside_package" not in sys.modules


def test_what_has_no_file_is_refused(home: Path) -> None:
    with pytest.raises(Unsuitable, match=r"no module 'outside_none.mod' on the Python path"):
        module_digest("outside_none.mod")
    (home / "outside_folder").mkdir()
    (home / "outside_folder" / "mod.py").write_text("")
    assert module_digest("outside_folder.mod").startswith("sha256:")


def test_a_release() -> None:
    assert release("numpy")[0].isdigit()
    with pytest.raises(Unsuitable, match="no-such-package is not installed"):
        release("no-such-package")
