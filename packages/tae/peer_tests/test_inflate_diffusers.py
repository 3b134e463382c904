"""Inflation against diffusers' own `AutoencoderKL`; of all sessions only `inflate` has diffusers.

Random weights of every tensor, norms and biases as well. Two orders of the same sums differ by rounding,
which deep networks make larger: so in single precision the two must agree to 1e-5 as vectors, and in double
precision to 1e-7 at every value too (`quant_conv` is folded into another convolution in single precision).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from moviegen_core import VideoClip, VideoLatent
from moviegen_tae import TAE, inflate, inflate_pretrained
from torch import Tensor

RELATIVE = {torch.float32: 1e-5, torch.float64: 1e-7}
KINDS = {
    "16 channels, no quant convolutions": {"latent_channels": 16, "use_quant_conv": False},
    "4 channels": {"latent_channels": 4, "use_quant_conv": True},
    "8 channels": {"latent_channels": 8, "use_quant_conv": True},
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def image_vae(request: pytest.FixtureRequest) -> AutoencoderKL:
    options = {**request.param, "use_post_quant_conv": request.param["use_quant_conv"]}
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32, 64, 96, 96),
        layers_per_block=2,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        **options,
    ).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return vae


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    ours, theirs = ours.detach(), theirs.detach()
    assert ours.dtype == theirs.dtype
    if ours.dtype == torch.float64:
        assert float((ours - theirs).abs().max()) <= RELATIVE[ours.dtype] * float(theirs.abs().max())
    assert float((ours - theirs).norm()) <= RELATIVE[ours.dtype] * float(theirs.norm())


def assert_agrees(tae: TAE, vae: AutoencoderKL, frames: int) -> None:
    """Equal frames: every latent frame is the image's, and so is every frame that comes back."""
    noise = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    image = (2 * noise - 1).to(vae.dtype)
    clip = VideoClip(image[:, :, None].expand(-1, -1, frames, -1, -1), fps=8.0)
    theirs = vae.encode(image).latent_dist
    ours = tae.posterior(clip)
    for t in range(ours.mean.shape[2]):
        assert_near(ours.mean[:, :, t], theirs.mean)
        assert_near(ours.log_variance[:, :, t], theirs.logvar)
    reconstruction = vae.decode(theirs.mean).sample
    latent = theirs.mean[:, :, None].expand_as(ours.mean)
    decoded = tae.decode(VideoLatent(tae.normalise(latent), tae.stride, frames, 8.0)).frames
    assert decoded.shape[2] == frames
    for t in range(frames):
        assert_near(decoded[:, :, t], reconstruction)


@pytest.mark.parametrize("frames", [1, 11])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("dtype", RELATIVE)
def test_an_inflated_autoencoder_is_the_image_autoencoder(
    image_vae: AutoencoderKL, frames: int, gradients: bool, dtype: torch.dtype
) -> None:
    """With and without gradients the TAE runs in other forms: whole clips, and pieces of them."""
    tae = inflate(image_vae.state_dict()).to(dtype)
    with torch.set_grad_enabled(gradients):
        assert_agrees(tae, image_vae.to(dtype), frames)


def test_what_diffusers_writes_is_read_with_its_scaling(image_vae: AutoencoderKL, tmp_path: Path) -> None:
    image_vae.save_pretrained(tmp_path)
    tae = inflate_pretrained(tmp_path)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert_agrees(tae, image_vae, 1)
        config = image_vae.config
        scaled = (image_vae.encode(image).latent_dist.mean - config.shift_factor) * config.scaling_factor
        assert_near(tae.encode(VideoClip(image[:, :, None], 8.0)).values[:, :, 0], scaled)
