"""Linear codes of blocks of 8 x 8 x 8 pixels, as many numbers for a block as a latent has channels.

The best linear code of clips, in the squared error, is their principal components. It is the floor that an
autoencoder has to rise above, and what one with `TAEConfig.linear_code` starts from (our choice).

Legend: B batch, T frames, H rows, W columns; lower-case t, h, w count blocks; N blocks, V = 3 * 8^3 values of
a block, K numbers kept of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

BLOCK = 8
"""Side of a block in pixels, and its length in frames: the stride of the autoencoder."""
BLOCK_VALUES = 3 * BLOCK**3
_BLOCK_AXES = {"p": BLOCK, "q": BLOCK, "r": BLOCK}


@dataclass(frozen=True)
class LinearCode:
    """Keeps what a block has in common with K orthonormal directions, around a mean.

    Args:
        mean: (V,).
        basis: (K, V), rows orthonormal.
        std: (K,) deviation along each direction, positive.
    """

    mean: Tensor
    basis: Tensor
    std: Tensor

    def encode(self, frames: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, K, t, h, w) of deviation 1 on what the code was fitted on.

        Extents that are no multiples of 8 are filled up by repeating the last frame, row or column.
        """
        pad = [spare for extent in frames.shape[:1:-1] for spare in (0, -extent % BLOCK)]
        blocks = rearrange(
            F.pad(frames, pad, mode="replicate"),
            "b c (t p) (h q) (w r) -> b t h w (c p q r)",
            **_BLOCK_AXES,
        )
        kept: Tensor = ((blocks - self.mean) @ self.basis.T) / self.std
        return rearrange(kept, "b t h w k -> b k t h w")

    def decode(self, kept: Tensor) -> Tensor:
        """(B, K, t, h, w) to (B, 3, 8*t, 8*h, 8*w)."""
        blocks = (rearrange(kept, "b k t h w -> b t h w k") * self.std) @ self.basis + self.mean
        return rearrange(blocks, "b t h w (c p q r) -> b c (t p) (h q) (w r)", c=3, **_BLOCK_AXES)


def principal_components(clips: Iterable[Tensor], kept: int) -> LinearCode:
    """The best linear code of clips.

    Args:
        clips: each (3, T, H, W), extents in multiples of 8.
        kept: K.

    Raises:
        ValueError: the clips vary along fewer than K directions.
    """
    count = 0
    total = torch.zeros(BLOCK_VALUES, dtype=torch.float64)
    products = torch.zeros(BLOCK_VALUES, BLOCK_VALUES, dtype=torch.float64)
    for clip in clips:
        blocks_NV = as_blocks(clip)
        count += len(blocks_NV)
        total += blocks_NV.sum(dim=0, dtype=torch.float64)
        products += (blocks_NV.T @ blocks_NV).double()
    mean = total / max(count, 1)
    spread = torch.linalg.eigh(products / max(count, 1) - torch.outer(mean, mean))
    variances, directions = spread.eigenvalues[-kept:].flip(0), spread.eigenvectors[:, -kept:].T.flip(0)
    if not float(variances[-1]) > 0:
        raise ValueError(f"the clips must vary along {kept} directions or more to have that many components")
    return LinearCode(mean.float(), directions.contiguous().float(), variances.sqrt().float())


def as_blocks(frames: Tensor) -> Tensor:
    """(3, T, H, W), extents in multiples of 8, as (N, V)."""
    return rearrange(frames, "c (t p) (h q) (w r) -> (t h w) (c p q r)", **_BLOCK_AXES)
