"""Peak memory of the autoencoder without gradients, counted from its architecture.

Every function names the tensors that are alive together where a stage of the forward pass needs most. They
are counted in values, of one clip; weights, tensors handed in, and what a convolution's library takes for
itself are not in it. Attention is taken to keep no scores, as fused kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from moviegen_core import VideoShape

from moviegen_tae.config import LEVELS, TAEConfig


def encoder_peak(config: TAEConfig, tile: VideoShape) -> int:
    """Values alive at the peak of encoding the clip that `tile`, in latent positions, stands for."""
    clip = config.stride.clip(tile)
    folded = 3 * clip.positions  # the folded pixels stay alive to the end
    levels = _levels(config, tile)
    stages = [3 * levels[0].values + levels[0].padding, _middle(levels[-1])]
    stages += [_blocks(level, count) for level, count in zip(levels, config.encoder_blocks, strict=True)]
    for shallow, deep in pairwise(levels):
        shrunk = deep.channels * shallow.frames * deep.area
        padded = shallow.channels * shallow.frames * (shallow.height + 1) * (shallow.width + 1)
        stages.append(shallow.values + padded + shrunk)
        # Input, frames before and after padding along time, output.
        stages.append(shallow.values + 2 * shrunk + deep.channels * deep.area * 2 + deep.values)
        if config.resampling_shortcuts:  # input and its folded copy; output, path around and their sum
            stages.append(2 * shallow.values + 3 * deep.values)
    return folded + max(stages)


def decoder_peak(config: TAEConfig, tile: VideoShape) -> int:
    """Values alive at the peak of decoding a latent of shape `tile`."""
    pixels = 3 * config.stride.clip(tile).positions
    levels = _levels(config, tile)
    stages = [_middle(levels[-1]), 3 * levels[0].values, 2 * levels[0].values + 3 * pixels]
    stages += [_blocks(level, count) for level, count in zip(levels, config.decoder_blocks, strict=True)]
    for shallow, deep in pairwise(levels):
        grown = deep.channels * deep.frames * shallow.area if shallow.area > deep.area else 0
        # Repeated frames, these padded along time, output; a shortcut adds two copies after the padding.
        made = 4 * shallow.values if config.resampling_shortcuts else 3 * shallow.values + shallow.padding
        stages.append(deep.values + grown + made)
    latent = config.latent_channels * tile.positions
    return 2 * latent + max(stages)  # as given to the decoder, and before its layout changed


@dataclass(frozen=True)
class _Level:
    """Extent of the tensors of one level."""

    channels: int
    frames: int
    height: int
    width: int

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def values(self) -> int:
        return self.channels * self.frames * self.area

    @property
    def padding(self) -> int:
        """Values that a temporal convolution adds before and after."""
        return 2 * self.channels * self.area


def _levels(config: TAEConfig, tile: VideoShape) -> list[_Level]:
    """From pixels to latent."""
    clip = config.stride.clip(tile)
    height, width = clip.height // config.patch_size, clip.width // config.patch_size
    levels = [_Level(config.channels[0], clip.frames, height, width)]
    for i in range(1, LEVELS):
        if config.spatial_halvings[i - 1]:
            height, width = height // 2, width // 2
        levels.append(_Level(config.channels[i], levels[-1].frames // 2, height, width))
    return levels


def _blocks(level: _Level, count: int) -> int:
    """Residual blocks of a level: in the temporal half of the second convolution of one.

    Alive: its input, what its first half made, that normalised, then convolved on frames, then padded along
    time, and the output; from the second block on also the level's input.
    """
    if count == 0:
        return 0
    return (6 if count == 1 else 7) * level.values + level.padding


def _middle(level: _Level) -> int:
    """Attention along time: two inputs, what its spatial part read, norm, layout, q, k, v, read, output."""
    return 10 * level.values
