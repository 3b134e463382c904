"""Videos coded frame by frame: every frame is what the autoencoder makes of it alone."""

from __future__ import annotations

import pytest
import torch
from moviegen_core import Stride, VideoAutoencoder, VideoClip, VideoLatent
from moviegen_tae import TAE, FrameWise, TAEConfig, framewise

TINY = TAEConfig(
    channels=(8, 8, 16, 16),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 1, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=4,
)


@pytest.fixture
def tae() -> TAE:
    torch.manual_seed(0)
    made = TAE(TINY).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


def clip_of(frames: int, batch: int = 2) -> VideoClip:
    generator = torch.Generator().manual_seed(0)
    return VideoClip(torch.rand(batch, 3, frames, 16, 24, generator=generator).double() * 2 - 1, fps=8.0)


@torch.no_grad()
def test_every_frame_is_coded_as_an_image_of_its_own(tae: TAE) -> None:
    coder: VideoAutoencoder = FrameWise(tae)
    clip = clip_of(5)
    latent = coder.encode(clip)
    assert latent.values.shape == (2, 4, 5, 2, 3)
    assert (latent.stride, coder.stride, latent.num_frames) == (Stride(1, 8, 8), Stride(1, 8, 8), 5)
    decoded = coder.decode(latent)
    assert decoded.frames.shape == clip.frames.shape
    for t in range(5):
        image = tae.encode(VideoClip(clip.frames[:, :, t : t + 1], clip.fps))
        torch.testing.assert_close(latent.values[:, :, t : t + 1], image.values)
        torch.testing.assert_close(decoded.frames[:, :, t : t + 1], tae.decode(image).frames)


@torch.no_grad()
def test_it_is_not_the_autoencoder_of_videos(tae: TAE) -> None:
    one_for_all = tae.encode(clip_of(5)).values
    assert one_for_all.shape == (2, 4, 1, 2, 3)
    assert (FrameWise(tae).encode(clip_of(5)).values[:, :, :1] - one_for_all).abs().max() > 1e-3


@torch.no_grad()
def test_how_many_frames_go_together_changes_nothing(tae: TAE, monkeypatch: pytest.MonkeyPatch) -> None:
    coder, clip = FrameWise(tae), clip_of(5)
    together = coder.encode(clip)
    monkeypatch.setattr(framewise, "_PIXELS", 3 * 16 * 24)
    apart = coder.encode(clip)
    torch.testing.assert_close(apart.values, together.values)
    torch.testing.assert_close(coder.decode(apart).frames, coder.decode(together).frames)


@torch.no_grad()
def test_a_latent_of_the_video_autoencoder_is_refused(tae: TAE) -> None:
    with pytest.raises(ValueError, match="decodes 4 channels at Stride"):
        FrameWise(tae).decode(tae.encode(clip_of(8)))
    with pytest.raises(ValueError, match="not 5 at"):
        FrameWise(tae).decode(VideoLatent(torch.zeros(1, 5, 2, 2, 2), Stride(1, 8, 8), 2, 8.0))
