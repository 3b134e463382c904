"""Long and large videos in tiles (paper, section 3.1.1): how they are cut, and how they are joined again.

Along each axis tile i fades out linearly over what it shares with tile i + 1, which fades in; so the weights
of all tiles sum to one everywhere. Weights of rows, columns and frames multiply: tiles are joined along
columns to strips, strips along rows to pictures, pictures along time to the video.

Along time every tile has the full length but the last, which is as long as what is left: whoever streams does
not know how much is to come. Along rows and columns tiles are evened out, since group norm and attention see
one tile of a picture, and a thin last one would differ most from the whole.

Legend: B batch, C channels, T frames, H rows, W columns; lower-case t, h, w on the latent's grid.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
from moviegen_core import Stride, VideoAutoencoder, VideoClip, VideoLatent, VideoShape
from torch import Tensor

from moviegen_tae.memory import decoder_peak, encoder_peak
from moviegen_tae.model import TAE


@dataclass(frozen=True)
class Tiling:
    """Size of the tiles and of what neighbours share, in latent positions: 1 is 8 frames or 8 pixels.

    The defaults along time are the paper's. It does not tile rows and columns; our default there is the
    overlap that it has along time.

    Args:
        frames: length of a tile.
        frame_overlap: shared by neighbours along time when decoding; when encoding they share nothing.
        side: most rows, and columns, of a tile; None: whole pictures.
        side_overlap: rows or columns shared by neighbours, there and back; unused for whole pictures.

    Raises:
        ValueError: a size that is not a positive integer, or an overlap that is not one from 0 to half of it.
    """

    frames: int = 4
    frame_overlap: int = 2
    side: int | None = None
    side_overlap: int = 2

    def __post_init__(self) -> None:
        _check("frames", self.frames, "frame_overlap", self.frame_overlap)
        if self.side is not None:
            _check("side", self.side, "side_overlap", self.side_overlap)

    @classmethod
    def for_budget(cls, num_bytes: int, tae: TAE, shape: VideoShape) -> Self:
        """The largest tiles whose `peak_bytes` are within a budget.

        The whole clip if it fits; else whole pictures, as many frames as fit but not fewer than the default;
        else tiles of the default length, as large as fit.

        Args:
            num_bytes: the budget for one clip; of a batch of B, give a B-th.
            shape: of the clip, in frames and pixels.

        Raises:
            ValueError: not even the smallest tiles fit, or height or width is not a multiple of 8.
        """
        latent = tae.stride.latent(shape)
        smallest = 2 * cls.side_overlap
        whole = [cls(frames) for frames in range(cls.frames, max(latent.frames, cls.frames) + 1)]
        sides = range(smallest, max(latent.height, latent.width, smallest + 1))
        # From small to large; what fits is found by halving, since a larger tile needs more.
        tilings = [*(cls(side=side) for side in sides), *whole]
        fitting = bisect_right(tilings, num_bytes, key=lambda tiling: tiling.peak_bytes(tae, shape))
        if fitting == 0:
            raise ValueError(
                f"num_bytes must be at least {tilings[0].peak_bytes(tae, shape)} for a clip of {shape}, "
                f"not {num_bytes}"
            )
        return tilings[fitting - 1]

    def peak_bytes(self, tae: TAE, shape: VideoShape) -> int:
        """Most memory that one clip takes, there or back, besides weights and what is handed in and out.

        Counted by a run without values: the library that computes a convolution may take more for itself.

        Args:
            shape: of the clip, in frames and pixels.

        Raises:
            ValueError: height or width is not a multiple of 8.
        """
        return max(self.encode_peak_bytes(tae, shape), self.decode_peak_bytes(tae, shape))

    def encode_peak_bytes(self, tae: TAE, shape: VideoShape) -> int:
        """`peak_bytes` of encoding."""
        tile = tae.stride.clip(self._largest_tile(tae.stride.latent(shape)))
        clip = VideoShape(min(tile.frames, shape.frames), tile.height, tile.width)
        return encoder_peak(tae.config, clip, tae.latent_mean)

    def decode_peak_bytes(self, tae: TAE, shape: VideoShape) -> int:
        """`peak_bytes` of decoding."""
        latent = tae.stride.latent(shape)
        tile = self._largest_tile(latent)
        strip = VideoShape(tile.frames, tile.height, latent.width)
        picture = VideoShape(tile.frames, latent.height, latent.width)
        columns, rows = len(self.over_side(latent.width)), len(self.over_side(latent.height))
        # A joined tile waits for the next one; what tiles are joined to is there from the second on.
        waiting = (columns > 1) * tile.positions + (rows > 1) * strip.positions
        waiting += (latent.frames > self.frames) * picture.positions
        waiting += (columns > 2) * strip.positions + (rows > 2) * picture.positions
        waiting_bytes = 3 * tae.stride.volume * waiting * tae.latent_mean.element_size()
        return decoder_peak(tae.config, tile, tae.latent_mean) + waiting_bytes

    def over_side(self, length: int) -> list[slice]:
        """Where tiles lie along rows or columns: as few as `side` allows, alike in length to one position."""
        if self.side is None:
            return [slice(0, length)]
        own = length - self.side_overlap  # every tile but the last shares its end
        count = max(1, -(-own // (self.side - self.side_overlap)))
        starts = [i * own // count for i in range(count + 1)]
        return [slice(start, end + self.side_overlap) for start, end in pairwise(starts)]

    def _largest_tile(self, latent: VideoShape) -> VideoShape:
        height, width = (
            max(span.stop - span.start for span in self.over_side(extent))
            for extent in (latent.height, latent.width)
        )
        return VideoShape(min(self.frames, latent.frames), height, width)


def _check(size_name: str, size: int, overlap_name: str, overlap: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"{size_name} must be a positive integer, not {size!r}")
    half = size // 2
    if isinstance(overlap, bool) or not isinstance(overlap, int) or not 0 <= overlap <= half:
        raise ValueError(
            f"{overlap_name} must be an integer from 0 to half of {size_name}, {half}, not {overlap!r}"
        )


def fade(length: int) -> Tensor:
    """(length,) float64 weights of tile i + 1 where it overlaps tile i, whose weights are the rest to one.

    The paper's j / N, read at the middle of each of the N positions: so a mirrored video gives a mirrored
    result, and where the overlap is one position both tiles count alike.
    """
    return (torch.arange(length, dtype=torch.float64) + 0.5) / max(length, 1)


def joined(tiles: Iterator[Tensor], dim: int, overlap: int) -> Iterator[Tensor]:
    """Parts of one tensor, in order: tiles along `dim`, blended where they overlap. Tiles are changed.

    A tile is given out when the next one is there, so two are held.
    """
    weights = fade(overlap).view(-1, *[1] * (4 - dim))
    held = next(tiles, None)
    if held is None:
        return
    for tile in tiles:
        own = held.shape[dim] - overlap
        head = tile.narrow(dim, 0, overlap)
        head.copy_(torch.lerp(held.narrow(dim, own, overlap), head, weights.to(head)))
        yield held.narrow(dim, 0, own)
        held = tile
    yield held


def collected(parts: Iterator[Tensor], dim: int, length: int) -> Tensor:
    """Parts side by side along `dim`, `length` in all; a single part is given back as it is."""
    whole: Tensor | None = None
    start = 0
    for part in parts:
        extent = part.shape[dim]
        if extent == length:
            return part
        if whole is None:
            whole = part.new_empty([*part.shape[:dim], length, *part.shape[dim + 1 :]])
        whole.narrow(dim, start, extent).copy_(part)
        start += extent
        del part  # or it would be alive while the next one is computed
    assert whole is not None
    return whole


@torch.no_grad()
def encode_picture(tae: VideoAutoencoder, clip: VideoClip, tiling: Tiling) -> Tensor:
    """Latent values (B, C, t, h, w) of a stretch of time, tiled along rows and columns."""
    stride = tae.stride

    def encoded(rows: slice, columns: slice) -> Tensor:
        height, width = _scaled(rows, stride.height), _scaled(columns, stride.width)
        return tae.encode(VideoClip(clip.frames[..., height, width], clip.fps)).values

    return _joined_picture(encoded, stride.latent(clip.shape), tiling, Stride(1, 1, 1))


@torch.no_grad()
def decode_picture(tae: VideoAutoencoder, latent: VideoLatent, tiling: Tiling) -> Tensor:
    """Frames (B, 3, T, H, W) of a stretch of time, tiled along rows and columns."""

    def decoded(rows: slice, columns: slice) -> Tensor:
        part = VideoLatent(latent.values[..., rows, columns], latent.stride, latent.num_frames, latent.fps)
        return tae.decode(part).frames

    return _joined_picture(decoded, latent.shape, tiling, tae.stride)


def _joined_picture(
    tile_at: Callable[[slice, slice], Tensor], extent: VideoShape, tiling: Tiling, scale: Stride
) -> Tensor:
    """All tiles over `extent`; `scale` is how many positions a tile has per latent position."""

    def strip(rows: slice) -> Tensor:
        tiles = (tile_at(rows, columns) for columns in tiling.over_side(extent.width))
        parts = joined(tiles, 4, tiling.side_overlap * scale.width)
        return collected(parts, 4, extent.width * scale.width)

    strips = (strip(rows) for rows in tiling.over_side(extent.height))
    return collected(joined(strips, 3, tiling.side_overlap * scale.height), 3, extent.height * scale.height)


def _scaled(positions: slice, factor: int) -> slice:
    return slice(positions.start * factor, positions.stop * factor)
