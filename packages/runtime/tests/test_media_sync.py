"""A click in the sound and a flash in the picture stay together, however the film got its sound."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from av.codec.context import Flags
from moviegen_runtime.media import film_copying
from moviegen_runtime.media.film import open_film
from moviegen_runtime.media.film_copying import can_copy, copy_film
from moviegen_runtime.media.film_sound import SampledSound
from moviegen_runtime.media.film_writing import create_film
from moviegen_runtime.media.sound import RATE, Samples
from numpy.typing import NDArray

MakeFilm = Callable[..., Path]
Adding = Callable[[Path, Path, SampledSound], None]

TIMINGS = {
    "8": (Fraction(1, 8), range(16)),
    "23.976": (Fraction(1001, 24000), range(48)),
    "24": (Fraction(1, 24), range(48)),
    "60": (Fraction(1, 60), range(120)),
    "uneven": (Fraction(1, 1000), [0, 40, 80, 81, 200, 1000, 1033, 1100, 1500, 1700, 1999]),
}
TOGETHER = 1024 / RATE


def flashing(
    path: Path, times: Sequence[int], unit: Fraction, flash: int, codec: str = "libx264", begin: int = 0
) -> Path:
    """A dark film of 64x48 whose frame `flash` is white."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(24))
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        video.codec_context.time_base = unit
        video.codec_context.flags |= Flags.frame_duration
        gaps = [after - before for before, after in pairwise(times)]
        for index, (time, gap) in enumerate(zip(times, [*gaps, gaps[-1]], strict=True)):
            picture = np.full((48, 64, 3), 230 if index == flash else 30, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base, frame.duration = time + begin, unit, gap
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return path


def click(at: Fraction, seconds: Fraction, channels: int = 1) -> SampledSound:
    """A click, as a sound in pieces of no round length."""
    sound = np.zeros((channels, round(seconds * RATE)), np.float32)
    sound[:, round(at * RATE)] = 0.9

    def pieces() -> Iterator[Samples]:
        for start in range(0, sound.shape[1], 1700):
            yield sound[:, start : start + 1700]

    return SampledSound(pieces(), channels, RATE)


def by_copying(path: Path, source: Path, sound: SampledSound) -> None:
    assert can_copy(source)
    with open_film(source, with_sound=False) as film:
        origin = film.format.origin
    copy_film(path, source, origin, sound)


def by_coding(path: Path, source: Path, sound: SampledSound) -> None:
    with (
        open_film(source, with_sound=False) as film,
        create_film(path, film.format, sound) as writer,
    ):
        for frame in film.frames:
            writer.write(frame.picture, frame.time, frame.duration)
        writer.finish()


def heard_at(path: Path) -> float:
    """When the click is heard, as this library reads it."""
    with av.open(str(path)) as container:
        parts = [
            (frame.pts * frame.time_base, np.abs(frame.to_ndarray()).max(axis=0))
            for frame in container.decode(audio=0)
        ]
    start, levels = max(parts, key=lambda part: float(part[1].max()))
    return float(start) + int(levels.argmax()) / RATE


def seen_at(path: Path) -> float:
    with av.open(str(path)) as container:
        frames = [
            (float(f.time), float(f.to_ndarray(format="gray").mean())) for f in container.decode(video=0)
        ]
    return max(frames, key=lambda frame: frame[1])[0]


def heard(path: Path) -> NDArray[np.float32]:
    """Samples from the time 0 of the film on, as the ffmpeg program, a build of its own, reads them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-af", "aresample=async=1"]
    command += ["-f", "f32le", "-ac", "1", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, dtype=np.float32)


@pytest.mark.parametrize("adding", [by_copying, by_coding])
@pytest.mark.parametrize("timing", TIMINGS)
def test_a_click_and_a_flash_stay_together(tmp_path: Path, timing: str, adding: Adding) -> None:
    unit, times = TIMINGS[timing]
    flash = len(times) * 2 // 3
    at, end = times[flash] * unit, (2 * times[-1] - times[-2]) * unit
    source = flashing(tmp_path / "in.mp4", times, unit, flash)
    adding(tmp_path / "out.mp4", source, click(at, end))
    assert seen_at(tmp_path / "out.mp4") == pytest.approx(float(at), abs=1e-4)
    assert heard_at(tmp_path / "out.mp4") == pytest.approx(float(at), abs=2 / RATE)
    assert abs(heard_at(tmp_path / "out.mp4") - seen_at(tmp_path / "out.mp4")) < TOGETHER
    sound = heard(tmp_path / "out.mp4")
    assert abs(int(np.abs(sound).argmax()) - round(at * RATE)) <= 2
    assert abs(len(sound) - round(end * RATE)) <= 1024


@pytest.mark.parametrize("begin", [0, 5, 100])
@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.ts", "in.mov"])
def test_in_any_container_that_begins_at_any_time(tmp_path: Path, name: str, begin: int) -> None:
    unit, times = TIMINGS["24"]
    source = flashing(tmp_path / name, times, unit, 30, begin=begin)
    by_copying(tmp_path / "out.mp4", source, click(30 * unit, 48 * unit))
    assert seen_at(tmp_path / "out.mp4") == pytest.approx(float(30 * unit), abs=2e-3)
    assert heard_at(tmp_path / "out.mp4") == pytest.approx(float(30 * unit), abs=2 / RATE)


def test_copied_packets_are_the_source_s(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4", sound="aac", rotation=90)
    by_copying(tmp_path / "out.mp4", source, click(Fraction(1, 2), Fraction(3, 2), channels=2))
    given = []
    for name in ("in.mp4", "out.mp4"):
        with av.open(str(tmp_path / name)) as container:
            assert len(container.streams.audio) == 1
            packets = [packet for packet in container.demux(video=0) if packet.size]
            given.append([(bytes(packet), packet.pts * packet.time_base) for packet in packets])
        with av.open(str(tmp_path / name)) as container:
            assert next(container.decode(video=0)).rotation == 90
    assert given[0] == given[1]
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", RATE, 2)


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9", "libsvtav1"])
def test_newer_codecs_are_copied_too(tmp_path: Path, codec: str) -> None:
    unit, times = TIMINGS["24"]
    source = flashing(tmp_path / "in.mkv", times, unit, 30, codec=codec)
    by_copying(tmp_path / "out.mp4", source, click(30 * unit, 48 * unit))
    assert seen_at(tmp_path / "out.mp4") == pytest.approx(float(30 * unit), abs=2e-3)
    assert heard_at(tmp_path / "out.mp4") == pytest.approx(float(30 * unit), abs=2 / RATE)


@pytest.mark.parametrize(
    ("name", "codec"), [("in.avi", "mpeg4"), ("in.webm", "libvpx"), ("in.avi", "libx264")]
)
def test_what_an_mp4_cannot_show_as_it_is_is_coded_anew(tmp_path: Path, name: str, codec: str) -> None:
    unit, times = TIMINGS["24"]
    source = flashing(tmp_path / name, times, unit, 30, codec=codec)
    assert not can_copy(source)


def test_a_film_cut_by_an_edit_list_is_coded_anew(tmp_path: Path) -> None:
    unit, times = TIMINGS["24"]
    flashing(tmp_path / "whole.mp4", times, unit, 30)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-ss",
        "0.5",
        "-i",
        str(tmp_path / "whole.mp4"),
    ]
    subprocess.run([*command, "-c", "copy", str(tmp_path / "in.mp4")], check=True)
    assert not can_copy(tmp_path / "in.mp4")
    by_coding(tmp_path / "out.mp4", tmp_path / "in.mp4", click(18 * unit, 36 * unit))
    assert seen_at(tmp_path / "out.mp4") == pytest.approx(float(18 * unit), abs=1e-3)
    assert heard_at(tmp_path / "out.mp4") == pytest.approx(float(18 * unit), abs=2 / RATE)


def test_what_an_mp4_does_not_take_on_trial_is_coded_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, times = TIMINGS["24"]
    source = flashing(tmp_path / "in.webm", times, unit, 30, codec="libvpx")
    monkeypatch.setattr(film_copying, "COPIED_VIDEO", {"vp8"})  # which no mp4 takes
    assert not can_copy(source)


def test_a_sound_that_fails_on_its_way_ends_the_writing(tmp_path: Path) -> None:
    unit, times = TIMINGS["24"]
    source = flashing(tmp_path / "in.mp4", times, unit, 30)

    def pieces() -> Iterator[Samples]:
        yield np.zeros((1, 1000), np.float32)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        by_copying(tmp_path / "out.mp4", source, SampledSound(pieces(), 1, RATE))
