"""What an autoencoder must do whatever its weights are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from moviegen_core import Stride, VideoClip, VideoLatent
from moviegen_tae import TAE, Posterior, TAEConfig, preset
from moviegen_tae.layers import (
    Downsample,
    ResBlock,
    SpaceTimeAttention,
    Upsample,
    fold_shortcut,
    unfold_shortcut,
)
from moviegen_tae.temporal import TemporalConv

PAPER_PARAMETERS = 114_062_049
PAPER_SPATIAL_PARAMETERS = 83_819_683
"""Of the latent-diffusion image autoencoder with 16 latent channels, which the paper inflates."""
MINIATURE_PARAMETERS = 4_968_680

TINY = TAEConfig(
    channels=(8, 8, 16, 16),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 1, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=4,
)


WITH_SHORTCUTS = TAEConfig.model_validate({**TINY.model_dump(), "resampling_shortcuts": True})
LATENT_DIFFUSION = TAEConfig(
    channels=(4, 8, 8, 12),
    encoder_blocks=(1, 1, 0, 1),
    decoder_blocks=(1, 0, 1, 0),
    latent_channels=4,
    norm_groups=2,
    width_changes_in="blocks",
    latent_projection=True,
)


def make_tae(config: TAEConfig = TINY, seed: int = 0) -> TAE:
    """A tiny model in float64 whose temporal layers are no longer the identity."""
    torch.manual_seed(seed)
    tae = TAE(config).double().eval()
    with torch.no_grad():
        for parameter in tae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return tae


def make_clip(frames: int, height: int = 16, width: int = 24, batch: int = 1, seed: int = 0) -> VideoClip:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(batch, 3, frames, height, width, generator=generator, dtype=torch.float64)
    return VideoClip(2 * noise - 1, fps=8.0)


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (7, 1), (8, 1), (9, 2), (13, 2), (16, 2), (17, 3)])
def test_any_length_comes_back_with_its_length(frames: int, latents: int) -> None:
    tae = make_tae()
    latent = tae.encode(make_clip(frames))
    assert latent.values.shape == (1, 4, latents, 2, 3)
    decoded = tae.decode(latent)
    assert decoded.frames.shape == (1, 3, frames, 16, 24)
    assert decoded.fps == 8.0


@pytest.mark.parametrize("patch_size", [1, 2, 4])
def test_every_patch_size_compresses_by_eight(patch_size: int) -> None:
    tae = make_tae(TINY.model_copy(update={"patch_size": patch_size}))
    latent = tae.encode(make_clip(8))
    assert latent.stride == Stride(8, 8, 8)
    assert latent.values.shape == (1, 4, 1, 2, 3)
    assert tae.decode(latent).frames.shape == (1, 3, 8, 16, 24)


@pytest.mark.parametrize("config", [TINY, WITH_SHORTCUTS, LATENT_DIFFUSION])
def test_an_image_is_a_video_of_one_frame_and_of_equal_frames(config: TAEConfig) -> None:
    """With replicate padding, equal frames look the same to every temporal convolution as a single one."""
    tae = make_tae(config)
    image = make_clip(1)
    still = VideoClip(image.frames.expand(-1, -1, 8, -1, -1), fps=8.0)
    torch.testing.assert_close(tae.posterior(still).mean, tae.posterior(image).mean)
    decoded = tae.decode(tae.encode(still)).frames
    torch.testing.assert_close(decoded[:, :, :1], tae.decode(tae.encode(image)).frames)


def test_new_temporal_layers_are_the_identity() -> None:
    """A fresh model sees a video as its frames: without time there is nothing that mixes them."""
    torch.manual_seed(0)
    x = torch.randn(6, 8, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(TemporalConv(8).double()(x, 3), x)
    torch.testing.assert_close(TemporalConv(8, stride=2).double()(x, 3), x[[0, 2, 3, 5]])
    for block in (ResBlock(8, 8, 4), SpaceTimeAttention(8, 4)):
        block = block.double()
        together = block(x, 3)
        alone = torch.cat([block(frame, 1) for frame in x.split(1)])
        torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_temporal_convolution_and_its_gradients_agree_with_conv1d(
    stride: int, frames: int, layout: torch.memory_format
) -> None:
    """Independent check of the memory trick: a plain 1-D convolution at every position."""
    torch.manual_seed(0)
    layer = TemporalConv(5, stride).double()
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2 * frames, 5, 3, 4, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    series = x.reshape(2, frames, 5, 3, 4).permute(0, 3, 4, 2, 1).reshape(-1, 5, frames)
    padded = F.pad(series, (1, 1), mode="replicate")
    expected = F.conv1d(padded, layer.weight[..., 0], layer.bias, stride=stride)
    expected = expected.reshape(2, 3, 4, 5, -1).permute(0, 4, 3, 1, 2).flatten(0, 1)
    made = layer(x, frames)
    torch.testing.assert_close(made, expected)
    operands, grad = (x, layer.weight, layer.bias), torch.randn_like(made)
    for ours, theirs in zip(
        torch.autograd.grad(made, operands, grad),
        torch.autograd.grad(expected, operands, grad),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_temporal_convolution_takes_part_in_mixed_precision() -> None:
    layer, x = TemporalConv(4), torch.randn(3, 4, 2, 2, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x, 3)
    assert made.dtype == torch.bfloat16
    made.float().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(made.float(), x, rtol=0.01, atol=0.01)  # a new layer is the identity


def test_reversed_time_gives_reversed_latents_for_symmetric_kernels() -> None:
    """Symmetric padding has no direction of time, so only the kernels can have one."""
    layer = TemporalConv(4).double()
    torch.nn.init.normal_(layer.weight)
    with torch.no_grad():
        layer.weight[:, :, 2] = layer.weight[:, :, 0]
    x = torch.randn(5, 4, 2, 2, dtype=torch.float64)
    torch.testing.assert_close(layer(x.flip(0), 5), layer(x, 5).flip(0))


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    tae = make_tae()
    both = make_clip(9, batch=2)
    together = tae.decode(tae.encode(both)).frames
    for i in range(2):
        single = tae.decode(tae.encode(VideoClip(both.frames[i : i + 1], fps=8.0))).frames
        torch.testing.assert_close(together[i : i + 1], single)


def test_resampling_halves_and_doubles_what_it_should() -> None:
    x = torch.randn(2 * 5, 4, 6, 8)
    assert Downsample(4, 6, spatial=True)(x, 5).shape == (2 * 3, 6, 3, 4)
    assert Downsample(4, 6, spatial=False)(x, 5).shape == (2 * 3, 6, 6, 8)
    assert Upsample(4, 6, spatial=True)(x, 5).shape == (2 * 10, 6, 12, 16)
    assert Upsample(4, 6, spatial=False)(x, 5).shape == (2 * 10, 6, 6, 8)


def test_folding_keeps_the_variance_of_independent_values() -> None:
    x = torch.randn(2 * 6, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    folded = fold_shortcut(x, 6, scale=2, channels=16)
    assert folded.shape == (2 * 3, 16, 8, 8)
    assert folded.var().item() == pytest.approx(1.0, abs=0.05)


def test_folding_pairs_frames_of_one_clip_and_an_odd_last_one_with_itself() -> None:
    """With as many channels as values, folding moves them and changes none."""
    x = torch.arange(2 * 3 * 4.0).reshape(2 * 3, 1, 2, 2)
    folded = fold_shortcut(x, 3, scale=2, channels=8)
    first, second = x[:3].flatten(1), x[3:].flatten(1)
    expected = [torch.cat([first[0], first[1]]), torch.cat([first[2], first[2]])]
    expected += [torch.cat([second[0], second[1]]), torch.cat([second[2], second[2]])]
    torch.testing.assert_close(folded.flatten(1), torch.stack(expected))


def test_unfolding_undoes_folding() -> None:
    x = torch.randn(2 * 4, 3, 6, 4)
    torch.testing.assert_close(unfold_shortcut(fold_shortcut(x, 4, 2, channels=24), 2, channels=3), x)


def test_shortcuts_that_do_not_fit_the_widths_are_refused() -> None:
    widths = {"channels": (8, 24, 16, 16), "resampling_shortcuts": True}
    with pytest.raises(ValueError, match="24 does not divide 64"):
        TAEConfig.model_validate({**TINY.model_dump(), **widths})


@pytest.mark.parametrize("config", [TINY, WITH_SHORTCUTS, LATENT_DIFFUSION])
def test_gradients_reach_every_parameter(config: TAEConfig) -> None:
    tae = make_tae(config).train()
    clip = make_clip(9)
    posterior = tae.posterior(clip)
    frames = tae.decode_moments(posterior.sample(torch.Generator().manual_seed(0)), clip.shape)
    (frames.square().sum() + posterior.kl()).backward()
    for name, parameter in tae.named_parameters():
        assert parameter.grad is not None, name
        # The bias of the keys moves every score of a query alike, which softmax does not see.
        if not name.endswith(".k.bias"):
            assert parameter.grad.abs().max() > 1e-9, name


def test_latent_normalisation_undoes_itself_and_leaves_the_clip_alone() -> None:
    tae = make_tae()
    clip = make_clip(9)
    plain, decoded = tae.encode(clip), tae.decode(tae.encode(clip))
    mean, std = torch.randn(4, dtype=torch.float64), torch.rand(4, dtype=torch.float64) + 0.5
    tae.set_normalisation(mean, std)
    scaled = tae.encode(clip)
    torch.testing.assert_close(scaled.values * std.view(4, 1, 1, 1) + mean.view(4, 1, 1, 1), plain.values)
    torch.testing.assert_close(tae.decode(scaled).frames, decoded.frames)


def test_posterior_divergence_agrees_with_torch() -> None:
    mean, log_variance = torch.randn(2, 4, 1, 2, 2), torch.randn(2, 4, 1, 2, 2)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(Posterior(mean, log_variance).kl(), expected)


def test_posterior_samples_have_its_mean_and_deviation() -> None:
    mean, log_variance = torch.full((1, 1, 1, 200, 200), 3.0), torch.full((1, 1, 1, 200, 200), -2.0)
    draw = Posterior(mean, log_variance).sample(torch.Generator().manual_seed(0))
    assert abs(draw.mean().item() - 3.0) < 0.01
    assert abs(draw.std().item() - torch.exp(torch.tensor(-1.0)).item()) < 0.01


def test_bad_input_is_named() -> None:
    tae = make_tae()
    with pytest.raises(ValueError, match="height must be a multiple of 8, not 12"):
        tae.encode(make_clip(8, height=12))
    foreign = VideoLatent(torch.zeros(1, 5, 1, 2, 2, dtype=torch.float64), Stride(8, 8, 8), 8, 8.0)
    with pytest.raises(ValueError, match="decodes 4 channels"):
        tae.decode(foreign)
    with pytest.raises(ValueError, match="std positive"):
        tae.set_normalisation(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match="shape"):
        tae.set_normalisation(torch.zeros(3), torch.ones(3))


def test_presets_build_on_the_meta_device() -> None:
    with torch.device("meta"):
        paper, miniature = TAE(preset("paper")), TAE(preset("miniature"))
    sizes = {name: parameter.numel() for name, parameter in paper.named_parameters()}
    assert sum(sizes.values()) == PAPER_PARAMETERS
    assert sum(size for name, size in sizes.items() if "temporal" not in name) == PAPER_SPATIAL_PARAMETERS
    assert sum(parameter.numel() for parameter in miniature.parameters()) == MINIATURE_PARAMETERS
    with pytest.raises(ValueError, match="there are paper, miniature"):
        preset("huge")


def test_widths_that_groups_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="5 does not divide 8"):
        TAEConfig.model_validate({**TINY.model_dump(), "norm_groups": 5})


def test_widths_change_in_the_convolutions_of_resampling_or_in_the_block_after() -> None:
    """Both layouts have the same levels; a file from before there was a choice means the first."""
    assert TAEConfig.model_validate(TINY.model_dump(exclude={"width_changes_in"})) == TINY
    sizes = {"channels": (4, 8, 8, 12), "encoder_blocks": (1, 1, 1, 1), "decoder_blocks": (1, 1, 1, 1)}
    for place, down, up, first_down, first_up in [
        ("resampling", [(4, 8), (8, 8), (8, 12)], [(8, 4), (8, 8), (12, 8)], [4, 8, 8, 12], [4, 8, 8, 12]),
        ("blocks", [(4, 4), (8, 8), (8, 8)], [(8, 8), (8, 8), (12, 12)], [4, 4, 8, 8], [8, 8, 12, 12]),
    ]:
        tae = TAE(TAEConfig.model_validate({**sizes, "norm_groups": 4, "width_changes_in": place}))
        for part, changes, entries in (
            (tae.encoder.downsamples, down, first_down),
            (tae.decoder.upsamples, up, first_up),
        ):
            convs = [layer.spatial for layer in part]
            assert [(conv.in_channels, conv.out_channels) for conv in convs] == changes
            levels = (tae.encoder if part is tae.encoder.downsamples else tae.decoder).levels
            assert [level.blocks[0].norm1.num_channels for level in levels] == entries


@pytest.mark.parametrize("blocks", ["encoder_blocks", "decoder_blocks"])
def test_a_width_without_a_block_to_change_in_is_refused(blocks: str) -> None:
    with pytest.raises(ValueError, match="none goes from 8 to 12 and back"):
        TAEConfig.model_validate({**LATENT_DIFFUSION.model_dump(), blocks: (1, 1, 0, 0)})
