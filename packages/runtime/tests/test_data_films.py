"""The sound source `films`: pieces of listed files, with what the list says of them, in sync."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from moviegen_runtime.cli import main
from moviegen_runtime.data.films import FilmSounds
from moviegen_runtime.data.sounds import open_sounds

RATE = 16_000
BEGINNINGS = (0.5, 1.5, 2.25)


def film(path: Path, *, sound_codec: str = "aac", late: float = 0.0, seconds: float = 3.0) -> Path:
    """White flashes of 1/8 s, each with a tone; before and between them it is dark and still.

    Args:
        late: seconds by which the sound stream begins after the picture; what would have been before is lost.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.height, video.width, video.pix_fmt = 64, 96, "yuv420p"
        sound = container.add_stream(sound_codec, rate=48_000, layout="stereo")
        for index in range(round(8 * seconds)):
            picture = np.full((64, 96, 3), 235 if index / 8 in BEGINNINGS else 20, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        times = np.arange(round(48_000 * seconds)) / 48_000
        wave = np.zeros_like(times)
        for begin in BEGINNINGS:
            here = (times >= begin) & (times < begin + 0.125)
            wave[here] = 0.5 * np.sin(2 * np.pi * 1000 * times[here])
        left = round(48_000 * late)
        both = np.stack([wave, wave]).astype(np.float32)[:, left:]
        frame = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48_000, left
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def listed(folder: Path, *lines: str, columns: str = "path,caption") -> str:
    (folder / "films.csv").write_text("\n".join([columns, *lines]) + "\n")
    return str(folder / "films.csv")


def loud_from(samples: np.ndarray) -> list[float]:
    """Moments at which silence ends."""
    quiet = np.convolve(np.abs(samples[0]) > 0.1, np.ones(400), "full")[: samples.shape[1]] == 0
    return [float(place) / RATE for place in np.flatnonzero(quiet[:-1] & ~quiet[1:])]


@pytest.mark.parametrize("late", [0.0, 0.3])
def test_pieces_are_in_sync_and_follow_each_other(tmp_path: Path, late: float) -> None:
    film(tmp_path / "a.mp4", late=late)
    source = FilmSounds(
        listing=listed(tmp_path, "a.mp4,beeps"), rate=RATE, seconds=1.25, pieces=5, pictures=True, fps=8.0
    )
    assert len(source) == 2  # the last half second is dropped
    for index, inside in enumerate([(0.5,), (0.25, 1.0)]):
        piece = source[index]
        assert piece.samples.shape == (1, 20_000)
        assert loud_from(piece.samples) == pytest.approx(inside, abs=0.005)
        assert piece.picture is not None
        assert piece.picture.frames.shape == (10, 64, 64, 3)
        bright = np.flatnonzero(piece.picture.frames.mean(axis=(1, 2, 3)) > 128)
        assert [place / 8 for place in bright] == list(inside)
    with pytest.raises(IndexError):
        source[2]


def test_the_list_says_what_is_heard(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4")
    lines = ["a.mp4,beeps in the dark,,,,", "a.mp4,beeps,a slow piano,9,yes,no"]
    columns = "path,caption,music,quality,speech,vocals"
    source = FilmSounds(listing=listed(tmp_path, *lines, columns=columns), rate=RATE, seconds=1.0)
    assert len(source) == 2
    first, second = source[0], source[1]
    assert first.picture is None
    assert first.heard.text() == (
        "This audio has quality: 7.0. This audio does not contain speech. This audio does not contain vocal "
        "singing. This audio contains music with a 0.00 likelihood. This audio has a description: "
        '"beeps in the dark".'
    )
    assert "quality: 9.0. This audio contains speech" in second.heard.text()
    assert "music with a 1.00 likelihood" in second.heard.text()
    assert 'music description: "a slow piano"' in second.heard.text()


def test_a_sound_file_gives_what_it_holds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wave = (0.2 * rng.standard_normal((1, 2 * RATE))).astype(np.float32)
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    options = {"listing": listed(tmp_path, "a.wav,hiss"), "rate": RATE, "seconds": 1.0, "pieces": 2}
    source = open_sounds("films", options)
    given = np.concatenate([source[1].samples, source[0].samples], axis=1)
    assert np.array_equal(given, np.roll(wave, RATE, axis=1))


def test_lines_that_cannot_be_used_are_named_together(tmp_path: Path) -> None:
    film(tmp_path / "good.mp4")
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.height, video.width, video.pix_fmt = 64, 64, "yuv420p"
        for _ in range(16):
            container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(video.encode())
    lines = [
        "good.mp4,beeps,",
        "silent.mp4,nothing,",
        "missing.mp4,beeps,",
        "good.mp4,,",
        "good.mp4,beeps,loud",
    ]
    with pytest.raises(ValueError, match="take these lines out of") as error:
        FilmSounds(listing=listed(tmp_path, *lines, columns="path,caption,quality"), rate=RATE, seconds=1.0)
    told = str(error.value)
    assert "line 3:" in told
    assert "silent.mp4 has no sound" in told
    assert "line 4: there is no file" in told
    assert "line 5:" in told
    assert "has no caption" in told
    assert told.endswith("and 1 more")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rate": 0}, "rate must be from 1"),
        ({"pieces": 0}, "pieces of one file"),
        ({"seconds": 61.0, "pieces": 10}, "last 600 s at most"),
        ({"size": 4}, "size from 8"),
        ({"seconds": 1e-5}, "has no samples"),
        ({"seconds": 0.02, "pictures": True}, "a piece must have from 1 to"),
        ({"seconds": 60.0, "pictures": True, "size": 1024, "fps": 24.0}, "a piece must have from 1 to"),
        ({"seconds": 10.0}, "lasts 3.0"),
        ({"length": 3.0}, "refuses its options"),
    ],
)
def test_bad_options_are_refused(tmp_path: Path, options: dict[str, float], sentence: str) -> None:
    film(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match=sentence):
        open_sounds("films", {"listing": listed(tmp_path, "a.mp4,beeps"), "rate": RATE} | options)


def test_a_damaged_film_is_told_when_it_is_read(tmp_path: Path) -> None:
    data = bytearray(film(tmp_path / "a.mkv", sound_codec="pcm_s16le").read_bytes())
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    source = FilmSounds(
        listing=listed(tmp_path, "a.mkv,beeps"), rate=RATE, seconds=2.5, pictures=True, fps=8.0
    )
    with pytest.raises(ValueError, match=r"a\.mkv is (damaged|cut off)"):
        source[0]


def test_a_sound_that_ends_before_its_header_says_is_no_silence(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "whole.flac"), "w") as container:
        stream = container.add_stream("flac", rate=RATE, layout="mono")
        wave = (8000 * np.random.default_rng(0).standard_normal((1, 4 * RATE))).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    listing = listed(tmp_path, "whole.flac,hiss", "cut.flac,hiss")
    source = FilmSounds(listing=listing, rate=RATE, seconds=1.0, pieces=4)
    assert len(source) == 8
    assert np.abs(source[3].samples).min(axis=0).mean() > 0.01
    assert source[4].samples.shape == (1, RATE)
    with pytest.raises(ValueError, match=r"cut\.flac is (cut off|damaged)"):
        source[7]


def test_another_list_is_no_way_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "a.mp4")
    command = ["data", "sounds", "--source", "films", "--set", f"listing={tmp_path / 'films.csv'}"]
    command += ["--set", "rate=16000", "--set", "seconds=1.0", "--codec", "miniature"]
    command += ["-o", str(tmp_path / "out")]
    listed(tmp_path, "a.mp4,beeps")
    main(command)
    main(command)
    listed(tmp_path, "a.mp4,other words")
    with pytest.raises(SystemExit):
        main(command)
    assert "source" in capsys.readouterr().err.splitlines()[-1]


def test_the_command_caches_films_of_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "a.mp4")
    listing = listed(tmp_path, "a.mp4,beeps", "a.mp4,the same beeps")
    options = [f"listing={listing}", "rate=16000", "seconds=1.0", "pieces=2", "pictures=true"]
    sets = [part for option in options for part in ("--set", option)]
    monkeypatch.chdir(tmp_path)
    main(
        [
            "data",
            "sounds",
            "--source",
            "films",
            *sets,
            "--codec",
            "miniature",
            "--sight",
            "miniature",
            "-o",
            "out",
        ]
    )
    assert "4 sounds in out; 0 skipped" in capsys.readouterr().err
