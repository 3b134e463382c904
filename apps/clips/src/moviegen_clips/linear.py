"""Linear codes of the size of the autoencoder's latent: 16 numbers for each block of 8 x 8 x 8 pixels.

The best linear code of clips, in the squared error, is their principal components; it is what an autoencoder
that sees no further than a block and has no nonlinearity could reach at most. The cosine code is the same
with a fixed basis.

Legend: T frames, H rows, W columns, N blocks, V = 3 * 8^3 values of a block, K numbers kept of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

BLOCK = 8
KEPT = 16
_LUMA, _CHROMA = 10, 3  # of the cosine code: how the 16 are shared out; ours
_CHUNK = 32  # frames coded at once


@dataclass(frozen=True)
class LinearCode:
    """Keeps what a block has in common with K orthonormal directions, around a mean.

    Args:
        mean: (V,).
        basis: (K, V), rows orthonormal.
    """

    mean: Tensor
    basis: Tensor

    def coded(self, frames: Tensor) -> Tensor:
        """Frames (3, T, H, W) after coding and decoding; edges are repeated up to whole blocks."""
        parts = [self._coded(part) for part in torch.split(frames, _CHUNK, dim=1)]
        return torch.cat(parts, dim=1)

    def _coded(self, frames: Tensor) -> Tensor:
        T, H, W = frames.shape[1:]
        pad = [spare for extent in (W, H, T) for spare in (0, -extent % BLOCK)]
        padded = F.pad(frames[None], pad, mode="replicate")[0]
        blocks_NV = as_blocks(padded) - self.mean
        coded_NV = (blocks_NV @ self.basis.T) @ self.basis + self.mean
        t, h, w = (extent // BLOCK for extent in padded.shape[1:])
        whole = rearrange(
            coded_NV,
            "(t h w) (c p q r) -> c (t p) (h q) (w r)",
            t=t,
            h=h,
            w=w,
            c=3,
            p=BLOCK,
            q=BLOCK,
            r=BLOCK,
        )
        return whole[:, :T, :H, :W]


def as_blocks(frames: Tensor) -> Tensor:
    """(3, T, H, W), extents in multiples of 8, as (N, V)."""
    return rearrange(frames, "c (t p) (h q) (w r) -> (t h w) (c p q r)", p=BLOCK, q=BLOCK, r=BLOCK)


def principal_components(clips: Iterable[Tensor], kept: int = KEPT) -> LinearCode:
    """The best linear code of clips, each (3, T, H, W) with extents in multiples of 8."""
    V = 3 * BLOCK**3
    count, total, products = 0, torch.zeros(V, dtype=torch.float64), torch.zeros(V, V, dtype=torch.float64)
    for clip in clips:
        blocks_NV = as_blocks(clip)
        count += len(blocks_NV)
        total += blocks_NV.sum(dim=0, dtype=torch.float64)
        products += (blocks_NV.T @ blocks_NV).double()
    mean = total / count
    covariance = products / count - torch.outer(mean, mean)
    directions = torch.linalg.eigh(covariance).eigenvectors  # by rising variance
    return LinearCode(mean.float(), directions[:, -kept:].T.flip(0).contiguous().float())


def cosine_code() -> LinearCode:
    """Cosines of lowest frequency: 10 of brightness and 3 of each of two differences of colour."""
    cosines = torch.stack([_cosine(k) for k in range(BLOCK)])
    frequencies = sorted(
        ((i, j, k) for i in range(BLOCK) for j in range(BLOCK) for k in range(BLOCK)),
        key=lambda f: (f[0] ** 2 + f[1] ** 2 + f[2] ** 2, f),
    )
    # Grey, and two orthonormal directions across it.
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]], dtype=torch.float64)
    rows = []
    for colour, share in zip(colours, (_LUMA, _CHROMA, _CHROMA), strict=True):
        for i, j, k in frequencies[:share]:
            wave = torch.einsum("c,t,h,w->cthw", colour / colour.norm(), cosines[i], cosines[j], cosines[k])
            rows.append(wave.flatten())
    return LinearCode(torch.zeros(3 * BLOCK**3), torch.stack(rows).float())


def _cosine(frequency: int) -> Tensor:
    """(8,) the orthonormal discrete cosine of a frequency."""
    positions = torch.arange(BLOCK, dtype=torch.float64) + 0.5
    wave = torch.cos(torch.pi * frequency * positions / BLOCK)
    return F.normalize(wave, dim=0)
