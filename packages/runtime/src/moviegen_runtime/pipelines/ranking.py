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

from moviegen_runtime.media.cues import Cues, fitness

Rank = Callable[[AudioCodec, Cues], Score]
"""Makes the score of a film's draws from the codec of their latents and the cues of the film's picture."""

_UNLIKELY = 0.1  # beginnings that are less probable are no cues


def rank_by_cues(codec: AudioCodec, cues: Cues) -> Score:
    """How well draws go with what is seen (`fitness`); it takes no truth about the film."""

    def measure(clip: AudioClip, segment: Segment) -> float:
        samples = clip.samples[0].to("cpu").float().numpy()
        begin = segment.seen.start * codec.hop / codec.sample_rate
        return fitness(cues, samples, clip.sample_rate, begin=begin)

    return score_sound(codec, measure)


@torch.no_grad()
def foreseen_cues(
    sight: Sight, features: Tensor, frame_rate: float, *, first: int = 0, inner: slice = slice(None)
) -> Cues:
    """What is foreseen to begin, where that is likely at all, with its timbre.

    Args:
        features: (T, E) of each latent frame.
        frame_rate: latent frames a second.
        first: which frame of the film is the first that counts.
        inner: those that count; what is seen around them counts for them.
    """
    logits_1T, bands_1TM = sight.foresee(sight.watch(features[None]))
    probable_T: NDArray[np.float64] = logits_1T[0, inner].cpu().double().sigmoid().numpy()
    likely = probable_T >= _UNLIKELY
    moments = np.asarray((first + np.flatnonzero(likely) + 0.5) / frame_rate, np.float64)
    timbres: NDArray[np.float32] = bands_1TM[0, inner].cpu().float().numpy()
    return Cues(moments, probable_T[likely], 1 / frame_rate, timbres[likely])
