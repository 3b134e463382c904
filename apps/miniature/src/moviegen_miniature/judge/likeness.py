"""How like an actor a found actor looks, by no classifier: its correlation in grey with true pictures.

Legend: B pictures looked at, K true pictures, H and W rows and columns of the first, h and w of the others.

A found actor is compared with every picture of the actor's animation, as it is and mirrored, at some sizes
and shifts around the place where it was found, only where the true picture is opaque: so neither the set nor
the outline counts, only what is drawn inside. The best of all is its likeness. Such a best is above 0 for any
two pictures, so the one with a wrong actor of like colour belongs beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from moviegen_miniature.judge.networks import CROP, Place, cropped, to_grey
from moviegen_miniature.sprites import Sprites

_SHRUNK = 2  # of a sprite's side: about as large as actors are in the frame
_SIZES = np.exp(np.linspace(-0.2, 0.2, 9))  # of the found size
_FRAMES = 4  # of a clip, spread evenly
_OPAQUE = 0.95
_FLAT = 1e-5  # variances below are no drawing: the square of less than a step of 8 bits


class Likeness(NamedTuple):
    """Likeness, -1 to 1, to the actor that was asked for, and to another one of like colour."""

    right: float
    wrong: float


def likeness(frames: NDArray[np.uint8], track: NDArray[np.float32], actor: str, sprites: Sprites) -> float:
    """Mean likeness of a clip's actor to a named one, over frames that are spread over the clip.

    Args:
        frames: (T, H, W, 3).
        track: (T, 3) centre x, y and size of the found actor, in heights of the frame.
    """
    chosen = np.linspace(0, len(frames) - 1, _FRAMES).round().astype(np.int64)
    grey_B1HW = to_grey(torch.from_numpy(frames[chosen]).permute(0, 3, 1, 2).float() / 255)
    place = torch.from_numpy(track[chosen])
    pictures = torch.from_numpy(sprites.pictures[actor]).permute(0, 3, 1, 2).float() / 255
    pictures = avg_pool2d(pictures, _SHRUNK)
    pictures = torch.cat([pictures, pictures.flip(3)])
    opaque_K1hw = (pictures[:, 3:] >= _OPAQUE).float()
    # What a crop shows beyond the square of a true picture is what the shifts have to move in.
    wide = CROP / opaque_K1hw.shape[-1]
    best = torch.full((_FRAMES,), -1.0)
    for size in _SIZES:
        looked_at = cropped(grey_B1HW, Place(place[:, :2], place[:, 2] * float(size)), margin=wide)
        found = correlation(looked_at, to_grey(pictures[:, :3]), opaque_K1hw)
        best = torch.maximum(best, found.flatten(1).amax(1))
    return float(best.mean())


def correlation(seen_B1HW: Tensor, true_K1hw: Tensor, weights_K1hw: Tensor) -> Tensor:
    """Weighted correlation of each true picture at each place of each picture: (B, K, H-h+1, W-w+1).

    0 where either shows nothing but one brightness.
    """
    total = weights_K1hw.sum((1, 2, 3)).clamp(min=1)[:, None, None, None]
    shares = weights_K1hw / total
    true = true_K1hw - (shares * true_K1hw).sum((1, 2, 3), keepdim=True)
    seen = seen_B1HW - seen_B1HW.mean((1, 2, 3), keepdim=True)  # smaller numbers, smaller rounding
    spread_K = (shares * true.square()).sum((1, 2, 3))
    spread_BKHW = conv2d(seen.square(), shares) - conv2d(seen, shares).square()
    together = conv2d(seen, shares * true)
    drawn = (spread_BKHW > _FLAT) & (spread_K > _FLAT)[:, None, None]
    scale = (spread_BKHW.clamp(min=_FLAT) * spread_K.clamp(min=_FLAT)[:, None, None]).sqrt()
    return torch.where(drawn, together / scale, 0.0)


def like_coloured(actor: str, sprites: Sprites) -> str:
    """The other actor whose mean colour is nearest."""
    colours = sprites.colours
    others = [name for name in colours if name != actor]
    return min(others, key=lambda name: float(np.square(colours[name] - colours[actor]).sum()))
