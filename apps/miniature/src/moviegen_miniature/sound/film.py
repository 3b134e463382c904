"""A clip with sound as an mp4, and marks for its picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from moviegen_core import replacing
from moviegen_runtime.media.film import FilmFormat
from moviegen_runtime.media.film_sound import SampledSound
from moviegen_runtime.media.film_writing import create_film
from moviegen_runtime.media.frames import enlarged
from moviegen_runtime.media.sound_picture import Mark
from moviegen_runtime.media.writing import usual_colours

from moviegen_miniature.sound.events import Kind
from moviegen_miniature.sound.stage import SoundClip

_SCALE = 4
_COLOURS: dict[Kind, tuple[int, int, int]] = {
    "bounce": (220, 60, 40),
    "start": (40, 150, 60),
    "stop": (200, 120, 0),
    "collision": (150, 40, 170),
    "appearing": (30, 110, 220),
}


def marks(clip: SoundClip) -> list[Mark]:
    """What happens in a clip, coloured by kind."""
    return [
        Mark(event.seconds, f"{event.kind}: {event.sound}", _COLOURS[event.kind]) for event in clip.events
    ]


def write_sound_clip(clip: SoundClip, path: Path) -> None:
    """Write a clip as H.264, each pixel as a square of four by four, and its sound as AAC.

    Raises:
        OSError: the file cannot be written.
    """
    frames = enlarged(clip.frames, _SCALE)
    height, width = frames.shape[1:3]
    fps = Fraction(clip.fps).limit_denominator(1001)
    film = FilmFormat(height, width, 1 / fps, fps, Fraction(1), usual_colours(height), Fraction(0))
    sound = SampledSound(iter([clip.samples]), len(clip.samples), clip.rate)
    with replacing(path) as aside, create_film(aside, film, sound) as writer:
        for index, picture in enumerate(frames):
            writer.write(picture, index, 1)
        writer.finish()
