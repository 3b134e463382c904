"""What the video transformer knows about its samples besides latent and time.

Legend: B batch, S video tokens, L prompt tokens, D width, N heads, K channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from moviegen_core import VideoShape
from torch import Tensor

from moviegen_dit.kernels.packing import Packing


@dataclass(frozen=True)
class Positions:
    """Sum of the position tables for samples of one size.

    Args:
        tokens: along each axis.
        table: (S, D).
    """

    tokens: VideoShape
    table: Tensor


@dataclass(frozen=True)
class PreparedConditions:
    """Keys and values of the prompts in every layer: computed once a sample, used at every solver step.

    `VideoDiT.prepare` makes it; it belongs to the weights that made it.

    Args:
        keys: one (B, L, N, K) a layer.
        values: one (B, L, N, K) a layer.
        key_lengths: (B,) int64 number of tokens of each prompt; tokens beyond it are padding.
        positions: of the samples' size, as `VideoDiT.placed` adds them; None: summed anew at every step.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    key_lengths: Tensor
    positions: Positions | None = None

    @property
    def batch(self) -> int:
        return self.key_lengths.shape[0]

    def joined(self, other: PreparedConditions) -> PreparedConditions:
        """One batch of this one's samples, then the other's; the shorter prompts are padded."""
        return PreparedConditions(
            keys=tuple(map(_stacked, self.keys, other.keys)),
            values=tuple(map(_stacked, self.values, other.values)),
            key_lengths=torch.cat([self.key_lengths, other.key_lengths]),
            positions=self.positions or other.positions,
        )


@dataclass(frozen=True)
class Packed:
    """Whose the rows of a packed batch are.

    Args:
        tokens: of the videos.
        prompts: of the prompts, padding and all.
    """

    tokens: Packing
    prompts: Packing


def _stacked(first_BLNK: Tensor, second_BLNK: Tensor) -> Tensor:
    length = max(first_BLNK.shape[1], second_BLNK.shape[1])
    return torch.cat([_lengthened(x, length) for x in (first_BLNK, second_BLNK)])


def _lengthened(x_BLNK: Tensor, length: int) -> Tensor:
    missing = length - x_BLNK.shape[1]
    return F.pad(x_BLNK, (0, 0, 0, 0, 0, missing)) if missing else x_BLNK


def packed(tokens_BLD: Tensor, mask_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Move the real tokens of each sample to the front, in order, and count them.

    Encoders pad each for itself, so their concatenation has padding inside, and attention takes lengths.

    Args:
        mask_BL: True where a real token stands.

    Returns:
        (B, L, D) tokens, whose padding is 0, and (B,) lengths.
    """
    order_BL = mask_BL.byte().argsort(dim=1, descending=True, stable=True)
    tokens_BLD = tokens_BLD.masked_fill(~mask_BL[..., None], 0.0)
    return torch.take_along_dim(tokens_BLD, order_BL[..., None], dim=1), mask_BL.sum(dim=1)
