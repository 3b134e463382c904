"""Linear codes: exact in their span, and no code of their size does better on what they were fitted on."""

from __future__ import annotations

import pytest
import torch
from moviegen_clips.linear import BLOCK, KEPT, LinearCode, as_blocks, cosine_code, principal_components

V = 3 * BLOCK**3


def clips_of(rank: int, count: int = 6) -> list[torch.Tensor]:
    """Clips (3, 8, 24, 16) whose blocks vary along `rank` directions around a mean."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(rank, V, generator=generator)
    clips = []
    for _ in range(count):
        blocks = 0.1 + torch.randn(6, rank, generator=generator) @ directions
        cubes = blocks.view(3, 2, 3, BLOCK, BLOCK, BLOCK)
        clips.append(cubes.permute(2, 3, 0, 4, 1, 5).reshape(3, BLOCK, 3 * BLOCK, 2 * BLOCK))
    return clips


def error(code: LinearCode, clips: list[torch.Tensor]) -> float:
    return sum(float((code.coded(clip) - clip).square().mean()) for clip in clips)


def test_as_many_directions_as_are_kept_come_back_whole() -> None:
    clips = clips_of(rank=4)
    code = principal_components(clips, kept=4)
    for clip in clips:
        torch.testing.assert_close(code.coded(clip), clip, rtol=1e-3, atol=1e-3)


def test_principal_components_are_those_of_a_singular_value_decomposition() -> None:
    clips = clips_of(rank=40, count=20)
    code = principal_components(clips)
    blocks = torch.cat([as_blocks(clip) for clip in clips]).double()
    _, _, directions = torch.linalg.svd(blocks - blocks.mean(dim=0), full_matrices=False)
    overlap = code.basis.double() @ directions[:KEPT].T
    torch.testing.assert_close(overlap @ overlap.T, torch.eye(KEPT, dtype=torch.float64), rtol=0, atol=1e-4)


@pytest.mark.parametrize("code", [cosine_code(), principal_components(clips_of(rank=40, count=20))])
def test_directions_are_orthonormal(code: LinearCode) -> None:
    assert code.basis.shape == (KEPT, V)
    torch.testing.assert_close(code.basis @ code.basis.T, torch.eye(KEPT), rtol=0, atol=1e-5)


def test_no_other_basis_of_the_size_does_better_on_the_fitted_clips() -> None:
    clips = clips_of(rank=40, count=20)
    best = principal_components(clips)
    generator = torch.Generator().manual_seed(1)
    for strength in (0.01, 0.1, 1.0):
        moved = best.basis + strength * torch.randn(best.basis.shape, generator=generator) / V**0.5
        basis = torch.linalg.qr(moved.T).Q.T.contiguous()
        assert error(LinearCode(best.mean, basis), clips) > error(best, clips)


def test_cosines_keep_what_is_even_and_what_changes_slowly() -> None:
    colours = torch.tensor([0.5, -0.25, 0.75]).view(3, 1, 1, 1).expand(3, 16, 8, 8)
    torch.testing.assert_close(cosine_code().coded(colours), colours)
    wave = torch.cos(torch.pi * (torch.arange(8) + 0.5) / 8).expand(3, 8, 8, 8)  # along a row, in grey
    torch.testing.assert_close(cosine_code().coded(wave), wave, rtol=1e-4, atol=1e-5)


def test_odd_extents_come_back_in_full() -> None:
    frames = torch.full((3, 13, 11, 21), 0.3)
    torch.testing.assert_close(cosine_code().coded(frames), frames)
