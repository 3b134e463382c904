"""What a film shows at even moments: at any rate, of any length, however damaged its sound is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from moviegen_audio import FrameFeatures
from moviegen_runtime.media.film import Film, FilmFormat, FilmFrame, open_film
from moviegen_runtime.media.seeing import seen
from moviegen_runtime.media.writing import usual_colours

MakeFilm = Callable[..., Path]
PATH = Path("film.mp4")
PICTURE = np.zeros((2, 2, 3), np.uint8)


def film_of(times: Iterator[int] | list[int], unit: Fraction, last: int = 1, expected: int = 0) -> Film:
    """A film of frames at some times, made as they are asked for."""

    def frames() -> Iterator[FilmFrame]:
        held = None
        for time in times:
            if held is not None:
                yield FilmFrame(PICTURE, held, time - held)
            held = time
        assert held is not None
        yield FilmFrame(PICTURE, held, last)

    film = FilmFormat(2, 2, unit, 1 / unit, Fraction(1), usual_colours(2), Fraction(0))
    return Film(film, frames(), expected)


@pytest.mark.parametrize("fps", [1, 7.5, 8, Fraction(24000, 1001), 24, 25, 60, 240])
@pytest.mark.parametrize("count", [1, 2, 13, 50])
def test_at_any_rate_it_is_what_the_transformer_s_own_rule_takes(fps: float, count: int) -> None:
    unit = 1 / Fraction(fps)
    shown = [each.moments for each in seen(PATH, film_of(list(range(count)), unit), 25.0)]
    moments = math.ceil(count * unit * 25)
    assert sum(shown) == moments
    features = FrameFeatures(torch.arange(count, dtype=torch.float64)[None, :, None], float(fps))
    ours = np.repeat(np.arange(count), shown)
    assert ours.tolist() == features.resampled(moments, 25.0)[0, :, 0].tolist()


def test_uneven_frames_are_seen_when_they_are_shown() -> None:
    times = [0, 10, 30, 500, 540, 700]  # milliseconds; moments are at 20, 60, 100, ...
    shown = [each.moments for each in seen(PATH, film_of(times, Fraction(1, 1000), last=100), 25.0)]
    assert shown == [0, 1, 11, 1, 4, 3]


def test_frames_are_asked_for_one_by_one() -> None:
    asked = 0

    def times() -> Iterator[int]:
        nonlocal asked
        while asked < 3 * 3600 * 24:
            asked += 1
            yield asked - 1

    shown = seen(PATH, film_of(times(), Fraction(1, 24)), 25.0)
    for count, each in zip(range(1, 1000), shown, strict=False):
        assert each.frame.time == count - 1
        assert (
            asked <= count + 2
        )  # the next frame says how long this one is shown, and this film looks one ahead


def test_a_film_that_says_that_it_lasts_for_days_is_refused_before_it_is_read() -> None:
    film = film_of([0, 1], Fraction(1, 24), expected=10**9)

    def never() -> Iterator[FilmFrame]:
        pytest.fail("read")
        yield

    with pytest.raises(ValueError, match=r"film\.mp4 lasts 11574\.1 hours.*cut it into parts"):
        next(seen(PATH, dataclasses.replace(film, frames=never()), 25.0))


def test_a_film_that_lasts_for_days_is_refused_when_it_gets_there() -> None:
    film = film_of(iter(range(0, 10**9, 1000)), Fraction(1))
    with pytest.raises(ValueError, match=r"lasts 12\.\d hours"):
        for _ in seen(PATH, film, 25.0):
            pass


@pytest.mark.parametrize("fps", [1, 240])
def test_real_films_of_one_and_of_240_frames_a_second(tmp_path: Path, make_film: MakeFilm, fps: int) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(3 * fps), unit=Fraction(1, fps))
    with open_film(source, with_sound=False) as film:
        shown = [each.moments for each in seen(source, film, 25.0)]
    assert sum(shown) == 75
    assert max(shown) == {1: 25, 240: 1}[fps]


def test_a_corrupt_sound_does_not_matter_where_it_is_not_asked_for(
    tmp_path: Path, make_film: MakeFilm
) -> None:
    source = make_film(tmp_path / "in.mp4", sound="aac")
    source.write_bytes(source.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    with pytest.raises(ValueError, match="audio is of a kind that is not known"), open_film(source):
        pass
    with open_film(source, with_sound=False) as film:
        assert sum(each.moments for each in seen(source, film, 25.0)) == math.ceil(12 / 8 * 25)


def test_sound_that_begins_first_does_not_shift_the_picture(tmp_path: Path, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(8, 20), sound="aac")
    with open_film(source, with_sound=False) as film:
        assert next(film.frames).time == 0
    with open_film(source) as film:
        assert next(film.frames).time * film.format.time_base == pytest.approx(1, abs=0.1)
