"""The picture of a film's sound says what its file holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from moviegen_runtime.media.film import open_film
from moviegen_runtime.media.film_sound import SampledSound
from moviegen_runtime.media.film_writing import create_film
from moviegen_runtime.media.hearing import heard
from moviegen_runtime.media.sound import RATE, Samples
from moviegen_runtime.media.sound_picture import LONGEST, film_picture

MakeFilm = Callable[..., Path]
STRIP, WAVE, SPECTRUM = 64, 90, 160  # rows of the frames, of the wave under them, and of the pitches


def with_sound(path: Path, source: Path, sound: Samples, rate: int = RATE) -> Path:
    def pieces() -> Iterator[Samples]:
        yield sound

    with (
        open_film(source, with_sound=False) as film,
        create_film(path, film.format, SampledSound(pieces(), len(sound), rate)) as writer,
    ):
        for frame in film.frames:
            writer.write(frame.picture, frame.time, frame.duration)
        writer.finish()
    return path


def bursts(moments: list[float], seconds: float, rate: int = RATE) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    sound = 0.003 * np.random.default_rng(0).standard_normal(len(t))
    for moment in moments:
        since = t - moment
        sound += np.where(since >= 0, 0.5 * np.exp(-since.clip(0) / 0.1) * np.sin(2 * np.pi * 700 * since), 0)
    return sound[None].astype(np.float32)


def test_frames_wave_and_ticks_are_where_the_file_has_them(tmp_path: Path, make_film: MakeFilm) -> None:
    moments = [0.5, 1.1, 1.75]
    source = make_film(tmp_path / "in.mp4", times=range(16))
    film = with_sound(tmp_path / "out.mp4", source, bursts(moments, 2.0))
    drawn = film_picture(film).astype(int)
    width = drawn.shape[1]
    # The square of the made film goes right, its bands stay: red above, blue below.
    assert (drawn[8, 20:900, 0] > drawn[8, 20:900, 2] + 80).mean() > 0.9
    assert (drawn[STRIP - 8, 20:900, 2] > drawn[STRIP - 8, 20:900, 0] + 80).mean() > 0.9
    blue = (np.abs(drawn[STRIP : STRIP + WAVE] - (70, 110, 170)).sum(-1) == 0).sum(0)
    for moment in moments:
        column = round(moment / 2 * width)
        assert blue[column + 5 : column + 20].mean() > 5 * blue[column - 20 : column - 5].mean()
    ink = np.flatnonzero(np.abs(drawn[STRIP + WAVE - 8] - (40, 40, 40)).sum(-1) == 0)
    assert len(ink) >= 3
    for moment in moments:
        assert np.abs(ink - moment / 2 * width).min() <= 6
    for column in ink:
        assert min(abs(column - moment / 2 * width) for moment in moments) <= 6


@pytest.mark.parametrize("hertz", [100, 1_000, 5_000])
def test_a_tone_lies_beside_its_pitch_and_seconds_have_ticks(
    tmp_path: Path, make_film: MakeFilm, hertz: int
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(2 * RATE) / RATE)[None].astype(np.float32)
    film = with_sound(tmp_path / "out.mp4", make_film(tmp_path / "in.mp4", times=range(16)), tone)
    drawn = film_picture(film).astype(int)
    spectrum = drawn[STRIP + WAVE : STRIP + WAVE + SPECTRUM]
    darkest = int(spectrum[:, 200:800].sum(axis=(1, 2)).argmin())
    ticks = np.flatnonzero((spectrum[:, :5] == (40, 40, 40)).all(axis=(1, 2)))
    assert len(ticks) == 3
    assert abs(ticks[[5_000, 1_000, 100].index(hertz)] - darkest) <= 2
    below = (drawn[STRIP + WAVE + SPECTRUM + 1] == (40, 40, 40)).all(axis=1)
    assert np.flatnonzero(below).tolist() == [100 * tenth for tenth in range(1, 10)]  # every 0.2 s


@pytest.mark.parametrize(("height", "width"), [(48, 64), (160, 24), (24, 480)])
def test_frames_of_any_shape_and_no_sound_are_drawn(
    tmp_path: Path, make_film: MakeFilm, height: int, width: int
) -> None:
    drawn = film_picture(make_film(tmp_path / "in.mp4", height=height, width=width))
    assert drawn.shape[1:] == (1000, 3)
    assert (drawn[STRIP + 1 : STRIP + 40] == 255).all()  # silence: paper above the middle line


def test_of_a_long_film_the_beginning_is_drawn(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(8 * 40))
    drawn = {
        seconds: film_picture(with_sound(tmp_path / f"{seconds}.mp4", source, bursts([seconds], 40.0)))
        for seconds in (10.0, 35.0)
    }
    assert LONGEST == 30
    lines = {seconds: picture[STRIP : STRIP + 40] for seconds, picture in drawn.items()}
    assert (lines[10.0][:, 333:340] < 250).any()
    assert (lines[35.0][:20] == 255).all()


@pytest.mark.parametrize("rate", [16_000, 44_100, RATE])
def test_sound_is_heard_from_the_first_frame_on(tmp_path: Path, make_film: MakeFilm, rate: int) -> None:
    click = np.zeros((2, 3 * rate // 2), np.float32)
    click[:, rate] = 0.8
    film = with_sound(tmp_path / "out.mp4", make_film(tmp_path / "in.mp4"), click, rate)
    for begin, expected in (
        (Fraction(0), RATE),
        (Fraction(1, 2), RATE // 2),
        (Fraction(-1, 2), 3 * RATE // 2),
    ):
        sound = heard(film, begin=begin, samples=2 * RATE)
        assert sound.shape == (1, 2 * RATE)
        assert abs(int(np.abs(sound).argmax()) - expected) <= 3
