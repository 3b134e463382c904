"""Values are checked once, when they are built, and say what is wrong."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from moviegen_core import AudioClip, AudioLatent, Stride, TextContext, VideoClip, VideoLatent, VideoShape

STRIDE = Stride(8, 8, 8)


def latent(latent_frames: int = 2, num_frames: int = 13) -> VideoLatent:
    return VideoLatent(torch.zeros(1, 16, latent_frames, 4, 6), STRIDE, num_frames, fps=8.0)


def test_a_clip_knows_its_shape_and_does_not_clamp() -> None:
    frames = torch.full((2, 3, 5, 8, 16), 1.5)
    clip = VideoClip(frames, fps=8.0)
    assert clip.batch == 2
    assert clip.shape == VideoShape(5, 8, 16)
    assert torch.equal(clip.frames, frames)


@pytest.mark.parametrize("shape", [(3, 5, 8, 8), (1, 3, 0, 8, 8), (0, 3, 5, 8, 8), (1, 3, 5, 8, 8, 1)])
def test_a_clip_is_five_dimensional_and_not_empty(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"non-empty \(B, C, T, H, W\)"):
        VideoClip(torch.zeros(shape), fps=8.0)


@pytest.mark.parametrize("channels", [1, 4])
def test_a_clip_has_three_channels(channels: int) -> None:
    with pytest.raises(ValueError, match="3 channels"):
        VideoClip(torch.zeros(1, channels, 5, 8, 8), fps=8.0)


def test_pixels_in_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"floating point, not torch\.uint8"):
        VideoClip(torch.zeros(1, 3, 5, 8, 8, dtype=torch.uint8), fps=8.0)


@pytest.mark.parametrize("fps", [0.0, -8.0, math.nan, math.inf])
def test_a_frame_rate_is_a_positive_number(fps: float) -> None:
    with pytest.raises(ValueError, match="fps must be a positive number"):
        VideoClip(torch.zeros(1, 3, 5, 8, 8), fps=fps)
    with pytest.raises(ValueError, match="fps must be a positive number"):
        VideoLatent(torch.zeros(1, 16, 1, 1, 1), STRIDE, 8, fps=fps)


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        latent().fps = 9.0  # type: ignore[misc]


def test_a_latent_stands_for_the_clip_that_it_came_from() -> None:
    clip = VideoShape(13, 32, 48)
    assert latent().shape == STRIDE.latent(clip)
    assert latent().clip_shape == clip


@pytest.mark.parametrize("num_frames", range(1, 33))
def test_a_latent_stands_only_for_lengths_that_round_up_to_it(num_frames: int) -> None:
    possible = STRIDE.latent(VideoShape(num_frames, 32, 48)).frames
    for latent_frames in range(1, 5):
        if latent_frames == possible:
            assert latent(latent_frames, num_frames).num_frames == num_frames
        else:
            with pytest.raises(ValueError, match="cannot stand for"):
                latent(latent_frames, num_frames)


def test_moving_a_value_keeps_the_rest() -> None:
    moved = latent().to("cpu", torch.float64)
    assert moved.values.dtype == torch.float64
    assert (moved.stride, moved.num_frames, moved.fps) == (STRIDE, 13, 8.0)
    clip = VideoClip(torch.zeros(1, 3, 1, 8, 8), fps=8.0).to("cpu", torch.float16)
    assert clip.frames.dtype == torch.float16
    assert clip.fps == 8.0


def test_a_context_counts_its_real_tokens() -> None:
    mask = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    context = TextContext(torch.zeros(3, 3, 4), mask, "minilm")
    assert context.batch == 3
    assert context.lengths.tolist() == [2, 0, 3]
    moved = context.to("cpu", torch.float64)
    assert moved.embeddings.dtype == torch.float64
    assert moved.mask.dtype == torch.bool


@pytest.mark.parametrize(
    ("embeddings", "mask", "message"),
    [
        (torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool), r"\(B, S, D\)"),
        (torch.zeros(1, 0, 4), torch.ones(1, 0, dtype=torch.bool), "non-empty"),
        (torch.zeros(1, 3, 4, dtype=torch.int64), torch.ones(1, 3, dtype=torch.bool), "floating point"),
        (torch.zeros(1, 3, 4), torch.ones(1, 3), "mask must be bool"),
        (torch.zeros(1, 3, 4), torch.ones(1, 2, dtype=torch.bool), r"shape \(1, 3\)"),
        (torch.zeros(1, 3, 4), torch.tensor([[True, False, True]]), "padding last"),
        (torch.zeros(1, 3, 4), torch.tensor([[False, True, True]]), "padding last"),
    ],
)
def test_a_context_refuses(embeddings: torch.Tensor, mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextContext(embeddings, mask, "minilm")


def test_a_sound_knows_its_length_and_does_not_clamp() -> None:
    samples = torch.full((2, 6, 12000), 1.5)
    clip = AudioClip(samples, sample_rate=48000)
    assert (clip.batch, clip.num_samples, clip.seconds) == (2, 12000, 0.25)
    assert torch.equal(clip.samples, samples)
    assert clip.to("cpu", torch.float64).samples.dtype == torch.float64


@pytest.mark.parametrize("shape", [(1, 48000), (1, 0, 48000), (1, 2, 0), (1, 1, 1, 5)])
def test_a_sound_is_three_dimensional_and_not_empty(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"non-empty \(B, C, N\)"):
        AudioClip(torch.zeros(shape), 48000)


def test_samples_in_integers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"floating point, not torch\.int16"):
        AudioClip(torch.zeros(1, 1, 5, dtype=torch.int16), 48000)


@pytest.mark.parametrize("rate", [0, -48000, 44.1, True])
def test_a_sample_rate_is_a_positive_integer(rate: int) -> None:
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        AudioClip(torch.zeros(1, 1, 5), rate)
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        AudioLatent(torch.zeros(1, 4, 1), 1920, 1920, rate)


@pytest.mark.parametrize("num_samples", [1920, 3841, 0])
def test_a_sound_latent_stands_for_a_length_that_fits(num_samples: int) -> None:
    values = torch.zeros(1, 128, 2)
    assert AudioLatent(values, 1920, 1921, 48000).frame_rate == 25.0
    assert AudioLatent(values, 1920, 3840, 48000).batch == 1
    with pytest.raises(ValueError, match="cannot stand for"):
        AudioLatent(values, 1920, num_samples, 48000)
