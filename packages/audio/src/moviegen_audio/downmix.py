"""From any common layout of loudspeakers to one channel.

The rule is that of ITU-R BS.775: 5.1 to stereo with centre and surrounds at -3 dB and without the
low-frequency channel, and stereo to mono as the sum. The coefficients are then scaled so that they sum to 1:
what never leaves [-1, 1] in any channel does not leave it in the mix.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from moviegen_core import AudioClip

_MINUS_3_DB = 0.5**0.5

_WEIGHTS = {
    1: (1.0,),
    2: (1.0, 1.0),
    # Front left, right, centre, low frequency, surround left, right: the order of WAV and FFmpeg. Left and
    # right each get the centre, so it counts twice.
    6: (1.0, 1.0, 2 * _MINUS_3_DB, 0.0, _MINUS_3_DB, _MINUS_3_DB),
}


def downmix(clip: AudioClip) -> AudioClip:
    """One channel of a mono, stereo or 5.1 clip (B, C, N): (B, 1, N).

    Raises:
        ValueError: neither 1, 2 nor 6 channels.
    """
    channels = clip.samples.shape[1]
    if channels not in _WEIGHTS:
        raise ValueError(
            "sounds must have 1 channel, 2 (left, right) or 6 (5.1: front left, right, centre, low "
            f"frequency, surround left, right), not {channels}"
        )
    if channels == 1:
        return clip
    weights_C = clip.samples.new_tensor(_WEIGHTS[channels])
    mixed_B1N = torch.einsum("bcn,c->bn", clip.samples, weights_C / weights_C.sum())[:, None]
    return replace(clip, samples=mixed_B1N)
