"""A small network that watches a film for what can be heard; in the place of the paper's MetaCLIP (ours).

It is trained before the transformer, on when something begins to sound, and on its timbre. From the loss of
flow matching alone a small transformer did not learn to see: what a picture says of a latent is little beside
what nobody can foretell of it.

Legend: B batch, F pictures, H rows, W columns, T frames of sound, E width of the features, M bands.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moviegen_audio.config import SightConfig

_NORM_GROUPS = 4


class Sight(nn.Module):
    """Features of single pictures, then of what moves from one to the next.

    Args:
        config: sizes.
    """

    def __init__(self, config: SightConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
                nn.GroupNorm(_NORM_GROUPS, outputs),
                nn.SiLU(),
            )
            for inputs, outputs in pairwise((3, *config.channels))
        )
        self.finer = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(_NORM_GROUPS, channels),
                nn.SiLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for channels in config.channels
        )
        # Pictures come as rows of pixels; in this order CPUs take half as long.
        self.levels.to(memory_format=torch.channels_last)
        self.finer.to(memory_format=torch.channels_last)
        left = config.side // 2 ** len(config.channels)
        self.out = nn.Linear(config.channels[-1] * left**2, width)  # of all places, for where it is counts
        self.near = nn.Linear(config.frames * width, 2 * width)
        self.norm = nn.LayerNorm(2 * width)
        self.around = nn.Linear(2 * width, width)
        self.foreseen = nn.Linear(width, 1 + config.bands)

    @property
    def width(self) -> int:
        """E, width of the features."""
        return self.config.width

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the pictures that it reads."""
        return self.config.side, self.config.side

    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) of pictures (F, 3, H, W) in [-1, 1], one by one.

        Raises:
            ValueError: pictures of another size.
        """
        if pictures.ndim != 4 or pictures.shape[1:] != (3, *self.size):
            raise ValueError(
                f"pictures must be (F, 3, {self.size[0]}, {self.size[1]}), not {tuple(pictures.shape)}"
            )
        x_FCHW = pictures.contiguous(memory_format=torch.channels_last)
        for level, finer in zip(self.levels, self.finer, strict=True):
            x_FCHW = level(x_FCHW)
            x_FCHW = x_FCHW + finer(x_FCHW)
        features_FE: Tensor = self.out(x_FCHW.flatten(1))
        return features_FE

    def watch(self, features: Tensor) -> Tensor:
        """(B, T, E): what is seen around each frame of sound, of the features (B, T, E) of its pictures.

        Before the first frame and after the last the film stands still.
        """
        aside = self.config.frames // 2
        first_B1E, last_B1E = features[:, :1], features[:, -1:]
        padded_BTE = torch.cat(
            [first_B1E.expand(-1, aside, -1), features, last_B1E.expand(-1, aside, -1)], dim=1
        )
        near_BTE = padded_BTE.unfold(1, self.config.frames, 1).flatten(2)
        hidden_BTE = F.gelu(self.norm(self.near(near_BTE.to(self.near.weight.dtype))))
        around_BTE: Tensor = self.around(hidden_BTE)
        return around_BTE

    def foresee(self, around: Tensor) -> tuple[Tensor, Tensor]:
        """What is heard, of what is seen around each frame (B, T, E): all that it is trained on.

        A transformer reads `watch`.

        Returns:
            (B, T) logits that something begins to sound, and (B, T, M) how loud each band is after that.
        """
        foreseen_BTM: Tensor = self.foreseen(around)
        return foreseen_BTM[..., 0], foreseen_BTM[..., 1:]
