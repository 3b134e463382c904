"""A score by which draws of a film's sound are ranked: how well they are in time with what is seen.

For `Composing.rank`. It takes no truth about the film and no model (`moviegen_runtime.media.motion`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from moviegen_audio import AudioCodec, Score, Segment, score_sound
from moviegen_core import AudioClip
from numpy.typing import NDArray

from moviegen_runtime.media.film import open_film
from moviegen_runtime.media.motion import MotionChanges, motion_changes, synchrony
from moviegen_runtime.media.onsets import onsets
from moviegen_runtime.media.seeing import seen

_RATE = 25.0  # of no matter here: all frames come, and a film that is too long is refused


def film_motion(source: Path) -> MotionChanges:
    """Go through a film once, and find where its motion changes.

    Raises:
        ValueError: the film has no picture, is damaged or too long.
    """

    def frames() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        with open_film(source, with_sound=False) as film:
            for frame, _ in seen(source, film, _RATE):
                yield float(frame.time * film.format.time_base), frame.picture

    return motion_changes(frames())


def rank_by_synchrony(codec: AudioCodec, changes: MotionChanges) -> Score:
    """A score of latents of a codec by `synchrony` of their sound with a film's motion.

    Args:
        changes: of the film whose sound is ranked, as `film_motion` finds them.
    """

    def measure(clip: AudioClip, segment: Segment) -> float:
        begin = segment.seen.start * codec.hop / codec.sample_rate
        heard = onsets(clip.samples[0].to("cpu").float().numpy(), clip.sample_rate)
        return synchrony(changes, begin + heard, begin, begin + clip.seconds)

    return score_sound(codec, measure)
