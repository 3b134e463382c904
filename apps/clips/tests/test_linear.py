"""The cosine code: what it keeps and what it leaves out."""

from __future__ import annotations

import torch
from moviegen_clips.linear import cosine_code
from torch import Tensor


def coded(frames: Tensor) -> Tensor:
    code = cosine_code()
    return code.decode(code.encode(frames[None]))[0]


def grey(wave: Tensor) -> Tensor:
    return wave.expand(3, 8, 8, 8).contiguous()


def test_directions_are_orthonormal_and_as_many_as_a_latent_has_channels() -> None:
    basis = cosine_code().basis
    assert basis.shape == (16, 3 * 8**3)
    torch.testing.assert_close(basis @ basis.T, torch.eye(16), rtol=0, atol=1e-5)


def test_even_colours_and_slow_waves_of_brightness_are_kept() -> None:
    colours = torch.tensor([0.5, -0.25, 0.75]).view(3, 1, 1, 1).expand(3, 16, 8, 8)
    torch.testing.assert_close(coded(colours), colours)
    wave = torch.cos(torch.pi * (torch.arange(8) + 0.5) / 8)
    for shape in ((1, 1, 8), (1, 8, 1), (8, 1, 1)):
        along = grey(wave.view(shape))
        torch.testing.assert_close(coded(along), along, rtol=1e-4, atol=1e-5)


def test_fast_waves_are_left_out() -> None:
    fast = grey(torch.cos(torch.pi * 7 * (torch.arange(8) + 0.5) / 8))
    torch.testing.assert_close(coded(fast), torch.zeros(3, 8, 8, 8), rtol=0, atol=1e-5)
