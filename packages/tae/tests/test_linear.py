"""Linear codes: exact in their span, and no code of their size does better on what they were fitted on."""

from __future__ import annotations

import pytest
import torch
from moviegen_core import VideoClip
from moviegen_tae import TAE, LinearCode, TAEConfig, principal_components
from moviegen_tae.linear import BLOCK, BLOCK_VALUES, as_blocks

KEPT = 16
CONFIG = TAEConfig(
    channels=(8, 8, 8, 8),
    encoder_blocks=(0, 0, 0, 0),
    decoder_blocks=(0, 0, 0, 0),
    latent_channels=KEPT,
    patch_size=4,
    norm_groups=4,
    linear_code=True,
)


def clips_of(rank: int, count: int = 20) -> list[torch.Tensor]:
    """Clips (3, 8, 24, 16) whose blocks vary along `rank` directions around a mean."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(rank, BLOCK_VALUES, generator=generator)
    clips = []
    for _ in range(count):
        blocks = 0.1 + torch.randn(6, rank, generator=generator) @ directions
        cubes = blocks.view(3, 2, 3, BLOCK, BLOCK, BLOCK)
        clips.append(cubes.permute(2, 3, 0, 4, 1, 5).reshape(3, BLOCK, 3 * BLOCK, 2 * BLOCK))
    return clips


def coded(code: LinearCode, clip: torch.Tensor) -> torch.Tensor:
    return code.decode(code.encode(clip[None]))[0]


def error(code: LinearCode, clips: list[torch.Tensor]) -> float:
    return sum(float((coded(code, clip) - clip).square().mean()) for clip in clips)


def test_as_many_directions_as_are_kept_come_back_whole() -> None:
    clips = clips_of(rank=4)
    code = principal_components(clips, kept=4)
    for clip in clips:
        torch.testing.assert_close(coded(code, clip), clip, rtol=1e-3, atol=1e-3)


def test_principal_components_are_those_of_a_singular_value_decomposition() -> None:
    clips = clips_of(rank=40)
    code = principal_components(clips, KEPT)
    blocks = torch.cat([as_blocks(clip) for clip in clips]).double()
    _, values, directions = torch.linalg.svd(blocks - blocks.mean(dim=0), full_matrices=False)
    overlap = code.basis.double() @ directions[:KEPT].T
    torch.testing.assert_close(overlap.abs(), torch.eye(KEPT, dtype=torch.float64), rtol=0, atol=1e-3)
    torch.testing.assert_close(code.std.double(), values[:KEPT] / len(blocks) ** 0.5, rtol=1e-4, atol=0)


def test_codes_of_what_it_was_fitted_on_have_mean_0_and_deviation_1() -> None:
    clips = clips_of(rank=40)
    code = principal_components(clips, KEPT)
    kept = torch.cat([code.encode(clip[None]).flatten(2)[0] for clip in clips], dim=1)
    torch.testing.assert_close(kept.mean(dim=1), torch.zeros(KEPT), rtol=0, atol=1e-4)
    torch.testing.assert_close(kept.std(dim=1, correction=0), torch.ones(KEPT), rtol=1e-3, atol=0)


def test_no_other_basis_of_the_size_does_better_on_the_fitted_clips() -> None:
    clips = clips_of(rank=40)
    best = principal_components(clips, KEPT)
    generator = torch.Generator().manual_seed(1)
    for strength in (0.01, 0.1, 1.0):
        moved = best.basis + strength * torch.randn(best.basis.shape, generator=generator) / BLOCK_VALUES**0.5
        basis = torch.linalg.qr(moved.T).Q.T.contiguous()
        assert error(LinearCode(best.mean, basis, best.std), clips) > error(best, clips)


def test_clips_that_vary_too_little_are_refused() -> None:
    with pytest.raises(ValueError, match="must vary along 16 directions or more"):
        principal_components([torch.zeros(3, 8, 8, 8)] * 3, KEPT)


def test_a_new_autoencoder_is_its_linear_code() -> None:
    code = principal_components(clips_of(rank=40), KEPT)
    tae = TAE(CONFIG).eval()
    tae.set_linear_code(code)
    frames = torch.rand(2, 3, 13, 16, 24, generator=torch.Generator().manual_seed(2))
    clip = VideoClip(frames, fps=8.0)
    latent = tae.encode(clip)
    torch.testing.assert_close(latent.values, code.encode(frames))
    torch.testing.assert_close(tae.decode(latent).frames, code.decode(code.encode(frames))[:, :, :13])


def test_what_is_not_a_whole_block_is_filled_by_repeating_the_last() -> None:
    code = principal_components(clips_of(rank=40), KEPT)
    frames = torch.rand(1, 3, 5, 8, 8, generator=torch.Generator().manual_seed(3))
    filled = torch.cat([frames, *[frames[:, :, -1:]] * 3], dim=2)
    torch.testing.assert_close(code.encode(frames), code.encode(filled))


def test_the_code_is_saved_with_the_weights_and_not_trained() -> None:
    tae = TAE(CONFIG)
    tae.set_linear_code(principal_components(clips_of(rank=40), KEPT))
    again = TAE(CONFIG)
    again.load_state_dict(tae.state_dict())
    clip = VideoClip(torch.rand(1, 3, 8, 16, 16, generator=torch.Generator().manual_seed(4)), fps=8.0)
    torch.testing.assert_close(again.encode(clip).values, tae.encode(clip).values, rtol=0, atol=0)
    assert not any("linear_code" in name for name, _ in tae.named_parameters())
    loss = tae.decode_moments(tae.posterior(clip).mean, clip.shape).square().mean()
    loss.backward()
    for conv in (tae.encoder.conv_out.spatial, tae.decoder.conv_out.spatial):
        assert conv.weight.grad is not None
        assert float(conv.weight.grad.abs().max()) > 0  # so the network leaves its zero


def test_codes_that_do_not_fit_are_refused() -> None:
    code = principal_components(clips_of(rank=40), KEPT)
    with pytest.raises(ValueError, match="has no linear code"):
        TAE(CONFIG.model_copy(update={"linear_code": False})).set_linear_code(code)
    with pytest.raises(ValueError, match="basis must be finite and of shape"):
        TAE(CONFIG).set_linear_code(LinearCode(code.mean, code.basis[:4], code.std))
