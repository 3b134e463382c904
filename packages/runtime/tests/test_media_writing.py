"""What is written can be read again, by us and by others, with the same frames, times and colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from moviegen_core import VideoClip
from moviegen_runtime.media.frames import contact_sheet, default_display_scale, enlarged, to_uint8
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.media.writing import write_clip
from numpy.typing import NDArray
from PIL import Image


def moving_square(count: int = 13, height: int = 64, width: int = 96) -> NDArray[np.uint8]:
    """Three bands of strong colour, and a white square that moves by 4 pixels a frame."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    frames[:, :, : width // 3] = (200, 30, 40)
    frames[:, :, width // 3 : 2 * width // 3] = (30, 180, 50)
    frames[:, :, 2 * width // 3 :] = (40, 60, 210)
    for index in range(count):
        frames[index, 4 * index : 4 * index + 12, 8:20] = 255
    return frames


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def decode_by_ffmpeg(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """Frames as the ffmpeg program, a build of its own, decodes and colours them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (720, 96)])
def test_an_mp4_is_read_frame_for_frame_by_an_independent_reader(
    tmp_path: Path, height: int, width: int
) -> None:
    frames = moving_square(height=height, width=width)
    path = tmp_path / "clip.mp4"
    write_clip(frames, 8.0, path)
    decoded = decode_by_ffmpeg(path, height, width)
    assert decoded.shape == frames.shape
    for index, frame in enumerate(decoded):
        # Every frame is nearest to the one that was written at its place, and has its colours.
        distances = [np.abs(frame.astype(int) - other).mean() for other in frames]
        assert int(np.argmin(distances)) == index
    inside = decoded[:, 10:-10, width // 3 + 6 : 2 * width // 3 - 6].reshape(-1, 3).astype(float)
    assert np.abs(inside.mean(axis=0) - (30, 180, 50)).max() < 3


@pytest.mark.parametrize("fps", [8.0, 24.0, 30000 / 1001])
def test_an_mp4_has_its_rate_and_length(tmp_path: Path, fps: float) -> None:
    frames = enlarged(moving_square(), 4)
    path = tmp_path / "clip.mp4"
    write_clip(frames, fps, path)
    read = read_clip(path)
    assert read.fps == pytest.approx(fps, rel=1e-6)
    assert len(read.frames) == 13
    assert psnr(read.frames, frames) > 40


def test_an_mp4_plays_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(moving_square(), 8.0, path)
    result = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)], capture_output=True, text=True
    )
    assert "Video: h264" in result.stderr
    assert "yuv420p(tv, bt470bg/bt709/bt709" in result.stderr
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        write_clip(moving_square(), 8.0, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


WRITE_NOISE = """
import sys
from pathlib import Path
import numpy as np
from moviegen_runtime.media.writing import write_clip
noise = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), dtype=np.uint8)
noise[:, 20:40, 20:40] = 200
write_clip(noise, 8.0, Path(sys.argv[1]))
"""


def test_what_lay_in_memory_before_does_not_reach_an_mp4(tmp_path: Path) -> None:
    """glibc fills what it gives out as it is told; elsewhere the two processes just do the same."""
    paths = {fill: tmp_path / f"{fill}.mp4" for fill in ("85", "170")}
    for fill, path in paths.items():
        command = [sys.executable, "-c", WRITE_NOISE, str(path)]
        subprocess.run(command, check=True, env={**os.environ, "MALLOC_PERTURB_": fill})
    first, second = (path.read_bytes() for path in paths.values())
    assert first == second


def test_a_gif_keeps_its_frames_and_its_time(tmp_path: Path) -> None:
    frames = moving_square()
    path = tmp_path / "clip.gif"
    write_clip(frames, 8.0, path)
    with Image.open(path) as gif:
        assert gif.n_frames == 13
        durations = []
        for index in range(gif.n_frames):
            gif.seek(index)
            durations.append(gif.info["duration"])
            assert np.array_equal(np.asarray(gif.convert("RGB")), frames[index])
    assert abs(sum(durations) - 1000 * 13 / 8) <= 10


def test_a_png_is_the_frame_itself(tmp_path: Path) -> None:
    frames = moving_square(1)
    path = tmp_path / "picture.png"
    write_clip(frames, 8.0, path)
    assert np.array_equal(np.asarray(Image.open(path)), frames[0])
    assert np.array_equal(read_clip(path).frames, frames)


def test_a_one_frame_mp4_is_read_as_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "picture.mp4"
    write_clip(moving_square(1), 8.0, path)
    assert read_clip(path).frames.shape == (1, 64, 96, 3)


@pytest.mark.parametrize(
    ("name", "count", "width", "fps", "sentence"),
    [
        ("clip.avi", 2, 96, 8.0, r"'clip.avi' must end in one of \.mp4, \.gif, \.png"),
        ("clip.mp4", 2, 95, 8.0, "even width and height, not 95x64"),
        ("clip.png", 2, 96, 8.0, "one frame, not 2"),
        ("clip.gif", 2, 96, 60.0, "at most 50 frames a second, not 60"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    tmp_path: Path, name: str, count: int, width: int, fps: float, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_clip(moving_square(count, width=width), fps, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_values_are_clamped_and_rounded_once() -> None:
    values = torch.tensor([-1.5, -1.0, -1 / 255, 0.004, 1.0, 7.0])
    clip = VideoClip(values.view(1, 1, 1, 1, 6).expand(1, 3, 1, 1, 6), fps=8.0)
    assert to_uint8(clip)[0][0, 0, :, 0].tolist() == [0, 0, 127, 128, 255, 255]


def test_bytes_survive_the_way_through_floats() -> None:
    every = torch.arange(256).view(1, 1, 1, 16, 16).expand(1, 3, 1, 16, 16)
    clip = VideoClip(every / 127.5 - 1.0, fps=8.0)
    assert np.array_equal(to_uint8(clip)[0][0, :, :, 1].reshape(-1), np.arange(256))


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_uint8(VideoClip(torch.full((1, 3, 1, 8, 8), torch.nan), fps=8.0))


def test_enlarging_can_be_undone() -> None:
    frames = moving_square()
    large = enlarged(frames, 4)
    assert large.shape == (13, 256, 384, 3)
    assert np.array_equal(large[:, 1::4, 2::4], frames)
    assert default_display_scale(64, 127) == 4
    assert default_display_scale(64, 128) == 1


def test_a_contact_sheet_has_a_row_a_clip_from_first_to_last_frame() -> None:
    clip = moving_square()
    sheet = contact_sheet([clip, clip[::-1]], columns=4)
    assert sheet.shape == (2 * 64 + 2, 4 * 96 + 3 * 2, 3)
    assert np.array_equal(sheet[:64, :96], clip[0])
    assert np.array_equal(sheet[:64, -96:], clip[-1])
    assert np.array_equal(sheet[66:, :96], clip[-1])
    assert (sheet[64:66] == 255).all()
    assert contact_sheet([clip[:1]], columns=4).shape == (64, 96, 3)
