"""Archives: what is not the published file is refused, and what is in them is found."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moviegen_clips import archives, prepare
from moviegen_clips.archives import Archive, obtain
from moviegen_clips.material import RATE, SIDE
from PIL import Image

GOOD = Archive("a.whl", hashlib.sha256(b"content").hexdigest(), "pip", "a==1", "CC0")


def said(_: str) -> None:
    """Somebody who listens."""


def test_the_published_archive_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"content")
    assert obtain(GOOD, tmp_path, said) == tmp_path / "a.whl"


def test_another_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"other")
    with pytest.raises(ValueError, match="is not the published archive"):
        obtain(GOOD, tmp_path, said)


def test_a_missing_tool_is_named_with_the_file_to_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives.shutil, "which", lambda _: None)
    with pytest.raises(ValueError, match=r"npm is needed to fetch a==1: or put a\.whl into"):
        obtain(replace(GOOD, tool="npm"), tmp_path, said)


def test_every_archive_has_a_hash_and_a_licence() -> None:
    assert len({archive.file for archive in archives.ARCHIVES}) == len(archives.ARCHIVES)
    for archive in archives.ARCHIVES:
        assert len(bytes.fromhex(archive.sha256)) == 32
        assert archive.licence
        assert not any(word in archive.licence for word in ("GPL", "-SA"))


def test_a_debian_package_gives_its_files(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        member = tarfile.TarInfo("./usr/share/picture.svg")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"<svg>"))
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", data.getvalue())]
    package = b"!<arch>\n"
    for name, content in parts:
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        package += b"\n" * (len(content) % 2)
    path = tmp_path / "a.deb"
    path.write_bytes(package)
    assert list(prepare._deb_members(path)) == [("./usr/share/picture.svg", b"<svg>")]
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match="is not a Debian package"):
        list(prepare._deb_members(path))


def test_an_animation_keeps_every_second_picture_premultiplied() -> None:
    pictures = [Image.new("RGBA", (256, 256), (200, 40 * i, 0, 128)) for i in range(5)]
    file = io.BytesIO()
    pictures[0].save(file, "webp", save_all=True, append_images=pictures[1:], lossless=True, duration=42)
    kept = prepare._animation(file.getvalue(), "a.webp")
    assert RATE == 12
    assert kept.shape == (3, SIDE, SIDE, 4)
    np.testing.assert_allclose(kept[:, 5, 5, 1], [0, 40, 80], atol=2)
    np.testing.assert_allclose(kept[:, 5, 5, [0, 3]], [[100, 128]] * 3, atol=2)
    with pytest.raises(ValueError, match="is not a picture that Pillow reads"):
        prepare._animation(b"no picture", "a.webp")


def test_the_mark_for_colour_makes_no_other_emoji() -> None:
    assert prepare._code("2764-FE0F") == prepare._code("2764") == "2764"
