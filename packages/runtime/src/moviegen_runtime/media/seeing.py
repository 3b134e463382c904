"""What a film shows at even moments, whatever its own rate: a film of any length, in constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from moviegen_runtime.media.film import Film, FilmFrame

MAX_HOURS = 12
"""What is longer is no film, or is better cut; what says that it is longer is damaged."""


class Seen(NamedTuple):
    """A frame, and at how many moments in a row it is the one that is shown: none, one or more."""

    frame: FilmFrame
    moments: int


def seen(path: Path, film: Film, rate: float) -> Iterator[Seen]:
    """Every frame of a film, and how often it is shown in the middle of a 1/`rate` of a second.

    The moments begin with the film, and cover it: where the last one lies behind its end the last frame
    stays.

    Args:
        path: of the film, for the sentences.
        film: opened without its sound, so that time begins with its first frame.
        rate: moments a second.

    Raises:
        ValueError: the film is damaged, or longer than `MAX_HOURS`, which is told before its frames are read
            if its header says so.
    """
    _check_length(path, film.expected / film.format.fps)
    exact = Fraction(rate)
    told, held = 0, None
    for frame in film.frames:
        if held is not None:
            until = math.ceil(_end(held, film) * exact - Fraction(1, 2))
            yield Seen(held, until - told)
            told = until
        _check_length(path, _end(frame, film))
        held = frame
    if held is not None:
        yield Seen(held, math.ceil(_end(held, film) * exact) - told)


def _end(frame: FilmFrame, film: Film) -> Fraction:
    return (frame.time + frame.duration) * film.format.time_base


def _check_length(path: Path, seconds: Fraction) -> None:
    if seconds > MAX_HOURS * 3600:
        raise ValueError(
            f"{path} lasts {float(seconds) / 3600:.1f} hours, or says so; at most {MAX_HOURS} are worked on "
            "at once: cut it into parts"
        )
