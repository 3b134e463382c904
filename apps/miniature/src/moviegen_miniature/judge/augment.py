"""Making true frames and tracks as imperfect as a model's, so that the judge is fair to soft pictures.

Legend: B frames or clips, C channels, T frames of a clip, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from moviegen_miniature.judge.networks import Place


def soften(frames_BCHW: Tensor, generator: Generator) -> Tensor:
    """Frames in [-1, 1] with their contrast and colours changed a little, some blurred, some noisy."""
    batch = frames_BCHW.shape[0]
    gain = (
        1
        + _uniform((batch, 3, 1, 1), -0.06, 0.06, generator)
        + _uniform((batch, 1, 1, 1), -0.12, 0.12, generator)
    )
    shift = _uniform((batch, 1, 1, 1), -0.1, 0.1, generator)
    changed = frames_BCHW * gain + shift
    pieces = [_blurred(piece, generator) for piece in changed.chunk(8)]
    noise = torch.randn(frames_BCHW.shape, generator=generator)
    strength = _uniform((batch, 1, 1, 1), -0.1, 0.1, generator).clamp(min=0)
    return torch.cat(pieces) + strength * noise


def _blurred(frames_BCHW: Tensor, generator: Generator) -> Tensor:
    """Half of the time reduced, to between all and a third of their side, and enlarged again."""
    side = frames_BCHW.shape[-1]
    if float(torch.rand((), generator=generator)) < 0.5:
        return frames_BCHW
    small = int(torch.randint(side * 3 // 8, side, (), generator=generator))
    reduced = interpolate(frames_BCHW, size=(small, small), mode="bilinear", antialias=True)
    return interpolate(reduced, size=(side, side), mode="bilinear")


def misplaced(place: Place, generator: Generator) -> Place:
    """Places as they are found: a little beside the actor, and a little too large or too small."""
    shift = torch.randn(place.centre.shape, generator=generator) * 0.06 * place.size[:, None]
    return Place(
        place.centre + shift, place.size * torch.exp(_uniform(place.size.shape, -0.15, 0.15, generator))
    )


def unsteady(track_BT3: Tensor, generator: Generator) -> Tensor:
    """Tracks as they are read from bad clips: noisy, drifting, too short, with some frames far off."""
    batch, frames, _ = track_BT3.shape
    middle = track_BT3[..., :2].mean(1, keepdim=True)
    shortened = middle + (track_BT3[..., :2] - middle) * _uniform((batch, 1, 1), 0.75, 1.1, generator)
    noise = torch.randn((batch, frames, 3), generator=generator) * _uniform((batch, 1, 1), 0, 0.02, generator)
    drift = torch.randn((batch, frames, 3), generator=generator).cumsum(1)
    drift = drift * _uniform((batch, 1, 1), 0, 0.006, generator)
    lost = (torch.rand((batch, frames, 1), generator=generator) < 0.03).float()
    jump = lost * torch.randn((batch, frames, 3), generator=generator) * 0.1
    error = noise + drift + jump
    size = track_BT3[..., 2:] * _uniform((batch, 1, 1), 0.85, 1.15, generator) * torch.exp(2 * error[..., 2:])
    return torch.cat([shortened + error[..., :2], size], -1)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low
