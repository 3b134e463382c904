"""Videos of any length, tile by tile, in memory that does not grow with them.

A tiled video is a stream of one piece, so both ways give the same bits. What was handed on is let go (`del`)
before more is asked for, or every stage would hold one more piece than it needs.

Legend: B batch, C channels, T frames, H rows, W columns; lower-case t, h, w on the latent's grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from moviegen_core import VideoAutoencoder, VideoClip, VideoLatent
from torch import Tensor

from moviegen_tae.tiling import Tiling, collected, decode_picture, encode_picture, joined

_Piece = TypeVar("_Piece", VideoClip, VideoLatent)


def encode_tiled(tae: VideoAutoencoder, clip: VideoClip, tiling: Tiling) -> VideoLatent:
    """`tae.encode` in tiles, without gradients; with one tile it is the same to the bit.

    Raises:
        ValueError: height or width is not a multiple of 8.
    """
    parts = map(_values, encode_stream(tae, [clip], tiling))
    values = collected(parts, 2, tae.stride.latent(clip.shape).frames)
    return VideoLatent(values, tae.stride, clip.shape.frames, clip.fps)


def decode_tiled(tae: VideoAutoencoder, latent: VideoLatent, tiling: Tiling) -> VideoClip:
    """`tae.decode` in tiles, without gradients; with one tile it is the same to the bit.

    Raises:
        ValueError: the latent has another stride or number of channels than this model's.
    """
    parts = map(_frames, decode_stream(tae, [latent], tiling))
    return VideoClip(collected(parts, 2, latent.num_frames), latent.fps)


def encode_stream(tae: VideoAutoencoder, clips: Iterable[VideoClip], tiling: Tiling) -> Iterator[VideoLatent]:
    """Latents of a video that comes in pieces, one for each tile along time, as soon as its frames are there.

    Args:
        clips: consecutive pieces of one video, of any lengths; none make no latents.

    Raises:
        ValueError: a piece differs from the first in more than length, or height or width is not a multiple
            of 8. Raised when the stream gets there.
    """
    fps = 0.0

    def frames() -> Iterator[Tensor]:
        nonlocal fps
        for clip in _alike(clips, _frames):
            fps = clip.fps
            yield clip.frames
            del clip

    for tile in _cut(frames(), tiling.frames * tae.stride.time, 0):
        values = encode_picture(tae, VideoClip(tile, fps), tiling)
        yield VideoLatent(values, tae.stride, tile.shape[2], fps)
        del tile, values


def decode_stream(
    tae: VideoAutoencoder, latents: Iterable[VideoLatent], tiling: Tiling
) -> Iterator[VideoClip]:
    """Frames of a video whose latents come in pieces; they come one tile behind, since tiles overlap.

    Args:
        latents: consecutive pieces of one latent, of any lengths; none make no clips. Only the last may stand
            for fewer frames than its decoder makes.

    Raises:
        ValueError: a piece differs from the first in more than length, a piece follows one that stands for
            fewer frames, or this model decodes other latents. Raised when the stream gets there.
    """
    stride = tae.stride
    fps, read, given = 0.0, 0, 0

    def values() -> Iterator[Tensor]:
        nonlocal fps, read
        for latent in _alike(latents, _values):
            if latent.stride != stride:
                raise ValueError(f"this autoencoder decodes latents at {stride}, not at {latent.stride}")
            if read % stride.time:
                raise ValueError(
                    f"only the last latent of a stream may stand for a number of frames that is not a "
                    f"multiple of {stride.time}; {read} frames were before it"
                )
            fps, read = latent.fps, read + latent.num_frames
            yield latent.values
            del latent

    def decoded(tile: Tensor) -> Tensor:
        return decode_picture(tae, VideoLatent(tile, stride, stride.time * tile.shape[2], fps), tiling)

    tiles = map(decoded, _cut(values(), tiling.frames, tiling.frame_overlap))
    for frames in joined(tiles, 2, tiling.frame_overlap * stride.time):
        frames = frames[:, :, : read - given]  # only at the very end is less read than decoded
        given += frames.shape[2]
        yield VideoClip(frames, fps)
        del frames


def _cut(pieces: Iterator[Tensor], size: int, overlap: int) -> Iterator[Tensor]:
    """Tiles along time of what comes in pieces; the last has what is left, if that is not in one already."""
    waiting: list[Tensor] = []
    length = old = 0  # of what waits, and how much of it was in a tile already
    for piece in pieces:
        length += piece.shape[2]
        waiting.append(piece)
        del piece
        if length < size:
            continue
        rest = _whole(waiting)
        waiting.clear()
        while length >= size:
            yield rest[:, :, :size]
            rest, length, old = rest[:, :, size - overlap :], length - size + overlap, overlap
        if length:
            waiting.append(rest)
        del rest
    if length > old:
        yield _whole(waiting)


def _whole(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts, dim=2) if len(parts) > 1 else parts[0]


def _alike(pieces: Iterable[_Piece], tensor_of: Callable[[_Piece], Tensor]) -> Iterator[_Piece]:
    """The pieces, as long as they differ from the first in length alone."""
    first: dict[str, object] = {}
    for piece in pieces:
        tensor = tensor_of(piece)
        names = ("batch size", "number of channels", "height", "width")
        own: dict[str, object] = dict(zip(names, tensor.shape[:2] + tensor.shape[3:], strict=True))
        own |= {"fps": piece.fps, "dtype": tensor.dtype, "device": tensor.device}
        first = first or own
        for name, value in own.items():
            if value != first[name]:
                raise ValueError(f"every piece must have the {name} of the first, {first[name]}, not {value}")
        yield piece
        del piece, tensor


def _values(latent: VideoLatent) -> Tensor:
    return latent.values


def _frames(clip: VideoClip) -> Tensor:
    return clip.frames
