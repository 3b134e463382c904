"""Packing: frames come through exactly, broken videos are named, an interrupted packing goes on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from moviegen_runtime.data import pack
from moviegen_runtime.data.clips import ShardedClips
from moviegen_runtime.data.pack import FileOutcome, PackOptions, files_done, pack_clips, read_list
from numpy.typing import NDArray

OPTIONS = PackOptions(frames=4, fps=8.0, height=16, width=24, clips_per_video=2)


def pixels(seed: int, frames: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (frames, 16, 24, 3), dtype=np.uint8)


def write_video(path: Path, frames: NDArray[np.uint8], fps: int = 8) -> None:
    """Lossless, so that what is packed can be compared exactly."""
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(fps))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_list(folder: Path, rows: list[tuple[str, str]]) -> Path:
    lines = ["path,caption", *(f'{path},"{caption}"' for path, caption in rows)]
    (folder / "clips.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "clips.csv"


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A list of a long, a short and three broken videos."""
    (tmp_path / "v").mkdir()
    write_video(tmp_path / "v/long.mkv", pixels(0, 11))
    write_video(tmp_path / "v/five.mkv", pixels(1, 5))
    write_video(tmp_path / "v/short.mkv", pixels(2, 3))
    (tmp_path / "v/text.mkv").write_text("not a video")
    return write_list(
        tmp_path,
        [
            ("v/long.mkv", "a long one, with a comma"),
            ("v/text.mkv", "no video"),
            ("v/five.mkv", "five frames"),
            ("v/short.mkv", "three frames"),
            ("v/gone.mkv", "not there"),
            (str(tmp_path / "v/five.mkv"), " "),
        ],
    )


def packed(listing: Path, folder: Path, options: PackOptions = OPTIONS) -> list[FileOutcome]:
    outcomes: list[FileOutcome] = []
    count = pack_clips(read_list(listing), folder, options, outcomes.append)
    assert count == len(ShardedClips(folder))
    return outcomes


def test_frames_come_through_exactly(videos: Path, tmp_path: Path) -> None:
    packed(videos, tmp_path / "out")
    clips = ShardedClips(tmp_path / "out")
    assert [clip.caption for clip in (clips[0], clips[1], clips[2])] == [
        "a long one, with a comma",
        "a long one, with a comma",
        "five frames",
    ]
    np.testing.assert_array_equal(clips[0].frames, pixels(0, 11)[:4])
    np.testing.assert_array_equal(clips[1].frames, pixels(0, 11)[4:8])
    np.testing.assert_array_equal(clips[2].frames, pixels(1, 5)[:4])
    assert {clips[index].fps for index in range(3)} == {8.0}


def test_broken_videos_are_named_and_skipped(videos: Path, tmp_path: Path) -> None:
    outcomes = packed(videos, tmp_path / "out")
    assert [outcome.clips for outcome in outcomes] == [2, 0, 1, 0, 0, 0]
    problems = {outcome.file.line: outcome.problem for outcome in outcomes if outcome.problem is not None}
    assert sorted(problems) == [3, 5, 6, 7]
    assert "text.mkv" in problems[3]
    assert problems[5].endswith("short.mkv has 3 frames at 8 fps; a clip needs 4")
    assert "gone.mkv" in problems[6]
    assert problems[7].endswith("five.mkv has no caption")


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    write_video(tmp_path / "fast.mkv", pixels(0, 8), fps=16)
    packed(write_list(tmp_path, [("fast.mkv", "every other frame")]), tmp_path / "out")
    np.testing.assert_array_equal(ShardedClips(tmp_path / "out")[0].frames, pixels(0, 8)[::2])


def test_an_interrupted_packing_goes_on_to_the_same_files(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack, "_MAX_FILES_PER_SHARD", 2)
    packed(videos, tmp_path / "whole")
    listing, folder, told = read_list(videos), tmp_path / "parts", []

    def stop_at_the_third(outcome: FileOutcome) -> None:
        told.append(outcome.file.line)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_clips(listing, folder, OPTIONS, stop_at_the_third)
    assert files_done(listing, folder, OPTIONS) == 2
    assert pack_clips(listing, folder, OPTIONS, lambda outcome: told.append(outcome.file.line)) == 3
    assert told == [2, 3, 4, 4, 5, 6, 7]
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert len(whole) == 7  # three shards with an index each, and the header


def test_packing_a_complete_set_again_changes_nothing(videos: Path, tmp_path: Path) -> None:
    packed(videos, tmp_path / "out")
    assert packed(videos, tmp_path / "out") == []


def test_another_list_is_refused(videos: Path, tmp_path: Path) -> None:
    packed(videos, tmp_path / "out")
    videos.write_text(videos.read_text() + "\nv/five.mkv,again")
    with pytest.raises(ValueError, match="was begun with list"):
        packed(videos, tmp_path / "out")


def test_packing_nothing_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    listing = write_list(tmp_path, [("gone.mkv", "not there")])
    with pytest.raises(ValueError, match="none of the 1 files gave a clip"):
        packed(listing, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"path,text\nx,y\n", "lacks caption"),
        (b"", "lacks caption"),
        (b"path,caption\n", "names no videos"),
        (b'path,caption\nx,"y\n', "not valid CSV"),
        (b"path,caption\n\xff\xfe,x\n", "UTF-8"),
        (b"path,caption\nx," + b"y" * 200_000, "not valid CSV"),
    ],
)
def test_a_bad_list_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "clips.csv").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_list(tmp_path / "clips.csv")


def test_a_list_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    text = 'caption,notes,path\r\n"two\r\nlines",x,a.mp4\r\nshort,,\r\n'
    (tmp_path / "clips.csv").write_bytes(text.encode("utf-8-sig"))
    first, second = read_list(tmp_path / "clips.csv").files
    assert (first.path, first.caption, second.caption) == (tmp_path / "a.mp4", "two\r\nlines", "short")


def test_a_line_with_fewer_columns_is_named_and_skipped(videos: Path, tmp_path: Path) -> None:
    videos.write_text(videos.read_text() + "\nv/five.mkv\n")
    assert packed(videos, tmp_path / "out")[-1].problem == f"{tmp_path}/v/five.mkv has no caption"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frames": 0}, "at least 1"),
        ({"clips_per_video": 0}, "at least 1"),
        ({"fps": 0.0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"height": 20}, "multiples of 8"),
        ({"frames": 1 << 20, "height": 512}, "too large for a shard"),
    ],
)
def test_bad_options_are_refused(change: dict[str, float], sentence: str) -> None:
    values = {"frames": 4, "fps": 8.0, "height": 16, "width": 24, "clips_per_video": 2}
    with pytest.raises(ValueError, match=sentence):
        PackOptions(**{**values, **change})  # type: ignore[arg-type]
