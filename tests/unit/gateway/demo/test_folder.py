from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo.folder import MADE, MARK, Folder
from gateway.errors import OperatorError


def test_a_new_folder_is_made_and_marked(tmp_path: Path) -> None:
    folder = Folder.prepare(tmp_path / "a/b")
    assert (folder.path / MARK).is_file()
    assert folder / "digits.onnx" == tmp_path / "a/b/digits.onnx"


def test_a_second_demo_replaces_what_the_first_made_and_nothing_else(tmp_path: Path) -> None:
    folder = Folder.prepare(tmp_path)
    (folder / "bundle").mkdir()
    (folder / "bundle" / "old").write_text("old")
    (folder / "digits.onnx").write_text("old")
    (tmp_path / "mine.txt").write_text("mine")
    Folder.prepare(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK, "mine.txt"]


def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    folder = Folder.prepare(tmp_path / "demo")
    (folder / "state").symlink_to(elsewhere)
    Folder.prepare(tmp_path / "demo")
    assert (elsewhere / "kept").read_text() == "kept"
    assert not (tmp_path / "demo/state").exists()


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "digits.onnx").write_text("mine")
    with pytest.raises(OperatorError, match="holds files that no demo made; choose another --dir"):
        Folder.prepare(tmp_path)
    assert (tmp_path / "digits.onnx").read_text() == "mine"
    with pytest.raises(OperatorError, match="expected a folder, found a file"):
        Folder.prepare(tmp_path / "digits.onnx")


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    assert Folder.prepare(tmp_path).path == tmp_path


def test_only_files_that_a_later_demo_replaces_may_be_written(tmp_path: Path) -> None:
    folder = Folder.prepare(tmp_path)
    assert {folder / name for name in MADE} == {tmp_path / name for name in MADE}
    with pytest.raises(ValueError, match="not one of the demo's files"):
        folder / "other"
