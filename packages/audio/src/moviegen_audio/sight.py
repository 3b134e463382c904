"""A small network that sees the pictures of a film, one by one; in the place of the paper's MetaCLIP (ours).

Motion is not seen here but where the features of neighbouring pictures are projected together
(`AudioDiTConfig.video_kernel`), at a rate that does not depend on the film's.

Legend: F pictures, H rows, W columns, E width of their features.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from moviegen_audio.config import SightConfig

_NORM_GROUPS = 4


class Sight(nn.Module):
    """Convolutions that halve the picture, then a projection of all that is left, so that places count.

    Args:
        config: sizes.
        width: of the features.
    """

    def __init__(self, config: SightConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.width = width
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
                nn.GroupNorm(_NORM_GROUPS, outputs),
                nn.SiLU(),
            )
            for inputs, outputs in pairwise((3, *config.channels))
        )
        # Pictures come as rows of pixels; in this order CPUs take half as long.
        self.levels.to(memory_format=torch.channels_last)
        left = config.side // 2 ** len(config.channels)
        self.out = nn.Linear(config.channels[-1] * left**2, width)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the pictures that it reads."""
        return self.config.side, self.config.side

    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) of pictures (F, 3, H, W) in [-1, 1].

        Raises:
            ValueError: pictures of another size.
        """
        if pictures.ndim != 4 or pictures.shape[1:] != (3, *self.size):
            raise ValueError(
                f"pictures must be (F, 3, {self.size[0]}, {self.size[1]}), not {tuple(pictures.shape)}"
            )
        x_FCHW = pictures.contiguous(memory_format=torch.channels_last)
        for level in self.levels:
            x_FCHW = level(x_FCHW)
        features_FE: Tensor = self.out(x_FCHW.flatten(1))
        return features_FE
