"""The temporal autoencoder (TAE): video to latent and back, 8 times smaller along each axis (section 3.1.1).

Legend: B batch, T frames, N = B*T, C channels, H rows, W columns; lower-case t, h, w on the latent's grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from moviegen_core import Stride, VideoClip, VideoLatent, VideoShape
from torch import Tensor, nn

from moviegen_tae.config import LEVELS, TAEConfig
from moviegen_tae.layers import Downsample, ResBlock, SpaceTimeAttention, SpaceTimeConv, Upsample, activated
from moviegen_tae.linear import BLOCK_VALUES, LinearCode
from moviegen_tae.pieces import regrouped

_FIRST_LOG_VARIANCE = -5.0
"""Of the posterior around a linear code before training; ours: noise that the code hardly feels."""


def _channels_last(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Posterior:
    """Diagonal Gaussian over latents, before normalisation.

    Args:
        mean: (B, C, t, h, w).
        log_variance: (B, C, t, h, w), natural logarithm.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw, (B, C, t, h, w); the noise comes from `generator`, which lives on the CPU."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise.to(self.mean.device)

    def kl(self) -> Tensor:
        """Kullback-Leibler divergence to the standard normal, in nats, as a mean over all latent values."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance).mean()


class _Level(nn.Module):
    """Residual blocks of one resolution; the first may change the width."""

    def __init__(self, in_channels: int, channels: int, blocks: int, groups: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResBlock(channels if i else in_channels, channels, groups) for i in range(blocks)
        )

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        for block in self.blocks:
            x_NCHW = block(x_NCHW, frames)
        return x_NCHW

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        for block in self.blocks:
            pieces = cast(ResBlock, block).stream(pieces)
        return pieces


class _Middle(nn.Module):
    """Residual block, attention, residual block, at the latent's resolution."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.block1 = ResBlock(channels, channels, groups)
        self.attention = SpaceTimeAttention(channels, groups)
        self.block2 = ResBlock(channels, channels, groups)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        x_NCHW = self.attention(self.block1(x_NCHW, frames), frames)
        y: Tensor = self.block2(x_NCHW, frames)
        return y


class Encoder(nn.Module):
    """Pixels (N, 3*p*p, H/p, W/p) to mean and log variance (N', 2*C, h, w)."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        widths, groups = config.channels, config.norm_groups
        # The width that each level begins with.
        entries = (widths[0], *(widths[:-1] if config.width_changes_in == "blocks" else widths[1:]))
        self.conv_in = SpaceTimeConv(3 * config.patch_size**2, widths[0])
        self.levels = nn.ModuleList(
            _Level(entry, width, blocks, groups)
            for entry, width, blocks in zip(entries, widths, config.encoder_blocks, strict=True)
        )
        self.downsamples = nn.ModuleList(
            Downsample(widths[i], entries[i + 1], config.spatial_halvings[i], config.resampling_shortcuts)
            for i in range(LEVELS - 1)
        )
        self.middle = _Middle(widths[-1], groups)
        self.norm_out = nn.GroupNorm(groups, widths[-1], eps=1e-6)
        self.conv_out = SpaceTimeConv(widths[-1], 2 * config.latent_channels)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        x_NCHW = self.conv_in(x_NCHW, frames)
        for i, level in enumerate(self.levels):
            if i > 0:
                x_NCHW = self.downsamples[i - 1](x_NCHW, frames)
                frames = -(-frames // 2)
            x_NCHW = level(x_NCHW, frames)
        x_NCHW = self.middle(x_NCHW, frames)
        y: Tensor = self.conv_out(F.silu(self.norm_out(x_NCHW)), frames)
        return y

    def stream(self, pieces: Iterator[Tensor]) -> Tensor:
        """The same for one clip that comes in pieces, without gradients."""
        pieces = self.conv_in.stream(pieces)
        for i, level in enumerate(self.levels):
            if i > 0:
                pieces = cast(Downsample, self.downsamples[i - 1]).stream(pieces)
            pieces = cast(_Level, level).stream(regrouped(pieces))
        x_NCHW = torch.cat(list(pieces))
        frames = len(x_NCHW)
        y: Tensor = self.conv_out(activated(self.norm_out, self.middle(x_NCHW, frames)), frames)
        return y


class Decoder(nn.Module):
    """Latent (N, C, h, w) to pixels (8*N, 3*p*p, H/p, W/p)."""

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        widths, groups = config.channels, config.norm_groups
        # The width that each level begins with; the decoder goes from the last level to the first.
        entries = (*(widths[1:] if config.width_changes_in == "blocks" else widths[:-1]), widths[-1])
        latents = config.latent_channels
        self.latent_projection = nn.Conv2d(latents, latents, 1) if config.latent_projection else nn.Identity()
        self.conv_in = SpaceTimeConv(latents, widths[-1])
        self.middle = _Middle(widths[-1], groups)
        self.levels = nn.ModuleList(
            _Level(entry, width, blocks, groups)
            for entry, width, blocks in zip(entries, widths, config.decoder_blocks, strict=True)
        )
        self.upsamples = nn.ModuleList(
            Upsample(widths[i + 1], entries[i], config.spatial_halvings[i], config.resampling_shortcuts)
            for i in range(LEVELS - 1)
        )
        self.norm_out = nn.GroupNorm(groups, widths[0], eps=1e-6)
        self.conv_out = SpaceTimeConv(widths[0], 3 * config.patch_size**2)

    def forward(self, z_NCHW: Tensor, frames: int) -> Tensor:
        x_NCHW = self.conv_in(self.latent_projection(z_NCHW), frames)
        x_NCHW = self.middle(x_NCHW, frames)
        for i in reversed(range(LEVELS)):
            x_NCHW = self.levels[i](x_NCHW, frames)
            if i > 0:
                x_NCHW = self.upsamples[i - 1](x_NCHW, frames)
                frames = 2 * frames
        y: Tensor = self.conv_out(F.silu(self.norm_out(x_NCHW)), frames)
        return y

    def stream(self, z_NCHW: Tensor) -> Iterator[Tensor]:
        """The same for one clip that goes in pieces, without gradients."""
        frames = len(z_NCHW)
        x_NCHW = self.middle(self.conv_in(self.latent_projection(z_NCHW), frames), frames)
        pieces = iter([x_NCHW])
        for i in reversed(range(LEVELS)):
            pieces = cast(_Level, self.levels[i]).stream(regrouped(pieces))
            if i > 0:
                pieces = cast(Upsample, self.upsamples[i - 1]).stream(pieces)
        return self.conv_out.stream(map(partial(activated, self.norm_out), pieces))


class _CodeBuffers(nn.Module):
    """A `LinearCode` that is saved with the weights and not trained; before one is set it codes all as 0."""

    mean: Tensor
    basis: Tensor
    std: Tensor

    def __init__(self, kept: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(BLOCK_VALUES))
        self.register_buffer("basis", torch.zeros(kept, BLOCK_VALUES))
        self.register_buffer("std", torch.ones(kept))

    @property
    def code(self) -> LinearCode:
        return LinearCode(self.mean, self.basis, self.std)


class TAE(nn.Module):
    """Temporal autoencoder: any number of frames, rows and columns in multiples of 8; an image is one frame.

    T frames become ceil(T / 8) latent frames; what the decoder makes beyond T frames is dropped (Fig. 4).
    Latents that leave `encode` are normalised per channel by buffers that are saved with the weights.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: TAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))
        self.linear_code = _CodeBuffers(config.latent_channels) if config.linear_code else None
        if config.linear_code:
            self._add_nothing()
        for parameter in self.parameters():
            if parameter.dim() == 4:  # or every convolution would reorder its kernel
                parameter.data = _channels_last(parameter.data)

    @property
    def stride(self) -> Stride:
        """Clip positions per latent position: 8 along each axis."""
        return self.config.stride

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.config.latent_channels

    def posterior(self, clip: VideoClip) -> Posterior:
        """Mean and log variance of the latent of a clip, not normalised: what training needs.

        Raises:
            ValueError: height or width is not a multiple of 8.
        """
        latent = self.stride.latent(clip.shape)
        clips_BTCHW = clip.frames.transpose(1, 2)
        if torch.is_grad_enabled():
            moments_NCHW = self.encoder(self._folded(clips_BTCHW.flatten(0, 1)), clip.shape.frames)
        else:
            growth = self.config.channels[0] / 3 / self.config.patch_size**2
            streams = (regrouped(iter([frames]), growth=growth) for frames in clips_BTCHW)
            moments_NCHW = torch.cat([self.encoder.stream(map(self._folded, pieces)) for pieces in streams])
        moments = rearrange(moments_NCHW, "(b t) c h w -> b c t h w", t=latent.frames)
        mean, log_variance = moments.chunk(2, dim=1)
        if self.linear_code is not None:
            mean = mean + self.linear_code.code.encode(clip.frames)
        return Posterior(mean, log_variance.clamp(-30.0, 20.0))

    def encode(self, clip: VideoClip) -> VideoLatent:
        """The normalised posterior mean of a clip.

        Raises:
            ValueError: height or width is not a multiple of 8.
        """
        values = self.normalise(self.posterior(clip).mean)
        return VideoLatent(values, self.stride, clip.shape.frames, clip.fps)

    def decode(self, latent: VideoLatent) -> VideoClip:
        """The clip of a latent, unclamped.

        Raises:
            ValueError: the latent has another stride or number of channels than this model's.
        """
        if latent.stride != self.stride or latent.values.shape[1] != self.latent_channels:
            raise ValueError(
                f"this autoencoder decodes {self.latent_channels} channels at {self.stride}, "
                f"not {latent.values.shape[1]} at {latent.stride}"
            )
        frames = self.decode_moments(self.denormalise(latent.values), latent.clip_shape)
        return VideoClip(frames, latent.fps)

    def decode_moments(self, z: Tensor, clip_shape: VideoShape) -> Tensor:
        """Frames (B, 3, T, H, W) of latents (B, C, t, h, w) that are not normalised: what training needs."""
        z_BTCHW = z.transpose(1, 2).contiguous()
        if torch.is_grad_enabled():
            x_NCHW = self._unfolded(self.decoder(_channels_last(z_BTCHW.flatten(0, 1)), z.shape[2]))
            frames: Tensor = rearrange(x_NCHW, "(b t) c h w -> b c t h w", b=len(z))
            if self.linear_code is not None:
                frames = frames + self.linear_code.code.decode(z)
            return frames[:, :, : clip_shape.frames]
        frames = z.new_empty(len(z), 3, clip_shape.frames, clip_shape.height, clip_shape.width)
        for frames_CTHW, z_TCHW in zip(frames, z_BTCHW, strict=True):
            start = 0
            for piece in map(self._unfolded, self.decoder.stream(_channels_last(z_TCHW))):
                stop = min(start + len(piece), clip_shape.frames)
                frames_CTHW[:, start:stop] = piece[: stop - start].transpose(0, 1)
                start = stop
                if start == clip_shape.frames:  # what the decoder would make beyond is never computed
                    break
        if self.linear_code is not None:
            frames += self.linear_code.code.decode(z)[:, :, : clip_shape.frames]
        return frames

    def _folded(self, x_NCHW: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) with squares of them folded into channels."""
        p = self.config.patch_size
        return _channels_last(rearrange(x_NCHW, "n c (h p) (w q) -> n (c p q) h w", p=p, q=p))

    def _unfolded(self, x_NCHW: Tensor) -> Tensor:
        p = self.config.patch_size
        return rearrange(x_NCHW, "n (c p q) h w -> n c (h p) (w q)", p=p, q=p)

    def normalise(self, mean: Tensor) -> Tensor:
        """Posterior means (B, C, t, h, w) to latents of about mean 0, deviation 1 or less per channel."""
        return (mean - self.latent_mean.view(-1, 1, 1, 1)) / self.latent_std.view(-1, 1, 1, 1)

    def denormalise(self, values: Tensor) -> Tensor:
        """Inverse of `normalise`."""
        return values * self.latent_std.view(-1, 1, 1, 1) + self.latent_mean.view(-1, 1, 1, 1)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Set the per-channel statistics (C,) of draws of the posterior over training clips.

        Raises:
            ValueError: wrong shape, not finite, or a deviation that is not positive.
        """
        expected = self.latent_mean.shape
        if mean.shape != expected or std.shape != expected:
            raise ValueError(f"mean and std must have shape {tuple(expected)}")
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise ValueError("mean and std must be finite, and std positive")
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    def set_linear_code(self, code: LinearCode) -> None:
        """Set what runs beside the network; with new weights the model is then that code and nothing else.

        Raises:
            ValueError: the architecture has no `linear_code`, or this one has another shape or is not finite.
        """
        if self.linear_code is None:
            raise ValueError("this autoencoder has no linear code: its config says linear_code=False")
        for name in ("mean", "basis", "std"):
            given, own = getattr(code, name), getattr(self.linear_code, name)
            if given.shape != own.shape or not bool(torch.isfinite(given).all()):
                raise ValueError(
                    f"{name} must be finite and of shape {tuple(own.shape)}, not {tuple(given.shape)}"
                )
            own.copy_(given)

    def _add_nothing(self) -> None:
        """Let the network start by adding 0 to the linear code."""
        for last in (self.encoder.conv_out.spatial, self.decoder.conv_out.spatial):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)
        with torch.no_grad():
            assert self.encoder.conv_out.spatial.bias is not None
            self.encoder.conv_out.spatial.bias[self.latent_channels :] = _FIRST_LOG_VARIANCE
