"""Videos in pieces: the same bits as in one, in memory that does not grow."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from moviegen_core import Stride, VideoClip, VideoLatent
from moviegen_tae import (
    TAE,
    TAEConfig,
    Tiling,
    decode_stream,
    decode_tiled,
    encode_stream,
    encode_tiled,
)

TINY = TAEConfig(
    channels=(4, 4, 8, 8),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 0, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=2,
)
TILINGS = [
    Tiling(),
    Tiling(frames=2, frame_overlap=0),
    Tiling(frames=3, frame_overlap=1, side=2, side_overlap=1),
    Tiling(frames=5, frame_overlap=2),
]


def make_tae(seed: int = 0) -> TAE:
    torch.manual_seed(seed)
    tae = TAE(TINY).eval()
    with torch.no_grad():
        for parameter in tae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return tae


def make_clip(frames: int, height: int = 16, width: int = 24, batch: int = 1) -> VideoClip:
    generator = torch.Generator().manual_seed(frames)
    return VideoClip(torch.randn(batch, 3, frames, height, width, generator=generator), fps=8.0)


def random_lengths(total: int, rng: random.Random, longest: int) -> Iterator[int]:
    while total:
        length = rng.randint(1, min(longest, total))
        yield length
        total -= length


def clips_of(clip: VideoClip, lengths: list[int]) -> Iterator[VideoClip]:
    for frames in clip.frames.split(lengths, dim=2):
        yield VideoClip(frames.clone(), clip.fps)


def latents_of(latent: VideoLatent, lengths: list[int]) -> Iterator[VideoLatent]:
    remaining = latent.num_frames
    for values in latent.values.split(lengths, dim=2):
        num_frames = min(remaining, 8 * values.shape[2])
        yield VideoLatent(values.clone(), latent.stride, num_frames, latent.fps)
        remaining -= num_frames


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("seed", range(6))
def test_any_pieces_give_the_bits_of_the_whole(tiling: Tiling, seed: int) -> None:
    tae, rng = make_tae(), random.Random(seed)
    frames = rng.randint(1, 100)
    clip = make_clip(frames, batch=1 + seed % 2)
    whole = encode_tiled(tae, clip, tiling)
    pieces = list(random_lengths(frames, rng, longest=rng.choice([1, 3, 20, 100])))
    latents = list(encode_stream(tae, clips_of(clip, pieces), tiling))
    assert torch.equal(torch.cat([latent.values for latent in latents], dim=2), whole.values)
    assert sum(latent.num_frames for latent in latents) == frames
    assert {(latent.fps, latent.stride) for latent in latents} == {(whole.fps, whole.stride)}

    decoded = decode_tiled(tae, whole, tiling).frames
    pieces = list(random_lengths(whole.shape.frames, rng, longest=rng.choice([1, 3, 13])))
    clips = list(decode_stream(tae, latents_of(whole, pieces), tiling))
    assert torch.equal(torch.cat([clip.frames for clip in clips], dim=2), decoded)
    assert decoded.shape == clip.frames.shape
    assert {clip.fps for clip in clips} == {clip.fps}


@pytest.mark.parametrize("tiling", TILINGS)
def test_streams_are_joined_end_to_end(tiling: Tiling) -> None:
    tae, clip = make_tae(), make_clip(75)
    streamed = decode_stream(tae, encode_stream(tae, clips_of(clip, [1] * 75), tiling), tiling)
    whole = decode_tiled(tae, encode_tiled(tae, clip, tiling), tiling)
    assert torch.equal(torch.cat([clip.frames for clip in streamed], dim=2), whole.frames)


def test_a_stream_reads_no_further_than_it_must() -> None:
    """A latent is there after 32 frames; frames are there when the next tile of 4 latents is."""
    tae, read = make_tae(), 0

    def frames() -> Iterator[VideoClip]:
        nonlocal read
        for piece in clips_of(make_clip(96), [8] * 12):
            read += 8
            yield piece

    seen = []
    for latent in encode_stream(tae, frames(), Tiling()):
        assert latent.num_frames == 32
        seen.append(read)
    assert seen == [32, 64, 96]

    read, seen = 0, []
    for clip in decode_stream(tae, encode_stream(tae, frames(), Tiling()), Tiling()):
        seen.append((read, clip.shape.frames))
    # Tiles lie at latents 0-4, 2-6, 4-8 and so on; of each the first two are given when the next is decoded.
    assert seen == [(64, 16), (64, 16), (96, 16), (96, 16), (96, 32)]


def test_nothing_in_gives_nothing_out() -> None:
    tae = make_tae()
    assert list(encode_stream(tae, [], Tiling())) == []
    assert list(decode_stream(tae, [], Tiling())) == []


def test_a_stream_leaves_gradients_of_whoever_reads_it_alone() -> None:
    tae = make_tae()
    for latent in encode_stream(tae, clips_of(make_clip(64), [64]), Tiling()):
        assert torch.is_grad_enabled()
        assert not latent.values.requires_grad


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (make_clip(8, height=24), "the height of the first, 16, not 24"),
        (make_clip(8, width=16), "the width of the first, 24, not 16"),
        (make_clip(8, batch=2), "the batch size of the first, 1, not 2"),
        (VideoClip(make_clip(8).frames, fps=9.0), "the fps of the first, 8.0, not 9.0"),
        (VideoClip(make_clip(8).frames.double(), fps=8.0), "the dtype of the first, torch.float32, not"),
    ],
)
def test_a_clip_that_is_unlike_the_first_is_refused(second: VideoClip, message: str) -> None:
    stream = encode_stream(make_tae(), [make_clip(33), second], Tiling())
    assert next(stream).num_frames == 32
    with pytest.raises(ValueError, match=message):
        next(stream)


def latent(frames: int, channels: int = 4, num_frames: int | None = None) -> VideoLatent:
    return VideoLatent(torch.zeros(1, channels, frames, 2, 3), Stride(8, 8, 8), num_frames or 8 * frames, 8.0)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (latent(4, channels=5), "the number of channels of the first, 4, not 5"),
        (
            VideoLatent(latent(4).values[..., :2], Stride(8, 8, 8), 32, 8.0),
            "the width of the first, 3, not 2",
        ),
        (VideoLatent(latent(4).values, Stride(8, 8, 8), 32, 9.0), "the fps of the first, 8.0, not 9.0"),
        (VideoLatent(latent(4).values, Stride(4, 8, 8), 16, 8.0), "decodes latents at Stride"),
    ],
)
def test_a_latent_that_is_unlike_the_first_is_refused(second: VideoLatent, message: str) -> None:
    stream = decode_stream(make_tae(), [latent(6), second], Tiling())
    assert next(stream).shape.frames == 16
    with pytest.raises(ValueError, match=message):
        list(stream)


def test_only_the_last_latent_may_stand_for_fewer_frames() -> None:
    tae = make_tae()
    clips = list(decode_stream(tae, [latent(3), latent(2, num_frames=13)], Tiling()))
    assert sum(clip.shape.frames for clip in clips) == 24 + 13
    with pytest.raises(ValueError, match="not a multiple of 8; 21 frames were before it"):
        list(decode_stream(tae, [latent(3, num_frames=21), latent(2)], Tiling()))


def test_a_picture_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="height must be a multiple of 8, not 12"):
        list(encode_stream(make_tae(), [make_clip(8, height=12)], Tiling()))


PEAK = r"""
import re, sys
import torch
from moviegen_core import VideoClip
from moviegen_tae import TAE, TAEConfig, Tiling, decode_stream, encode_stream

torch.set_num_threads(1)
torch.manual_seed(0)
tae = TAE(TAEConfig.model_validate_json(sys.argv[1])).eval()

def clips(frames):
    for start in range(0, frames, 20):
        length = min(20, frames - start)
        yield VideoClip(torch.rand(1, 3, length, {side}, {side}) * 2 - 1, fps=24.0)

total = 0
tiling = Tiling()
for clip in decode_stream(tae, encode_stream(tae, clips(int(sys.argv[2])), tiling), tiling):
    total += clip.shape.frames
assert total == int(sys.argv[2]), total
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read()).group(1))
"""
SIDE = 64


def peak(frames: int) -> int:
    """Most memory, in KiB, that a process holds while so many frames go there and back.

    Not by `getrusage`: a new process inherits its parent's peak there.
    """
    command = [sys.executable, "-c", PEAK.format(side=SIDE), TINY.model_dump_json(), str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_video() -> None:
    """2,048 frames there and back within 5 % of what 256 take; they alone would be 100 MB, in and out."""
    assert peak(2048) == pytest.approx(peak(256), rel=0.05)
