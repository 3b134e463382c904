"""`replacing` is all or nothing, for files and for folders, whatever ends the writing."""

from __future__ import annotations

from pathlib import Path

import pytest
from moviegen_core import replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_with_its_own_suffix_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    with replacing(target) as aside:
        assert aside.name == "clip.mp4"
        aside.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["clip.mp4"]


def test_a_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"old")
    with replacing(target) as aside:
        aside.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_a_folder_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    target.mkdir()
    (target / "stale").write_text("old")
    with replacing(target) as aside:
        aside.mkdir()
        (aside / "fresh").write_text("new")
    assert names(target) == ["fresh"]
    assert names(tmp_path) == ["weights"]


def write_half(path: Path, interruption: type[BaseException]) -> None:
    path.write_bytes(b"half")
    raise interruption


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("existed", [True, False])
def test_an_interrupted_write_changes_nothing(
    tmp_path: Path, interruption: type[BaseException], existed: bool
) -> None:
    target = tmp_path / "clip.mp4"
    if existed:
        target.write_bytes(b"old")
    with pytest.raises(interruption), replacing(target) as aside:
        write_half(aside, interruption)
    assert names(tmp_path) == (["clip.mp4"] if existed else [])
    assert not existed or target.read_bytes() == b"old"


@pytest.mark.parametrize("interruption", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [False, True])
def test_an_interruption_between_the_two_renames_of_a_folder_keeps_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException], after: bool
) -> None:
    target = tmp_path / "weights"
    target.mkdir()
    (target / "kept").write_text("old")
    rename = Path.replace

    def interrupted(source: Path, destination: Path) -> None:
        """Fail at the move of the old folder, just before or just after it has happened."""
        if source != target:
            rename(source, destination)
            return
        if after:
            rename(source, destination)
        raise interruption

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(interruption), replacing(target) as aside:
        aside.mkdir()
    assert (target / "kept").read_text() == "old"
    assert names(tmp_path) == ["weights"]


def test_a_failed_second_rename_gives_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "weights"
    target.mkdir()
    (target / "kept").write_text("old")
    rename = Path.replace

    def refuse_the_new_folder(source: Path, destination: Path) -> None:
        if source.name == "weights" and destination == target:
            raise PermissionError("held open by another process")
        rename(source, destination)

    monkeypatch.setattr(Path, "replace", refuse_the_new_folder)
    with pytest.raises(PermissionError), replacing(target) as aside:
        aside.mkdir()
    assert (target / "kept").read_text() == "old"


def test_writing_nothing_is_an_error_and_keeps_the_old(tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["clip.mp4"]


def test_a_missing_folder_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "nowhere" / "clip.mp4"):
        raise AssertionError("the body must not run")
