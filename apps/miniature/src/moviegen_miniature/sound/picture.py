"""A picture of a clip with sound: its frames, its wave, its spectrogram, and marks at what happens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from moviegen_miniature.sound.events import Event
from moviegen_miniature.sound.onsets import Times

_WIDTH = 1_000
_STRIP, _WAVE, _SPECTRUM = 64, 90, 160  # rows of each part
_FLOOR_DECIBELS = -90.0
_LOWEST, _HIGHEST = 50.0, 7_500.0  # Hz, from the bottom to the top
_INK, _PAPER = (40, 40, 40), (255, 255, 255)
_MARKS = {
    "bounce": (220, 60, 40),
    "start": (40, 150, 60),
    "stop": (200, 120, 0),
    "collision": (150, 40, 170),
    "appearing": (30, 110, 220),
}


def sound_picture(
    frames: NDArray[np.uint8],
    samples: NDArray[np.float32],
    rate: int,
    events: Sequence[Event] = (),
    onsets: Times | None = None,
) -> NDArray[np.uint8]:
    """Draw a clip from its first frame on the left to its end on the right: (H, W, 3).

    Args:
        frames: (T, H, W, 3), spread evenly over the clip.
        samples: (C, N) within [-1, 1], as long as the clip; channels are averaged.
        rate: samples a second.
        events: lines through the whole picture, coloured by kind.
        onsets: seconds of what is heard to begin: ticks under the wave.
    """
    sound = samples.mean(0)
    seconds = len(sound) / rate
    whole = Image.new("RGB", (_WIDTH, _STRIP + _WAVE + _SPECTRUM), _PAPER)
    count = _WIDTH // _STRIP
    shown = np.floor((np.arange(count) + 0.5) / count * len(frames)).astype(np.int64)
    for place, frame in enumerate(frames[shown]):
        small = Image.fromarray(frame).resize((_STRIP, _STRIP), Image.Resampling.BOX)
        whole.paste(small, (round(place * _WIDTH / count), 0))
    whole.paste(Image.fromarray(_spectrogram(sound, rate)), (0, _STRIP + _WAVE))
    draw = ImageDraw.Draw(whole)
    middle = _STRIP + _WAVE // 2
    for column, part in enumerate(np.array_split(sound, _WIDTH)):
        high, low = (float(part.max(initial=0.0)), float(part.min(initial=0.0)))
        draw.line(
            [(column, middle - high * _WAVE / 2), (column, middle - low * _WAVE / 2)], fill=(70, 110, 170)
        )
    for event in events:
        x = event.seconds / seconds * _WIDTH
        draw.line([(x, 0), (x, whole.height)], fill=_MARKS[event.kind])
        draw.text((x + 3, _STRIP + 1), f"{event.kind}: {event.sound}", fill=_MARKS[event.kind])
    for moment in () if onsets is None else onsets:
        x = float(moment) / seconds * _WIDTH
        draw.polygon([(x - 4, _STRIP + _WAVE), (x + 4, _STRIP + _WAVE), (x, _STRIP + _WAVE - 9)], fill=_INK)
    return np.asarray(whole)


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
