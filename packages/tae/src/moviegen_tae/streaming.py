"""Videos of any length, tile by tile, in memory that does not grow with them.

A tiled video is a stream of one piece, so both ways give the same bits.

Legend: B batch, C channels, T frames, H rows, W columns; lower-case t, h, w on the latent's grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from moviegen_core import VideoClip, VideoLatent
from torch import Tensor

from moviegen_tae.model import TAE
from moviegen_tae.tiling import Tiling, collected, decode_picture, encode_picture, joined


def encode_tiled(tae: TAE, clip: VideoClip, tiling: Tiling) -> VideoLatent:
    """`tae.encode` in tiles, without gradients; with one tile it is the same to the bit.

    Raises:
        ValueError: height or width is not a multiple of 8.
    """
    latent = tae.stride.latent(clip.shape)
    parts = (part.values for part in encode_stream(tae, [clip], tiling))
    return VideoLatent(collected(parts, 2, latent.frames), tae.stride, clip.shape.frames, clip.fps)


def decode_tiled(tae: TAE, latent: VideoLatent, tiling: Tiling) -> VideoClip:
    """`tae.decode` in tiles, without gradients; with one tile it is the same to the bit.

    Raises:
        ValueError: the latent has another stride or number of channels than this model's.
    """
    parts = (part.frames for part in decode_stream(tae, [latent], tiling))
    return VideoClip(collected(parts, 2, latent.num_frames), latent.fps)


@torch.no_grad()
def encode_stream(tae: TAE, clips: Iterable[VideoClip], tiling: Tiling) -> Iterator[VideoLatent]:
    """Latents of a video that comes in pieces, one for each tile along time, as soon as its frames are there.

    Args:
        clips: consecutive pieces of one video, of any lengths; none make no latents.

    Raises:
        ValueError: a piece differs from the first in more than length, or height or width is not a multiple
            of 8. Raised when the stream gets there.
    """
    pieces = _like_first_clip(clips)
    first = next(pieces, None)
    if first is None:
        return
    fps = first.fps
    frames = chain([first.frames], (piece.frames for piece in pieces))
    del first  # a stream keeps no piece longer than it must
    for tile in _cut(frames, tiling.frames * tae.stride.time, 0):
        clip = VideoClip(tile, fps)
        yield VideoLatent(encode_picture(tae, clip, tiling), tae.stride, clip.shape.frames, fps)


@torch.no_grad()
def decode_stream(tae: TAE, latents: Iterable[VideoLatent], tiling: Tiling) -> Iterator[VideoClip]:
    """Frames of a video whose latents come in pieces; they come one tile behind, since tiles overlap.

    Args:
        latents: consecutive pieces of one latent, of any lengths; none make no clips. Only the last may stand
            for fewer frames than its decoder makes.

    Raises:
        ValueError: a piece differs from the first in more than length, a piece follows one that stands for
            fewer frames, or this model decodes other latents. Raised when the stream gets there.
    """
    pieces = _like_first_latent(latents)
    first = next(pieces, None)
    if first is None:
        return
    fps, stride, read, given = first.fps, first.stride, 0, 0

    def values(pieces: Iterator[VideoLatent]) -> Iterator[Tensor]:
        nonlocal read
        for piece in pieces:
            read += piece.num_frames
            yield piece.values

    def decoded(tile: Tensor) -> Tensor:
        return decode_picture(tae, VideoLatent(tile, stride, stride.time * tile.shape[2], fps), tiling)

    tiles = map(decoded, _cut(values(chain([first], pieces)), tiling.frames, tiling.frame_overlap))
    del first
    for frames in joined(tiles, 2, tiling.frame_overlap * stride.time):
        clip = VideoClip(frames[:, :, : read - given], fps)  # all read latents are whole, but at the very end
        given += clip.shape.frames
        yield clip


def _cut(pieces: Iterator[Tensor], size: int, overlap: int) -> Iterator[Tensor]:
    """Tiles along time of what comes in pieces, where `tiling.spans` has them."""
    rest: Tensor | None = None
    old = 0  # how much of the rest was in a tile already
    for piece in pieces:
        rest = piece if rest is None else torch.cat([rest, piece], dim=2)
        del piece
        while rest.shape[2] >= size:
            yield rest[:, :, :size]
            rest, old = rest[:, :, size - overlap :], overlap
    if rest is not None and rest.shape[2] > old:
        yield rest


def _like_first_clip(clips: Iterable[VideoClip]) -> Iterator[VideoClip]:
    first: tuple[object, ...] | None = None
    for clip in clips:
        own = (clip.batch, clip.shape.height, clip.shape.width, clip.fps)
        first = first or own
        if own != first:
            raise ValueError(
                f"every clip of a stream must have the batch, height, width and fps of the first, {first}, "
                f"not {own}"
            )
        yield clip


def _like_first_latent(latents: Iterable[VideoLatent]) -> Iterator[VideoLatent]:
    first: tuple[object, ...] | None = None
    ended = False
    for latent in latents:
        own = (*latent.values.shape[:2], latent.shape.height, latent.shape.width, latent.stride, latent.fps)
        first = first or own
        if own != first:
            raise ValueError(
                f"every latent of a stream must have the batch, channels, height, width, stride and fps of "
                f"the first, {first}, not {own}"
            )
        if ended:
            raise ValueError(
                f"only the last latent of a stream may stand for a number of frames that is not a multiple "
                f"of {latent.stride.time}"
            )
        ended = latent.num_frames % latent.stride.time != 0
        yield latent
