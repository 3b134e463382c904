"""Clips are read as they are shown, and files that lie are named."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from moviegen_runtime.media import reading
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.media.writing import write_clip
from numpy.typing import NDArray


def grey_steps(count: int, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Frame i is grey of level 10 * i + 20."""
    levels = (10 * np.arange(count) + 20).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def level(frame: NDArray[np.uint8]) -> int:
    """Which frame of `grey_steps` this is."""
    return round((float(frame.mean()) - 20) / 10)


def encode(frames: NDArray[np.uint8], path: Path, codec: str = "libx264", fps: int = 8) -> None:
    """A file in the container of its suffix, by the library itself."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.avi", "clip.ts"])
def test_common_files_are_read(tmp_path: Path, name: str) -> None:
    encode(grey_steps(12), tmp_path / name, codec="mpeg4" if name.endswith("avi") else "libx264")
    clip = read_clip(tmp_path / name)
    assert clip.fps == pytest.approx(8.0)
    assert clip.frames.dtype == np.uint8
    assert [level(frame) for frame in clip.frames] == list(range(12))


@pytest.mark.parametrize(
    ("fps", "shown"),
    [
        (4.0, [0, 2, 4, 6, 8, 10]),
        (16.0, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11]),
        (8.0, list(range(12))),
        (6.0, [0, 1, 2, 4, 5, 6, 8, 9, 10]),
    ],
)
def test_another_rate_shows_what_the_file_shows_at_that_time(
    tmp_path: Path, fps: float, shown: list[int]
) -> None:
    encode(grey_steps(12), tmp_path / "clip.mp4")
    clip = read_clip(tmp_path / "clip.mp4", fps=fps)
    assert clip.fps == fps
    assert [level(frame) for frame in clip.frames] == shown


def test_reading_stops_where_it_is_told(tmp_path: Path) -> None:
    encode(grey_steps(12), tmp_path / "clip.mp4")
    assert [level(f) for f in read_clip(tmp_path / "clip.mp4", max_frames=3).frames] == [0, 1, 2]


def test_a_size_cuts_out_the_centre_and_resizes_it(tmp_path: Path) -> None:
    frames = np.zeros((2, 64, 128, 3), dtype=np.uint8)
    frames[:, :, 32:96] = (40, 200, 90)  # the centred square
    encode(frames, tmp_path / "clip.mp4")
    clip = read_clip(tmp_path / "clip.mp4", size=(16, 16))
    assert clip.frames.shape == (2, 16, 16, 3)
    inside = clip.frames[:, 2:-2, 2:-2].reshape(-1, 3).astype(int)
    assert np.abs(inside - (40, 200, 90)).max() < 8


def test_downsizing_averages_instead_of_picking(tmp_path: Path) -> None:
    frames = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    frames[:, :, ::2] = 255  # the finest stripes: their mean is grey
    write_clip(frames, 8.0, tmp_path / "stripes.png")
    small = read_clip(tmp_path / "stripes.png", size=(16, 16)).frames
    assert np.abs(small.astype(int) - 127).max() < 12


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, name: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 64, 96, 3), dtype=np.uint8)
    encode(noise, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=rf"{name} (is damaged|is cut off|has )"):
        read_clip(tmp_path / name)


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_a_cut_off_file_with_its_index_first_is_named(tmp_path: Path, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 64, 96, 3), dtype=np.uint8)
    write_clip(noise, 8.0, tmp_path / "clip.mp4")
    data = (tmp_path / "clip.mp4").read_bytes()
    (tmp_path / "clip.mp4").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=r"clip\.mp4 (is damaged|is cut off)"):
        read_clip(tmp_path / "clip.mp4")


@pytest.mark.parametrize("data", [b"", b"hello world" * 100, b"\x00" * 4096, b"\x00\x00\x00\x20ftypisom" * 9])
def test_what_is_no_video_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"clip\.mp4 (is damaged, cut off or not a video|has no video|is empty)"
    ):
        read_clip(tmp_path / "clip.mp4")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "nothing.mp4", "there is no file"), (tmp_path, "is a folder")):
        with pytest.raises(ValueError, match=said):
            read_clip(path)


@pytest.mark.parametrize(
    ("name", "codec", "sample_format"),
    [
        ("sound.mp4", "aac", "fltp"),
        ("sound.wav", "pcm_s16le", "s16"),
        ("sound.mp3", "libmp3lame", "fltp"),
        ("sound.flac", "flac", "s16"),
        ("sound.aac", "aac", "fltp"),
    ],
)
def test_a_sound_without_pictures_is_named(tmp_path: Path, name: str, codec: str, sample_format: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        silence = np.zeros((1, 1024), dtype=np.float32 if sample_format == "fltp" else np.int16)
        for start in range(0, 16000, 1024):
            frame = av.AudioFrame.from_ndarray(silence, format=sample_format, layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match="has no video stream"):
        read_clip(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    ["#EXTM3U\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"],
    ids=["hls", "concat"],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, text: str) -> None:
    encode(grey_steps(3), tmp_path / "other.mp4")
    (tmp_path / "list.mp4").write_text(text.format(tmp_path / "other.mp4"))
    with pytest.raises(ValueError, match=r"list\.mp4 is damaged, cut off or not a video"):
        read_clip(tmp_path / "list.mp4")


def test_what_a_file_may_ask_for_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.mp4"
    encode(grey_steps(12), path)
    monkeypatch.setattr(reading, "MAX_CLIP_PIXELS", 64 * 96 * 5)
    with pytest.raises(ValueError, match="more than 5 frames of 96x64, which is too much to hold"):
        read_clip(path)
    assert len(read_clip(path, max_frames=5).frames) == 5
    assert len(read_clip(path, size=(8, 8)).frames) == 12
    with pytest.raises(ValueError, match="more than 5 frames"):
        read_clip(path, fps=1000.0)
    monkeypatch.setattr(reading, "MAX_FRAME_PIXELS", 64 * 96 - 1)
    with pytest.raises(ValueError, match="claims frames of 96x64, which are too large"):
        read_clip(path)
