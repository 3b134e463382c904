"""MultiDiffusion: weights that sum to one, and what averaging does and does not change."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from moviegen_dit import Blend, Linear, Windows, integrate, multidiffusion
from torch import Tensor


def wave(x: Tensor, t: Tensor, frames: slice | None = None) -> Tensor:
    del t, frames
    return torch.sin(3 * x)


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("length", "overlap"), [(14, 4), (5, 0), (5, 4), (2, 1), (1, 0)])
@pytest.mark.parametrize("blend", ["triangle", "uniform"])
def test_weights_sum_to_one_at_every_frame_of_every_length(length: int, overlap: int, blend: Blend) -> None:
    for frames in range(1, 80):
        windows = Windows(frames, length, overlap, blend)
        weights, total = windows.weights(), torch.zeros(frames, dtype=torch.float64)
        for start, row in zip(windows.starts, weights, strict=True):
            total[start : start + len(row)] += row
        torch.testing.assert_close(total, torch.ones(frames, dtype=torch.float64), rtol=0, atol=1e-14)
        assert bool((weights > 0).all())


@pytest.mark.parametrize(("length", "overlap"), [(14, 4), (5, 0), (5, 4), (2, 1)])
def test_windows_cover_the_latent_and_overlap_enough(length: int, overlap: int) -> None:
    for frames in range(1, 80):
        starts = Windows(frames, length, overlap).starts
        assert starts[0] == 0
        assert starts[-1] + min(length, frames) == frames
        assert all(0 < after - before <= length - overlap for before, after in pairwise(starts))


def test_the_papers_windows_blend_over_their_overlap() -> None:
    windows = Windows(24)
    assert windows.starts == (0, 10)
    first, second = windows.weights()
    fades = torch.arange(4, 0, -1, dtype=torch.float64) / 5
    torch.testing.assert_close(first, torch.cat([torch.ones(10).double(), fades]))
    torch.testing.assert_close(second, first.flip(0))
    assert Windows(14).starts == (0,)
    assert Windows(16).starts == (0, 2)


def test_windows_that_overlap_by_half_are_triangles() -> None:
    """Inside the latent, the weights are those of a triangular (Bartlett) window."""
    middle = Windows(24, 9, 4).weights()[2]
    torch.testing.assert_close(middle, 1 - (torch.arange(9, dtype=torch.float64) - 4).abs() / 5)


def test_uniform_weights_jump_at_borders_where_triangles_do_not() -> None:
    """Weights of each window at every frame: a triangle's move by one step of its slope at most."""
    for blend, jump in (("triangle", 1 / 5), ("uniform", 1 / 2)):
        windows = Windows(24, blend=blend)
        at_T = torch.zeros(2, 24, dtype=torch.float64)
        for index, (span, row) in enumerate(zip(windows.spans, windows.weights(), strict=True)):
            at_T[index, span] = row
        assert at_T.diff().abs().max().item() == pytest.approx(jump)


def test_latents_of_sound_are_cut_like_those_of_video() -> None:
    windows, x = Windows(24), randn(2, 3, 24, 1, 1)

    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        del t
        return torch.cos(x) * (1 + frames.start)

    averaged = multidiffusion(velocity, windows)
    sound = averaged(x[..., 0, 0], torch.zeros(2))
    assert torch.equal(sound, averaged(x, torch.zeros(2))[..., 0, 0])


def test_one_window_is_no_windows_bit_for_bit() -> None:
    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        assert frames == slice(0, 14)
        return torch.sin(3 * x) + t[:, None, None, None, None]

    x, times = randn(2, 3, 14, 2, 2).float(), Linear(7).times()
    given = integrate(multidiffusion(velocity, Windows(14)), x, times)
    assert torch.equal(given, integrate(lambda x, t: velocity(x, t, slice(0, 14)), x, times))


def test_windows_that_agree_change_nothing() -> None:
    x, times = randn(2, 3, 31, 2, 2), Linear(5).times()
    given = integrate(multidiffusion(wave, Windows(31)), x, times)
    torch.testing.assert_close(given, integrate(wave, x, times))


def test_every_window_is_told_which_frames_it_has_and_counts_by_its_weight() -> None:
    windows, seen = Windows(24), []

    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        del t
        seen.append(frames)
        return torch.full_like(x, float(frames.start))

    x = torch.zeros(1, 1, 24, 1, 1, dtype=torch.float64)
    given = multidiffusion(velocity, windows)(x, torch.zeros(1)).flatten()
    assert seen == [slice(0, 14), slice(10, 24)]
    expected = torch.zeros(24, dtype=torch.float64)
    expected[10:] = 10 * windows.weights()[1]
    torch.testing.assert_close(given, expected)


def test_averaging_velocities_is_averaging_the_latents_of_an_euler_step() -> None:
    windows, x, step = Windows(24), randn(1, 2, 24, 1, 1), 0.3

    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        del t
        return torch.cos(x) * (1 + frames.start)

    given = x + step * multidiffusion(velocity, windows)(x, torch.zeros(1))
    wanted = torch.zeros_like(x)
    for start, row in zip(windows.starts, windows.weights(), strict=True):
        span = slice(start, start + len(row))
        moved = x[:, :, span] + step * velocity(x[:, :, span], torch.zeros(1), span)
        wanted[:, :, span] += row[:, None, None] * moved
    torch.testing.assert_close(given, wanted)


def test_a_latent_of_another_length_is_refused() -> None:
    windowed = multidiffusion(wave, Windows(24))
    with pytest.raises(ValueError, match="cut 24 latent frames, not 23"):
        windowed(randn(1, 1, 23, 1, 1), torch.zeros(1))
    single = multidiffusion(wave, Windows(9))
    with pytest.raises(ValueError, match="cut 9 latent frames, not 8"):
        single(randn(1, 1, 8, 1, 1), torch.zeros(1))


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "sentence"),
    [
        (0, 14, 4, "at least 1, not 0 and 14"),
        (3, 0, 0, "at least 1, not 3 and 0"),
        (20, 14, 14, "from 0 to 13, not 14"),
        (20, 14, -1, "from 0 to 13, not -1"),
    ],
)
def test_windows_that_cannot_be_are_refused(frames: int, length: int, overlap: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Windows(frames, length, overlap)


def test_an_unknown_blend_is_refused() -> None:
    with pytest.raises(ValueError, match="one of triangle, uniform, not 'hann'"):
        Windows(20, 14, 4, "hann")
