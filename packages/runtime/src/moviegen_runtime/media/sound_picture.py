"""A picture of a film with sound: its frames, its wave, its spectrogram, and marks at what happens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from moviegen_runtime.media.film import open_film
from moviegen_runtime.media.hearing import heard
from moviegen_runtime.media.onsets import Times, onsets
from moviegen_runtime.media.reading import fitted
from moviegen_runtime.media.seeing import seen
from moviegen_runtime.media.sound import RATE

_WIDTH = 1_000
_STRIP, _WAVE, _SPECTRUM, _TIMES = 64, 90, 160, 16  # rows of each part
_FLOOR_DECIBELS = -90.0
_LOWEST, _HIGHEST = 50.0, 7_500.0  # Hz, from the bottom to the top
_HERTZ = {100.0: "100 Hz", 1_000.0: "1 kHz", 5_000.0: "5 kHz"}
_TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds
_MOST_TICKS = 12
_LABEL = 16  # columns that half of one needs
LONGEST = 30.0
"""Seconds of a film that are drawn: of more, nothing could be told apart."""
_PICTURES_A_SECOND = 8.0
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


class Mark(NamedTuple):
    """Something that happens.

    Args:
        seconds: when, from the beginning of the film.
        text: what, in a few words.
        colour: RGB.
    """

    seconds: float
    text: str
    colour: tuple[int, int, int]


def film_picture(path: Path) -> NDArray[np.uint8]:
    """Draw a film from its file, (H, W, 3), with what is heard to begin; of a long one its first half minute.

    Raises:
        ValueError: the film is damaged, or has no picture.
    """
    strip: list[NDArray[np.uint8]] = []
    end = 0.0
    with open_film(path, with_sound=False) as film:
        given = film.format
        size = (_STRIP, _across(given.height, given.width))
        for frame, moments in seen(path, film, _PICTURES_A_SECOND):
            if moments:
                strip += [fitted(frame.picture, size)] * moments
            end = float((frame.time + frame.duration) * given.time_base)
            if end >= LONGEST:
                break
    seconds = min(end, LONGEST)
    sound = heard(path, begin=given.origin, samples=round(seconds * RATE))
    shown = np.stack(strip[: math.ceil(seconds * _PICTURES_A_SECOND)])
    return sound_picture(shown, sound, RATE, begins=onsets(sound, RATE))


def sound_picture(
    frames: NDArray[np.uint8],
    samples: NDArray[np.float32],
    rate: int,
    marks: Sequence[Mark] = (),
    begins: Times | None = None,
) -> NDArray[np.uint8]:
    """Draw a clip from its first frame on the left to its end on the right: (H, W, 3).

    Args:
        frames: (T, H, W, 3), spread evenly over the clip.
        samples: (C, N) within [-1, 1], as long as the clip; channels are averaged.
        rate: samples a second.
        marks: lines through the whole picture.
        begins: seconds of what is heard to begin: ticks under the wave.
    """
    sound = samples.mean(0)
    seconds = len(sound) / rate
    whole = Image.new("RGB", (_WIDTH, _STRIP + _WAVE + _SPECTRUM + _TIMES), _PAPER)
    across = _across(*frames.shape[1:3])
    count = _WIDTH // across
    shown = np.floor((np.arange(count) + 0.5) / count * len(frames)).astype(np.int64)
    for place, frame in enumerate(frames[shown]):
        small = Image.fromarray(frame).resize((across, _STRIP), Image.Resampling.BOX)
        whole.paste(small, (round(place * _WIDTH / count), 0))
    whole.paste(Image.fromarray(_spectrogram(sound, rate)), (0, _STRIP + _WAVE))
    draw = ImageDraw.Draw(whole)
    middle = _STRIP + _WAVE // 2
    for column, part in enumerate(np.array_split(sound, _WIDTH)):
        high, low = (float(part.max(initial=0.0)), float(part.min(initial=0.0)))
        draw.line(
            [(column, middle - high * _WAVE / 2), (column, middle - low * _WAVE / 2)], fill=(70, 110, 170)
        )
    _draw_axes(draw, seconds)
    for mark in marks:
        x = mark.seconds / seconds * _WIDTH
        draw.line([(x, 0), (x, whole.height)], fill=mark.colour)
        draw.text((x + 3, _STRIP + 1), mark.text, fill=mark.colour)
    for moment in () if begins is None else begins:
        x = float(moment) / seconds * _WIDTH
        draw.polygon([(x - 4, _STRIP + _WAVE), (x + 4, _STRIP + _WAVE), (x, _STRIP + _WAVE - 9)], fill=_INK)
    return np.asarray(whole)


def _draw_axes(draw: ImageDraw.ImageDraw, seconds: float) -> None:
    """Pitches on the left of the spectrogram, and seconds below it."""
    top = _STRIP + _WAVE
    for hertz, text in _HERTZ.items():
        y = top + math.log(_HIGHEST / hertz) / math.log(_HIGHEST / _LOWEST) * _SPECTRUM
        draw.line([(0, y), (5, y)], fill=_INK)
        draw.text((8, y), text, fill=_INK, anchor="lm", stroke_width=2, stroke_fill=_PAPER)
    step = next((step for step in _TICKS if seconds / step <= _MOST_TICKS), _TICKS[-1])
    for count in range(1, math.ceil(seconds / step)):
        x = count * step / seconds * _WIDTH
        draw.line([(x, top + _SPECTRUM), (x, top + _SPECTRUM + 3)], fill=_INK)
        if x < _WIDTH - _LABEL:
            draw.text((x, top + _SPECTRUM + 3), f"{count * step:g} s", fill=_INK, anchor="ma")


def _across(height: int, width: int) -> int:
    """Columns of a picture in the strip."""
    return min(max(round(_STRIP * width / height), 1), _WIDTH)


def _spectrogram(sound: NDArray[np.float32], rate: int) -> NDArray[np.uint8]:
    """(rows, columns, 3): louder is darker, pitch upwards on a logarithmic scale."""
    window = round(0.04 * rate)
    taper = np.hanning(window)
    first = np.linspace(0, len(sound), _WIDTH).astype(np.int64)
    padded = np.pad(sound, (window // 2, window))
    spectrum = np.abs(np.fft.rfft(padded[first[:, None] + np.arange(window)] * taper)) / taper.sum() * 2
    hertz = np.geomspace(_HIGHEST, _LOWEST, _SPECTRUM)
    rows = np.interp(hertz, np.fft.rfftfreq(window, 1 / rate), np.arange(spectrum.shape[1]))
    left = np.floor(rows).astype(np.int64)
    shown = spectrum[:, left] * (1 - (rows - left)) + spectrum[:, left + 1] * (rows - left)
    level = (20 * np.log10(shown.T + 1e-9) / -_FLOOR_DECIBELS + 1).clip(0, 1)
    dark, light = np.array([20, 20, 60]), np.array([250, 250, 245])
    return np.asarray(np.rint(light + (dark - light) * level[..., None] ** 1.5), dtype=np.uint8)
