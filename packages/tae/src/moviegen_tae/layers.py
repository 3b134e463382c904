"""Blocks of the 2.5-D autoencoder: 2-D layers on frames, 1-D layers along time (paper, section 3.1.1).

Legend: B batch, T frames, N = B*T frames folded into the batch, C channels, H rows, W columns, P = H*W.
Tensors stay (N, C, H, W) in channels-last memory, which is (B, T, P, C) in order: a convolution along time
is a 2-D convolution over (T, P) on the same memory, so nothing is copied to go from one to the other.

Every layer has two forms: `forward` on whole clips, which is trained, and `stream` on one clip in pieces,
without gradients. Only temporal layers see more than one frame, so a stream holds a few frames of each level,
whatever the length of its clip.

Group norm and spatial attention act on one frame, temporal layers on one position: a frame's own statistics
never depend on how long its clip is (the paper is silent; our choice).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from moviegen_tae.pieces import Kept, regrouped
from moviegen_tae.temporal import TemporalConv, doubled, rows


def _as_time_grid(x_NCHW: Tensor, frames: int) -> Tensor:
    """(B*T, C, H, W) as (B, C, T, P)."""
    N, C, H, W = x_NCHW.shape
    return x_NCHW.permute(0, 2, 3, 1).reshape(N // frames, frames, H * W, C).permute(0, 3, 1, 2)


def _as_frames(x_BCTP: Tensor, height: int, width: int) -> Tensor:
    """(B, C, T, P) as (B*T, C, H, W)."""
    B, C, T, _ = x_BCTP.shape
    return x_BCTP.permute(0, 2, 3, 1).reshape(B * T, height, width, C).permute(0, 3, 1, 2)


class SpaceTimeConv(nn.Module):
    """A 3x3 convolution on every frame, then a convolution along time."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.temporal = TemporalConv(out_channels)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        y: Tensor = self.temporal(self.spatial(x_NCHW), frames)
        return y

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        return self.temporal.stream(map(self.spatial, pieces))


def activated(norm: nn.Module, x_NCHW: Tensor) -> Tensor:
    """Group norm and SiLU, without gradients: in the memory that the norm took."""
    return F.silu(norm(x_NCHW), inplace=True)


class ResBlock(nn.Module):
    """Two space-time convolutions with group norm and SiLU before each, around a shortcut.

    A change of width on the shortcut is a 1x1 convolution: it sees one position, so no temporal one follows.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, in_channels, eps=1e-6)
        self.conv1 = SpaceTimeConv(in_channels, out_channels)
        self.norm2 = nn.GroupNorm(groups, out_channels, eps=1e-6)
        self.conv2 = SpaceTimeConv(out_channels, out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x_NCHW)), frames)
        y = self.conv2(F.silu(self.norm2(y)), frames)
        out: Tensor = y + self.shortcut(x_NCHW)
        return out

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        kept = Kept(pieces)
        y = self.conv1.stream(map(partial(activated, self.norm1), kept))
        y = self.conv2.stream(map(partial(activated, self.norm2), y))
        return kept.added(y, self._add_shortcut)

    def _add_shortcut(self, y_NCHW: Tensor, x_NCHW: Tensor) -> Tensor:
        """In place. A 1x1 convolution is a matrix product on channels-last memory, which adds as it goes."""
        if not isinstance(self.shortcut, nn.Conv2d):
            return y_NCHW.add_(x_NCHW)
        assert self.shortcut.bias is not None
        x_RC, y_RC = (rows(z.to(y_NCHW.dtype)) for z in (x_NCHW, y_NCHW))
        weight, bias = (
            parameter.to(y_NCHW.dtype) for parameter in (self.shortcut.weight, self.shortcut.bias)
        )
        y_RC.add_(bias).addmm_(x_RC, weight[:, :, 0, 0].t())
        return y_NCHW


class Attention(nn.Module):
    """Single-head self-attention over the tokens of (M, S, C), its output projection zero if `identity`."""

    def __init__(self, channels: int, identity: bool) -> None:
        super().__init__()
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        if identity:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, x_MSC: Tensor) -> Tensor:
        q, k, v = (layer(x_MSC)[:, None] for layer in (self.q, self.k, self.v))
        y: Tensor = self.out(F.scaled_dot_product_attention(q, k, v)[:, 0])
        return y


class SpaceTimeAttention(nn.Module):
    """Attention among the positions of a frame, then among the frames of a position, each around a shortcut.

    The temporal one starts as the identity. It has no positions of its own, so it reads any length.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.spatial_norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.spatial = Attention(channels, identity=False)
        self.temporal_norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.temporal = Attention(channels, identity=True)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        N, C, H, W = x_NCHW.shape
        normed_NPC = self.spatial_norm(x_NCHW).permute(0, 2, 3, 1).reshape(N, H * W, C)
        x_NCHW = x_NCHW + self.spatial(normed_NPC).reshape(N, H, W, C).permute(0, 3, 1, 2)
        grid_BCTP = _as_time_grid(self.temporal_norm(x_NCHW), frames)
        y_MTC = self.temporal(grid_BCTP.permute(0, 3, 2, 1).reshape(-1, frames, C))
        y_BCTP = y_MTC.reshape(N // frames, H * W, frames, C).permute(0, 3, 2, 1)
        return x_NCHW + _as_frames(y_BCTP, H, W)


class Downsample(nn.Module):
    """Halves time by a strided convolution, and first rows and columns by another where `spatial`.

    The spatial one pads right and bottom only, as the latent-diffusion autoencoder does.

    Args:
        shortcut: add what `fold_shortcut` makes of the input.
    """

    def __init__(self, in_channels: int, out_channels: int, spatial: bool, shortcut: bool = False) -> None:
        super().__init__()
        self.pad = (0, 1, 0, 1) if spatial else (1, 1, 1, 1)
        self.scale = 2 if spatial else 1
        self.shortcut = shortcut
        self.spatial = nn.Conv2d(in_channels, out_channels, 3, stride=self.scale)
        self.temporal = TemporalConv(out_channels, stride=2)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        y: Tensor = self.temporal(self._shrunk(x_NCHW), frames)
        if self.shortcut:
            y = y + fold_shortcut(x_NCHW, frames, self.scale, y.shape[1])
        return y

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        pieces = regrouped(pieces, multiple=2)
        if not self.shortcut:
            return self.temporal.stream(map(self._shrunk, pieces))
        kept, channels = Kept(pieces), self.spatial.out_channels
        y = self.temporal.stream(map(self._shrunk, kept))
        return kept.added(y, lambda y, x: y.add_(fold_shortcut(x, len(x), self.scale, channels)))

    def _shrunk(self, x_NCHW: Tensor) -> Tensor:
        y: Tensor = self.spatial(F.pad(x_NCHW, self.pad))
        return y


class Upsample(nn.Module):
    """Doubles time, and rows and columns where `spatial`, each by nearest neighbour and a convolution.

    Args:
        shortcut: add what `unfold_shortcut` makes of the input.
    """

    def __init__(self, in_channels: int, out_channels: int, spatial: bool, shortcut: bool = False) -> None:
        super().__init__()
        self.scale = 2 if spatial else 1
        self.shortcut = shortcut
        self.spatial = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.temporal = TemporalConv(out_channels)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:
        z: Tensor = self.temporal(self._grown(x_NCHW).repeat_interleave(2, dim=0), 2 * frames)
        if self.shortcut:
            z = z + unfold_shortcut(x_NCHW, self.scale, z.shape[1])
        return z

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        channels = self.spatial.out_channels
        pieces = regrouped(pieces, growth=2 * self.scale**2 * channels / self.spatial.in_channels)
        grown = self._grown if self.scale == 1 else partial(enlarged, self.spatial)
        if not self.shortcut:
            return self.temporal.stream(map(grown, pieces), repeats=2)
        kept = Kept(pieces)
        y = self.temporal.stream(map(grown, kept), repeats=2)
        return kept.added(y, lambda y, x: y.add_(unfold_shortcut(x, self.scale, channels)))

    def _grown(self, x_NCHW: Tensor) -> Tensor:
        if self.scale > 1:
            x_NCHW = F.interpolate(x_NCHW, scale_factor=self.scale, mode="nearest")
        y: Tensor = self.spatial(x_NCHW)
        return y


def enlarged(conv: nn.Conv2d, x_NCHW: Tensor) -> Tensor:
    """Twice as many rows and columns by nearest neighbour, then a 3x3 convolution, in 4/9 of its arithmetic.

    Of the nine values that such a convolution reads four differ, so each of the four positions that one
    becomes is a 2x2 convolution of the small picture; the large one is never written but as the result.
    Sums of weights are rounded, so training does without.

    Args:
        conv: of zero padding 1.
        x_NCHW: (N, C, H, W).

    Returns:
        (N, C', 2*H, 2*W).
    """
    N, _, H, W = x_NCHW.shape
    y_NCHW: Tensor | None = None
    for row, over_rows in enumerate(doubled(conv.weight, 2)):
        for column, kernel in enumerate(doubled(over_rows, 3)):
            kernel = kernel.contiguous(memory_format=torch.channels_last)
            # Padded at both ends it has a row and a column too many: the last or, for second ones, the first.
            part_NCHW = F.conv2d(x_NCHW, kernel, conv.bias, padding=1)
            if y_NCHW is None:
                y_NCHW = part_NCHW.new_empty(N, 2 * H, 2 * W, conv.out_channels).permute(0, 3, 1, 2)
            y_NCHW[:, :, row::2, column::2] = part_NCHW[:, :, row : row + H, column : column + W]
            del part_NCHW
    assert y_NCHW is not None
    return y_NCHW


def fold_shortcut(x_NCHW: Tensor, frames: int, scale: int, channels: int) -> Tensor:
    """Pairs of frames and squares of positions folded into channels, neighbours of which are averaged.

    It gives a deep encoder a way down without a parameter (DC-AE, arXiv 2410.10733; time is our addition).
    Sums of g values are divided by sqrt(g), so that independent ones keep their variance. An odd last frame
    is paired with itself.

    Args:
        x_NCHW: (B*T, C, H, W).
        scale: side of the squares.
        channels: how many to leave; must divide 2 * scale^2 * C.

    Returns:
        (B*ceil(T/2), channels, H / scale, W / scale).
    """
    x_BTCHW = x_NCHW.reshape(-1, frames, *x_NCHW.shape[1:])
    if frames % 2:
        x_BTCHW = torch.cat([x_BTCHW, x_BTCHW[:, -1:]], dim=1)
    folded = rearrange(x_BTCHW, "b (t s) c (h p) (w q) -> (b t) (c s p q) h w", s=2, p=scale, q=scale)
    group = folded.shape[1] // channels
    grouped = folded.reshape(-1, channels, group, *folded.shape[2:])
    out: Tensor = grouped.sum(dim=2) * group**-0.5
    return out


def unfold_shortcut(x_NCHW: Tensor, scale: int, channels: int) -> Tensor:
    """The way back of `fold_shortcut`: channels repeated as often as needed, then unfolded into positions.

    Args:
        x_NCHW: (N, C, H, W); C must divide 2 * scale^2 * channels.

    Returns:
        (2*N, channels, H * scale, W * scale).
    """
    repeats = 2 * scale**2 * channels // x_NCHW.shape[1]
    repeated = x_NCHW.repeat_interleave(repeats, dim=1)
    return rearrange(repeated, "n (c s p q) h w -> (n s) c (h p) (w q)", s=2, p=scale, q=scale)
