"""Tiles cover a video without gaps, their weights sum to one, and one tile is no tiling at all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from moviegen_core import Stride, VideoClip, VideoLatent
from moviegen_tae import TAE, TAEConfig, Tiling, decode_tiled, encode_tiled
from moviegen_tae.tiling import fade, joined
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
TINY = TAEConfig(
    channels=(4, 4, 8, 8),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 0, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=2,
)


@dataclass(frozen=True)
class Corners:
    """A linear autoencoder by hand: the latent is every eighth value, and the clip repeats it.

    It sees one position at a time, so tiles of it agree where they overlap. `drift` adds the mean of a tile,
    so they no longer do, and blending shows. `ramp` makes the frames of a latent frame differ.
    """

    drift: float = 0.0
    ramp: float = 0.0
    stride = Stride(8, 8, 8)
    latent_channels = 3

    def encode(self, clip: VideoClip) -> VideoLatent:
        values = clip.frames[:, :, ::8, ::8, ::8] + self.drift * clip.frames.mean(dim=(2, 3, 4), keepdim=True)
        return VideoLatent(values, self.stride, clip.shape.frames, clip.fps)

    def decode(self, latent: VideoLatent) -> VideoClip:
        values = latent.values
        for dim in (2, 3, 4):
            values = values.repeat_interleave(8, dim)
        growth = 1 + self.ramp * torch.arange(8, dtype=values.dtype).repeat(latent.shape.frames)
        frames = values * growth[:, None, None] + self.drift * values.mean(dim=(2, 3, 4), keepdim=True)
        return VideoClip(frames[:, :, : latent.num_frames], latent.fps)


def make_tae(seed: int = 0) -> TAE:
    torch.manual_seed(seed)
    tae = TAE(TINY).eval()
    with torch.no_grad():
        for parameter in tae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return tae


def noise(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make_clip(frames: int, height: int = 16, width: int = 16, batch: int = 1) -> VideoClip:
    return VideoClip(noise(batch, 3, frames, height, width), fps=8.0)


def make_latent(frames: int, height: int, width: int, channels: int = 4) -> VideoLatent:
    values = noise(1, channels, frames, height, width)
    return VideoLatent(values, Stride(8, 8, 8), 8 * frames, fps=8.0)


SIZES = [(1, 0), (2, 0), (2, 1), (3, 1), (4, 2), (5, 1), (5, 2), (7, 3), (8, 1), (8, 4), (16, 2), (16, 8)]
LENGTHS = [*range(1, 40), 45, 61, 90, 160]


@pytest.mark.parametrize(("side", "overlap"), SIZES)
def test_tiles_cover_every_length_evenly_and_share_what_they_should(side: int, overlap: int) -> None:
    tiling = Tiling(side=side, side_overlap=overlap)
    for length in LENGTHS:
        tiles = tiling.over_side(length)
        sizes = [tile.stop - tile.start for tile in tiles]
        assert (tiles[0].start, tiles[-1].stop) == (0, length)
        assert all(before.stop - after.start == overlap for before, after in pairwise(tiles))
        assert max(sizes) <= side
        assert max(sizes) - min(sizes) <= 1
        if len(tiles) > 1:  # one tile less could not reach
            assert (len(tiles) - 1) * (side - overlap) + overlap < length


@pytest.mark.parametrize("overlap", [1, 2, 3, 8, 16])
def test_one_tile_fades_out_as_the_next_fades_in(overlap: int) -> None:
    weights = fade(overlap)
    steps = weights.diff()
    assert ((weights > 0) & (weights < 1)).all()
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / overlap))
    # What one tile loses, the other gains: mirrored, the weights are each other's.
    torch.testing.assert_close(weights + weights.flip(0), torch.ones_like(weights))
    # A tile of zeros before a tile of ones shows the second tile's weights.
    tiles = [torch.zeros(1, 1, overlap + 3, 1, 1).double(), torch.ones(1, 1, overlap + 2, 1, 1).double()]
    result = torch.cat(list(joined(iter(tiles), 2, overlap)), dim=2).flatten()
    expected = [0.0] * 3 + [float(Fraction(2 * j + 1, 2 * overlap)) for j in range(overlap)] + [1.0] * 2
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(("size", "overlap"), SIZES)
@pytest.mark.parametrize("dim", [2, 3, 4])
def test_weights_of_all_tiles_sum_to_one_at_every_position(size: int, overlap: int, dim: int) -> None:
    """Tile i of unit vectors e_i: what comes out are the weights of each tile, one channel a tile."""
    for length in (1, 2, 5, 6, 9, 16, 17, 23, 31):
        tiles = Tiling(side=size, side_overlap=overlap).over_side(length)
        shape = [1, len(tiles), 1, 1, 1]
        ones = torch.eye(len(tiles), dtype=torch.float64)
        parts = []
        for i, tile in enumerate(tiles):
            shape[dim] = tile.stop - tile.start
            parts.append(ones[i].view(1, -1, 1, 1, 1).expand(shape).clone())
        weights = torch.cat(list(joined(iter(parts), dim, overlap)), dim)
        assert weights.shape[dim] == length
        assert (weights >= 0).all()
        torch.testing.assert_close(
            weights.sum(dim=1), torch.ones_like(weights.sum(dim=1)), rtol=0, atol=1e-15
        )
        for i, tile in enumerate(tiles):  # and a tile has no weight where it is not
            own = weights[:, i].flatten()
            assert own[: tile.start].eq(0).all()
            assert own[tile.stop :].eq(0).all()


def blended(length: int, tiles: list[tuple[int, Array]], overlap: int, axis: int) -> Array:
    """Tiles as (where it begins, its values) along an axis, by their weights written out: trapezoids."""
    shape = list(tiles[0][1].shape)
    shape[axis] = length
    total, weight_sum = np.zeros(shape), np.zeros(length)
    for i, (start, values) in enumerate(tiles):
        size = values.shape[axis]
        weights = np.ones(size)
        for j in range(overlap):
            if i > 0:
                weights[j] *= (j + 0.5) / overlap
            if i < len(tiles) - 1:
                weights[size - 1 - j] *= (j + 0.5) / overlap
        along = [slice(None)] * 5
        along[axis] = slice(start, start + size)
        total[tuple(along)] += values * weights.reshape([-1 if k == axis else 1 for k in range(5)])
        weight_sum[start : start + size] += weights
    np.testing.assert_allclose(weight_sum, 1.0, rtol=0, atol=1e-12)
    return total


def starts_along_time(length: int, size: int, overlap: int) -> list[int]:
    """Where tiles begin, found by walking: another begins only if something is left over for it."""
    starts, start = [0], 0
    while start + size < length:
        start += size - overlap
        starts.append(start)
    return starts


TILINGS = [
    (Tiling(), 9, (3, 4)),
    (Tiling(frames=3, frame_overlap=1), 8, (3, 4)),
    (Tiling(frames=2, frame_overlap=0), 5, (2, 2)),
    (Tiling(frames=16, side=4, side_overlap=2), 2, (7, 10)),
    (Tiling(frames=16, side=5, side_overlap=1), 2, (9, 5)),
    (Tiling(side=3, side_overlap=1), 7, (5, 7)),
    (Tiling(frames=5, frame_overlap=2, side=2, side_overlap=0), 11, (3, 5)),
]


@pytest.mark.parametrize(("tiling", "frames", "sides"), TILINGS)
def test_decoding_agrees_with_weights_written_out(
    tiling: Tiling, frames: int, sides: tuple[int, int]
) -> None:
    """Against float64 sums of whole trapezoids, with an autoencoder whose tiles disagree."""
    model = Corners(drift=0.7, ramp=0.1)
    latent = make_latent(frames, *sides, channels=3)
    latent = VideoLatent(latent.values.double(), latent.stride, latent.num_frames - 3, latent.fps)

    def decoded(t: slice, h: slice, w: slice) -> Array:
        values = latent.values[:, :, t, h, w]
        return model.decode(VideoLatent(values, latent.stride, 8 * values.shape[2], 8.0)).frames.numpy()

    videos = []
    rows, columns = tiling.over_side(sides[0]), tiling.over_side(sides[1])
    overlap = 8 * tiling.side_overlap
    for start in starts_along_time(frames, tiling.frames, tiling.frame_overlap):
        t = slice(start, min(start + tiling.frames, frames))
        strips = [
            (
                8 * h.start,
                blended(8 * sides[1], [(8 * w.start, decoded(t, h, w)) for w in columns], overlap, 4),
            )
            for h in rows
        ]
        videos.append((8 * start, blended(8 * sides[0], strips, overlap, 3)))
    expected = blended(8 * frames, videos, 8 * tiling.frame_overlap, 2)[:, :, : 8 * frames - 3]
    result = decode_tiled(model, latent, tiling)
    assert result.fps == latent.fps
    np.testing.assert_allclose(result.frames.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("tiling", "frames", "sides"), TILINGS)
def test_encoding_agrees_with_weights_written_out(
    tiling: Tiling, frames: int, sides: tuple[int, int]
) -> None:
    """Along time encoder tiles share nothing; along rows and columns they do, and are blended."""
    model = Corners(drift=0.7)
    length = 8 * frames - 3
    clip = VideoClip(noise(1, 3, length, 8 * sides[0], 8 * sides[1], dtype=torch.float64), fps=8.0)

    def encoded(t: slice, h: slice, w: slice) -> Array:
        h, w = (slice(8 * side.start, 8 * side.stop) for side in (h, w))
        return model.encode(VideoClip(clip.frames[:, :, t, h, w], 8.0)).values.numpy()

    rows, columns = tiling.over_side(sides[0]), tiling.over_side(sides[1])
    parts = []
    for start in range(0, length, 8 * tiling.frames):
        t = slice(start, start + 8 * tiling.frames)
        strips = [
            (
                h.start,
                blended(sides[1], [(w.start, encoded(t, h, w)) for w in columns], tiling.side_overlap, 4),
            )
            for h in rows
        ]
        parts.append(blended(sides[0], strips, tiling.side_overlap, 3))
    result = encode_tiled(model, clip, tiling)
    assert (result.num_frames, result.fps, result.stride) == (length, 8.0, model.stride)
    np.testing.assert_allclose(result.values.numpy(), np.concatenate(parts, 2), rtol=0, atol=1e-12)


def test_the_papers_tiles_are_32_frames_and_4_latents_that_share_2() -> None:
    seen: list[int] = []

    class Watched(Corners):
        def encode(self, clip: VideoClip) -> VideoLatent:
            seen.append(clip.shape.frames)
            return super().encode(clip)

        def decode(self, latent: VideoLatent) -> VideoClip:
            seen.append(latent.shape.frames)
            return super().decode(latent)

    latent = encode_tiled(Watched(), make_clip(77), Tiling())
    assert seen == [32, 32, 13]
    seen.clear()
    assert decode_tiled(Watched(), latent, Tiling()).shape.frames == 77
    assert seen == [4, 4, 4, 4]  # latents 0-4, 2-6, 4-8, 6-10 of 10


@pytest.mark.parametrize(("tiling", "frames", "sides"), TILINGS)
def test_tiles_that_agree_leave_no_trace(tiling: Tiling, frames: int, sides: tuple[int, int]) -> None:
    """Where nothing beyond a position is seen, tiles are equal where they meet: blending changes nothing."""
    model, length = Corners(ramp=0.1), 8 * frames - 5
    clip = VideoClip(noise(2, 3, length, 8 * sides[0], 8 * sides[1]), fps=8.0)
    latent = encode_tiled(model, clip, tiling)
    assert torch.equal(latent.values, model.encode(clip).values)
    assert torch.equal(decode_tiled(model, latent, tiling).frames, model.decode(latent).frames)


@pytest.mark.parametrize("frames", [1, 7, 32, 29])
@pytest.mark.parametrize("tiling", [Tiling(), Tiling(side=4), Tiling(side=9, side_overlap=4)])
def test_one_tile_is_the_untiled_result_to_the_bit(frames: int, tiling: Tiling) -> None:
    tae, clip = make_tae(), make_clip(frames, 16, 24, batch=2)
    with torch.no_grad():
        latent = tae.encode(clip)
        decoded = tae.decode(latent)
    tiled = encode_tiled(tae, clip, tiling)
    assert torch.equal(tiled.values, latent.values)
    assert (tiled.num_frames, tiled.fps, tiled.stride) == (frames, clip.fps, latent.stride)
    assert torch.equal(decode_tiled(tae, latent, tiling).frames, decoded.frames)


@pytest.mark.parametrize("sides", [(1, 1), (1, 7), (5, 2), (9, 13)])
@pytest.mark.parametrize("frames", [1, 31, 33, 41, 70])
def test_odd_remainders_come_back_whole(frames: int, sides: tuple[int, int]) -> None:
    tae, tiling = make_tae(), Tiling(frames=3, frame_overlap=1, side=4, side_overlap=1)
    clip = make_clip(frames, 8 * sides[0], 8 * sides[1])
    latent = encode_tiled(tae, clip, tiling)
    decoded = decode_tiled(tae, latent, tiling)
    assert latent.values.shape == (1, 4, -(-frames // 8), *sides)
    assert decoded.frames.shape == clip.frames.shape
    assert decoded.frames.isfinite().all()


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_mirrored_video_gives_a_mirrored_result(dim: int) -> None:
    """Blending has no direction: where tiles lie symmetrically, and the autoencoder has none either."""
    model, tiling = Corners(drift=0.7), Tiling(side=4, side_overlap=2)
    latent = make_latent(8, 8, 6, channels=3)
    mirrored = VideoLatent(latent.values.flip(dim), latent.stride, latent.num_frames, latent.fps)
    result = decode_tiled(model, latent, tiling).frames
    torch.testing.assert_close(decode_tiled(model, mirrored, tiling).frames, result.flip(dim))


def test_tiles_keep_no_gradient_and_leave_what_they_are_given() -> None:
    tae, clip = make_tae(), make_clip(40, 24, 24)
    tiling = Tiling(side=2, side_overlap=1)
    before = clip.frames.clone()
    latent = encode_tiled(tae, clip, tiling)
    values = latent.values.clone()
    decoded = decode_tiled(tae, latent, tiling)
    assert not latent.values.requires_grad
    assert not decoded.frames.requires_grad
    assert torch.equal(clip.frames, before)
    assert torch.equal(latent.values, values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, "frames must be a positive integer, not 0"),
        ({"frames": 4.0}, "frames must be a positive integer, not 4.0"),
        ({"frames": True}, "frames must be a positive integer, not True"),
        ({"frames": 3}, "frame_overlap must be an integer from 0 to half of frames, 1, not 2"),
        ({"frame_overlap": -1}, "frame_overlap must be an integer from 0 to half of frames, 2, not -1"),
        ({"side": -8}, "side must be a positive integer, not -8"),
        ({"side": 8, "side_overlap": 5}, "side_overlap must be an integer from 0 to half of side, 4, not 5"),
        ({"side": 8, "side_overlap": 1.5}, "side_overlap must be an integer from 0 to half of side, 4"),
    ],
)
def test_impossible_tilings_are_named(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tiling(**settings)


def test_bad_input_is_named() -> None:
    tae = make_tae()
    with pytest.raises(ValueError, match="width must be a multiple of 8, not 20"):
        encode_tiled(tae, make_clip(8, 16, 20), Tiling())
    foreign = VideoLatent(torch.zeros(1, 5, 1, 2, 2), Stride(8, 8, 8), 8, 8.0)
    with pytest.raises(ValueError, match="decodes 4 channels"):
        decode_tiled(tae, foreign, Tiling())
    coarse = VideoLatent(torch.zeros(1, 4, 1, 2, 2), Stride(4, 8, 8), 4, 8.0)
    with pytest.raises(ValueError, match="at Stride"):
        decode_tiled(tae, coarse, Tiling())
