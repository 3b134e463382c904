"""Scores by which draws of a film's sound are ranked, for `Composing.rank`."""

from __future__ import annotations

from collections.abc import Callable

from moviegen_audio import AudioCodec, Score, Segment, score_sound
from moviegen_core import AudioClip

from moviegen_runtime.media.motion import MotionChanges, sound_synchrony

Rank = Callable[[AudioCodec, MotionChanges], Score]
"""Makes the score of a film's draws from the codec of their latents and the changes of the film's motion."""


def rank_by_synchrony(codec: AudioCodec, changes: MotionChanges) -> Score:
    """How well draws are in time with what is seen; it takes no truth about the film and no model."""

    def measure(clip: AudioClip, segment: Segment) -> float:
        samples = clip.samples[0].to("cpu").float().numpy()
        begin = segment.seen.start * codec.hop / codec.sample_rate
        return sound_synchrony(changes, samples, clip.sample_rate, begin=begin)

    return score_sound(codec, measure)
