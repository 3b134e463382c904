"""A video through the upsampler: sizes, windows, seeds, and what it does with what it is shown."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from moviegen_core import VideoClip, VideoShape
from moviegen_dit import SpatialUpsampler, TextEncoderSpec, UpsamplerConfig
from moviegen_runtime.pipelines.upsample import Upsampling, enlarged, reduced, upsample
from moviegen_tae import TAE, FrameWise, TAEConfig
from torch import nn

TWO_STEPS = Upsampling(steps=2, overlap=1)


@pytest.fixture(scope="module")
def tae() -> TAE:
    torch.manual_seed(0)
    config = TAEConfig(
        channels=(8, 8, 8, 8),
        encoder_blocks=(0, 0, 0, 0),
        decoder_blocks=(0, 0, 0, 0),
        latent_channels=4,
        patch_size=4,
        norm_groups=4,
    )
    return TAE(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def upsampler() -> SpatialUpsampler:
    torch.manual_seed(1)
    config = UpsamplerConfig(
        width=32,
        layers=1,
        heads=2,
        mlp_width=32,
        text_encoders=(TextEncoderSpec(name="minilm", width=8),),
        positions=(3, 2, 3),
        latent_channels=4,
        condition_channels=4,
    )
    made = SpatialUpsampler(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.requires_grad_(False)


def clip_of(frames: int, height: int = 16, width: int = 24, batch: int = 1) -> VideoClip:
    generator = torch.Generator().manual_seed(frames)
    return VideoClip(torch.rand(batch, 3, frames, height, width, generator=generator) * 2 - 1, fps=8.0)


@pytest.mark.parametrize("frames", [1, 3, 4, 7])
@pytest.mark.parametrize("size", [(16, 24), (13, 19)])
def test_a_clip_comes_back_as_long_and_twice_as_large(
    tae: TAE, upsampler: SpatialUpsampler, frames: int, size: tuple[int, int]
) -> None:
    large = upsample(clip_of(frames, *size), tae, upsampler, settings=TWO_STEPS)
    assert large.frames.shape == (1, 3, frames, 2 * size[0], 2 * size[1])
    assert (large.fps, large.frames.dtype) == (8.0, torch.float32)
    assert bool(torch.isfinite(large.frames).all())


def test_the_seed_decides_and_every_sample_has_its_own(tae: TAE, upsampler: SpatialUpsampler) -> None:
    one = clip_of(4)
    two = VideoClip(one.frames.repeat(2, 1, 1, 1, 1), one.fps)
    both = upsample(two, tae, upsampler, seed=5, settings=TWO_STEPS).frames
    for place, seed in enumerate((5, 6)):
        alone = upsample(one, tae, upsampler, seed=seed, settings=TWO_STEPS).frames
        torch.testing.assert_close(both[place : place + 1], alone, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_what_it_is_shown_is_the_bilinear_enlargement_coded_frame_by_frame(tae: TAE) -> None:
    """A model that goes straight from noise to what it is shown gives back the coded enlargement."""

    class Copies(nn.Module):
        def __init__(self, config: UpsamplerConfig) -> None:
            super().__init__()
            self.config = config
            self.dit = nn.Module()
            self.dit.patch_in = nn.Linear(1, 1)

        def null_conditions(self, batch: int) -> None:
            del batch

        def placed(self, none: None, latent: VideoShape) -> None:
            del none
            assert latent == VideoShape(3, 4, 6)  # a window of the enlarged clip

        def forward(self, x: torch.Tensor, shown: torch.Tensor, t: torch.Tensor, none: None) -> torch.Tensor:
            del none
            return (shown - x) / (1 - t)[:, None, None, None, None]

    config = UpsamplerConfig(
        width=8,
        layers=1,
        heads=1,
        mlp_width=8,
        text_encoders=(TextEncoderSpec(name="minilm", width=8),),
        positions=(3, 2, 3),
        latent_channels=4,
        condition_channels=4,
    )
    clip = clip_of(7)
    given = upsample(clip, tae, Copies(config), settings=TWO_STEPS)  # type: ignore[arg-type]
    coder = FrameWise(tae)
    wanted = coder.decode(coder.encode(VideoClip(enlarged(clip.frames, 2), clip.fps)))
    torch.testing.assert_close(given.frames, wanted.frames, atol=1e-4, rtol=1e-4)


def test_progress_is_told_after_every_step(tae: TAE, upsampler: SpatialUpsampler) -> None:
    steps: list[int] = []
    upsample(clip_of(2), tae, upsampler, on_step=lambda step, _: steps.append(step))
    assert steps == list(range(1, 21))


def test_enlarging_and_reducing() -> None:
    frames = clip_of(3, batch=2).frames
    large = enlarged(frames, 2)
    for t in range(3):
        torch.testing.assert_close(
            large[:, :, t], F.interpolate(frames[:, :, t], scale_factor=2, mode="bilinear")
        )
    blocks = frames.repeat_interleave(2, dim=3).repeat_interleave(2, dim=4)
    torch.testing.assert_close(reduced(blocks, 2), frames)


def test_a_video_beyond_the_tables_is_refused_in_pixels(tae: TAE, upsampler: SpatialUpsampler) -> None:
    with pytest.raises(ValueError, match="up to 24x16 pixels, not 32x16"):
        upsample(clip_of(1, 16, 32), tae, upsampler)


def test_models_that_do_not_fit_are_refused(upsampler: SpatialUpsampler) -> None:
    config = TAEConfig(
        channels=(8, 8, 8, 8),
        encoder_blocks=(0, 0, 0, 0),
        decoder_blocks=(0, 0, 0, 0),
        latent_channels=5,
        norm_groups=4,
    )
    with pytest.raises(ValueError, match="makes 5 channels, the upsampler takes 4"):
        upsample(clip_of(1), TAE(config), upsampler)
