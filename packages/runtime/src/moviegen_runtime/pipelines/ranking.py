"""Scores by which draws of a film's sound are ranked, for `Composing.rank`, and the cues that they go by.

Legend: T latent frames, E width of the features of a picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from moviegen_audio import AudioCodec, Score, Segment, Sight, score_sound
from moviegen_core import AudioClip
from numpy.typing import NDArray
from torch import Tensor

from moviegen_runtime.media.cues import Cues, sound_synchrony

Rank = Callable[[AudioCodec, Cues], Score]
"""Makes the score of a film's draws from the codec of their latents and the cues of the film's picture."""

_UNLIKELY = 0.1  # beginnings that are less probable are no cues


def rank_by_synchrony(codec: AudioCodec, cues: Cues) -> Score:
    """How well draws are in time with what is seen; it takes no truth about the film."""

    def measure(clip: AudioClip, segment: Segment) -> float:
        samples = clip.samples[0].to("cpu").float().numpy()
        begin = segment.seen.start * codec.hop / codec.sample_rate
        return sound_synchrony(cues, samples, clip.sample_rate, begin=begin)

    return score_sound(codec, measure)


@torch.no_grad()
def foreseen(sight: Sight, features: Tensor) -> NDArray[np.float64]:
    """(T,) how probable it is that something begins to sound, by features (T, E) of each latent frame."""
    logits_1T, _ = sight.foresee(sight.watch(features[None]))
    probable_T: NDArray[np.float64] = logits_1T[0].cpu().double().sigmoid().numpy()
    return probable_T


def foreseen_cues(probable: NDArray[np.float64], frame_rate: float) -> Cues:
    """Cues of what is `foreseen` to begin, at so many latent frames a second."""
    moments = np.asarray((np.arange(len(probable)) + 0.5) / frame_rate, np.float64)
    strengths = np.asarray(probable * (probable >= _UNLIKELY), np.float64)
    return Cues(moments, strengths, 1 / frame_rate)
