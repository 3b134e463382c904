"""A film that is read and written again is the same film: frames, times, colours, sound."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import imageio_ffmpeg
import numpy as np
import pytest
from moviegen_runtime.media import film as film_module
from moviegen_runtime.media import reading
from moviegen_runtime.media.film import FilmFormat, open_film
from moviegen_runtime.media.film_writing import create_film
from moviegen_runtime.media.reading import read_clip
from numpy.typing import NDArray

MakeFilm = Callable[..., Path]


def copied(source: Path, target: Path) -> FilmFormat:
    """The film written again, and its format."""
    with open_film(source) as film, create_film(target, film.format, source) as writer:
        for frame in film.frames:
            writer.write(frame.picture, frame.time, frame.duration)
        writer.finish()
        return film.format


def by_ffmpeg(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """Frames as the ffmpeg program, a build of its own, decodes, turns and colours them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, height, width, 3)


class Packet(NamedTuple):
    time: Fraction
    duration: Fraction
    data: bytes


def packets(path: Path, kind: str) -> list[Packet]:
    with av.open(str(path)) as container:
        stream = container.streams.best(kind)
        return [
            Packet(packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def test_frames_are_the_same_for_an_independent_reader(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4")
    copied(source, tmp_path / "out.mp4")
    before, after = (by_ffmpeg(tmp_path / name, 48, 64).astype(int) for name in ("in.mp4", "out.mp4"))
    assert after.shape == before.shape == (12, 48, 64, 3)
    for index, frame in enumerate(after):
        distances = [np.abs(frame - other).mean() for other in before]
        assert int(np.argmin(distances)) == index
        assert distances[index] < 2
    for band in (np.s_[:, 4:12, 8:56], np.s_[:, 36:44, 8:56]):
        assert np.abs(after[band].mean(axis=(0, 1, 2)) - before[band].mean(axis=(0, 1, 2))).max() < 2


@pytest.mark.parametrize(("height", "width"), [(47, 64), (48, 63), (47, 63)])
def test_odd_sizes_stay_odd(tmp_path: Path, make_film: MakeFilm, height: int, width: int) -> None:
    source = make_film(tmp_path / "in.mp4", height=height, width=width, pix_fmt="yuv444p")
    film = copied(source, tmp_path / "out.mp4")
    assert (film.height, film.width) == (height, width)
    before, after = (by_ffmpeg(tmp_path / name, height, width) for name in ("in.mp4", "out.mp4"))
    assert after.shape == before.shape
    assert np.abs(after.astype(int) - before).mean() < 2


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_film_that_lies_is_written_upright(tmp_path: Path, make_film: MakeFilm, rotation: int) -> None:
    source = make_film(tmp_path / "in.mp4", rotation=rotation)
    film = copied(source, tmp_path / "out.mp4")
    height, width = (48, 64) if rotation == 180 else (64, 48)
    assert (film.height, film.width) == (height, width)
    before, after = (by_ffmpeg(tmp_path / name, height, width) for name in ("in.mp4", "out.mp4"))
    assert np.abs(after.astype(int) - before).mean() < 2
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_of_uneven_length_keep_their_times(tmp_path: Path, make_film: MakeFilm, suffix: str) -> None:
    uneven = [0, 40, 80, 81, 200, 1000, 1033, 1500]
    source = make_film(tmp_path / f"in{suffix}", times=uneven, unit=Fraction(1, 1000))
    copied(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == [Fraction(time, 1000) for time in uneven]
    assert times(tmp_path / "out.mp4") == times(source)


@pytest.mark.parametrize(
    ("unit", "step"), [(Fraction(1, 8), 3), (Fraction(1001, 30000), 1), (Fraction(1, 90000), 3750)]
)
def test_it_lasts_as_long(tmp_path: Path, make_film: MakeFilm, unit: Fraction, step: int) -> None:
    source = make_film(tmp_path / "in.mp4", times=[step * i for i in range(9)], unit=unit)
    copied(source, tmp_path / "out.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        first, second = before.streams.video[0], after.streams.video[0]
        assert second.duration * second.time_base == first.duration * first.time_base
        assert second.duration * second.time_base == 9 * step * unit
        assert second.frames == first.frames == 9


def test_a_film_that_begins_late_begins_at_once_with_its_sound(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.ts", times=range(40, 52), sound="aac")
    copied(source, tmp_path / "out.mp4")
    gap = packets(source, "audio")[0].time - times(source)[0]
    after = packets(tmp_path / "out.mp4", "audio")[0].time - times(tmp_path / "out.mp4")[0]
    assert abs(after - gap) < Fraction(1, 5000)
    assert times(tmp_path / "out.mp4")[0] < 6


@pytest.mark.parametrize("codec", ["aac", "mp3", "ac3", "flac"])
def test_sound_is_kept_packet_by_packet(tmp_path: Path, make_film: MakeFilm, codec: str) -> None:
    source = make_film(tmp_path / "in.mkv", sound=codec, sound_rate=48000)
    copied(source, tmp_path / "out.mp4")
    before, after = (packets(tmp_path / name, "audio") for name in ("in.mkv", "out.mp4"))
    assert [packet.data for packet in after] == [packet.data for packet in before]
    # Matroska counts in milliseconds.
    assert max(abs(a.time - b.time) for a, b in zip(after, before, strict=True)) <= Fraction(1, 1000)


def test_sound_in_mp4_keeps_its_times_exactly(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4", sound="aac")
    copied(source, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4", "audio") == packets(source, "audio")
    tones = [_samples(tmp_path / name) for name in ("in.mp4", "out.mp4")]
    assert np.array_equal(*tones)


def _samples(path: Path) -> NDArray[np.float32]:
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(path),
        "-f",
        "f32le",
        "-ac",
        "1",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, dtype=np.float32)


@pytest.mark.parametrize(("codec", "rate"), [("pcm_s16le", 16000), ("pcm_s16le", 37000), ("mp2", 44100)])
def test_sound_that_an_mp4_does_not_take_is_encoded(
    tmp_path: Path, make_film: MakeFilm, codec: str, rate: int
) -> None:
    source = make_film(tmp_path / "in.mkv", sound=codec, sound_rate=rate)
    copied(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        sample_rate = stream.rate
    tone = _samples(tmp_path / "out.mp4")
    assert len(tone) / sample_rate == pytest.approx(1.5, abs=0.1)
    middle = tone[len(tone) // 4 : -len(tone) // 4]
    loudest = np.fft.rfftfreq(len(middle), 1 / sample_rate)[np.abs(np.fft.rfft(middle)).argmax()]
    assert loudest == pytest.approx(440, abs=3)
    assert np.abs(middle).max() == pytest.approx(0.4, abs=0.05)


def test_a_silent_film_stays_silent(tmp_path: Path, make_film: MakeFilm) -> None:
    copied(make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_what_is_shown_wider_than_stored_is_still(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        stream.set_display_rotation(90)
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    copied(tmp_path / "in.mp4", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(11, 16)


@pytest.mark.parametrize("name", ["in.gif", "in.avi", "in.webm", "in.mov"])
def test_other_containers_are_films_too(tmp_path: Path, make_film: MakeFilm, name: str) -> None:
    kinds = {"in.gif": ("gif", "rgb8"), "in.avi": ("mpeg4", "yuv420p"), "in.webm": ("libvpx", "yuv420p")}
    codec, pix_fmt = kinds.get(name, ("libx264", "yuv420p"))
    source = make_film(tmp_path / name, codec=codec, pix_fmt=pix_fmt)
    copied(source, tmp_path / "out.mp4")
    before, after = (read_clip(path).frames.astype(int) for path in (source, tmp_path / "out.mp4"))
    assert after.shape == before.shape == (12, 48, 64, 3)
    # Means of squares: a gif is dithered, which yuv420p smooths.
    squares = [frames.reshape(12, 12, 4, 16, 4, 3).mean(axis=(2, 4)) for frames in (before, after)]
    assert np.abs(squares[1] - squares[0]).mean() < 3


def test_a_cover_picture_is_no_film(tmp_path: Path, make_film: MakeFilm) -> None:
    make_film(tmp_path / "in.mp4", times=[0], sound="aac")
    with av.open(str(tmp_path / "in.mp4")) as source, av.open(str(tmp_path / "song.mp4"), "w") as container:
        tone = container.add_stream_from_template(source.streams.audio[0])
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 48, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = tone
                container.mux(packet)
    with pytest.raises(ValueError, match=r"song\.mp4 has no video stream"), open_film(tmp_path / "song.mp4"):
        pass


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "first.mp4"])
def test_a_film_that_was_cut_off_is_named(
    tmp_path: Path, make_film: MakeFilm, name: str, kept: float
) -> None:
    source = make_film(tmp_path / name.replace("first", "in"), times=range(40), sound="aac")
    if name == "first.mp4":  # its index comes first, so that all can be known before anything is decoded
        copied(source, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ValueError, match=rf"{name} (is damaged|is cut off|has no video)"):
        copied(tmp_path / name, tmp_path / "out.mp4")


def test_an_index_behind_the_end_is_told_before_anything_is_decoded(
    tmp_path: Path, make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    (tmp_path / "out.mp4").write_bytes(data[:-1])
    monkeypatch.setattr(film_module, "decoded", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="its index needs"), open_film(tmp_path / "out.mp4"):
        pass


def test_pictures_that_change_their_size_are_named(tmp_path: Path, make_film: MakeFilm) -> None:
    parts = [make_film(tmp_path / f"{i}.ts", height=48, width=w) for i, w in enumerate((64, 96))]
    (tmp_path / "in.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(ValueError, match="changes its picture size on the way, from 64x48 to 96x48"):
        copied(tmp_path / "in.ts", tmp_path / "out.mp4")


def test_what_a_film_may_claim_is_bounded(
    tmp_path: Path, make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_film(tmp_path / "in.mp4", times=[0, 1, 2, 8 * 3600])
    with pytest.raises(ValueError, match=r"would be shown for 3599\.75 s"):
        copied(source, tmp_path / "out.mp4")
    monkeypatch.setattr(reading, "MAX_FRAME_PIXELS", 64 * 48 - 1)
    with pytest.raises(ValueError, match="claims frames of 64x48, which are too large"):
        copied(source, tmp_path / "out.mp4")
