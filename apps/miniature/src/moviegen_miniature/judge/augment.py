"""Making true frames and tracks as imperfect as a model's, so that the judge is fair to soft pictures.

Legend: B frames or clips, C channels, T frames of a clip, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
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


def smeared(frames_THWC: NDArray[np.uint8], chosen: NDArray[np.int64], reach: int) -> NDArray[np.float32]:
    """Some frames of a clip (N, H, W, C), each the mean of those up to `reach` before and after it."""
    around = chosen[:, None] + np.arange(-reach, reach + 1)
    window = frames_THWC[around.clip(0, len(frames_THWC) - 1)]
    return np.asarray(window.mean(1), dtype=np.float32)


def misplaced(place: Place, generator: Generator) -> Place:
    """Places as they are found: a little beside the actor, and a little too large or too small."""
    shift = torch.randn(place.centre.shape, generator=generator) * 0.06 * place.size[:, None]
    return Place(
        place.centre + shift, place.size * torch.exp(_uniform(place.size.shape, -0.15, 0.15, generator))
    )


def unsteady(track_BT3: Tensor, generator: Generator) -> Tensor:
    """Tracks as they are read from bad clips: noisy, drifting, with some frames far off, too small in extent.

    A blurred actor seems to move and grow by as little as half of what it does, and is still right.
    """
    batch, frames, _ = track_BT3.shape
    track = torch.cat([track_BT3[..., :2], track_BT3[..., 2:].log()], -1)
    middle = track.mean(1, keepdim=True)
    extent = _uniform((batch, 1, 2), 0.4, 1.1, generator)[..., [0, 0, 1]]  # one for x and y together
    noise = torch.randn((batch, frames, 3), generator=generator) * _uniform((batch, 1, 1), 0, 0.02, generator)
    drift = torch.randn((batch, frames, 3), generator=generator).cumsum(1)
    drift = drift * _uniform((batch, 1, 1), 0, 0.006, generator)
    lost = (torch.rand((batch, frames, 1), generator=generator) < 0.03).float()
    jump = lost * torch.randn((batch, frames, 3), generator=generator) * 0.1
    error = (noise + drift + jump) * torch.tensor((1.0, 1.0, 2.0))
    found = middle + (track - middle) * extent + error
    return torch.cat([found[..., :2], found[..., 2:].exp()], -1)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low
