"""The cosine code: linear, of the same size as the principal components of clips, but with a fixed basis."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from moviegen_tae import LinearCode
from torch import Tensor

_BLOCK = 8  # pixels and frames of a block
_LUMA, _CHROMA = 10, 3  # how the 16 numbers of a block are shared out; ours


def cosine_code() -> LinearCode:
    """Cosines of lowest frequency: 10 of brightness and 3 of each of two differences of colour."""
    cosines = torch.stack([_cosine(k) for k in range(_BLOCK)])
    frequencies = sorted(
        ((i, j, k) for i in range(_BLOCK) for j in range(_BLOCK) for k in range(_BLOCK)),
        key=lambda f: (f[0] ** 2 + f[1] ** 2 + f[2] ** 2, f),
    )
    # Grey, and two orthonormal directions across it.
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]], dtype=torch.float64)
    rows = []
    for colour, share in zip(colours, (_LUMA, _CHROMA, _CHROMA), strict=True):
        for i, j, k in frequencies[:share]:
            wave = torch.einsum("c,t,h,w->cthw", colour / colour.norm(), cosines[i], cosines[j], cosines[k])
            rows.append(wave.flatten())
    basis = torch.stack(rows).float()
    return LinearCode(torch.zeros(basis.shape[1]), basis, torch.ones(len(basis)))


def _cosine(frequency: int) -> Tensor:
    """(8,) the orthonormal discrete cosine of a frequency."""
    positions = torch.arange(_BLOCK, dtype=torch.float64) + 0.5
    wave = torch.cos(torch.pi * frequency * positions / _BLOCK)
    return F.normalize(wave, dim=0)
