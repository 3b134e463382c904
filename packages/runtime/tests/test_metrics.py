"""PSNR, SSIM and SI-SDR against implementations that share no line with ours, and in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from moviegen_runtime.metrics import Comparison, clip_psnr, foretold, psnr, si_sdr, ssim
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio
from torchmetrics.functional.image import peak_signal_noise_ratio as peak_signal_noise_ratio_of_tensors
from torchmetrics.functional.image import structural_similarity_index_measure

Frames = NDArray[np.uint8]


def film(seed: int, frames: int = 3, height: int = 45, width: int = 70) -> tuple[Frames, Frames]:
    """Smooth pictures with structure, and the same under noise and another brightness."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(0, 255, (frames, height // 5, width // 5, 3))
    true = coarse.repeat(5, axis=1).repeat(5, axis=2)[:, :height, :width]
    given = true * generator.uniform(0.7, 1) + generator.normal(0, 20, true.shape)
    return true.round().astype(np.uint8), given.clip(0, 255).round().astype(np.uint8)


def by_skimage(true: Frames, given: Frames) -> float:
    """Only where the window lies within the frame: scikit-image crops as much by itself."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    return float(
        np.mean(
            [structural_similarity(a, b, channel_axis=2, **options) for a, b in zip(true, given, strict=True)]
        )
    )


@pytest.mark.parametrize(("height", "width"), [(45, 70), (11, 11), (12, 400), (130, 20)], ids=str)
def test_similarity_is_that_of_others(height: int, width: int) -> None:
    true, given = (frames[:, :height, :width].copy() for frames in film(0, 2, 130, 400))
    assert ssim(true, given) == pytest.approx(by_skimage(true, given), abs=1e-9)
    a, b = (torch.from_numpy(frames).permute(0, 3, 1, 2).double() for frames in (true, given))
    _, places = structural_similarity_index_measure(a, b, sigma=1.5, data_range=255.0, return_full_image=True)
    theirs = places[..., 5 : height - 5, 5 : width - 5].mean()  # without the mirrored border
    assert ssim(true, given) == pytest.approx(float(theirs), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_signal_to_noise_is_that_of_others(seed: int) -> None:
    true, given = film(seed)
    expected = peak_signal_noise_ratio(true, given, data_range=255)
    assert psnr(true, given) == pytest.approx(expected, abs=1e-9)
    a, b = (torch.from_numpy(frames).double() for frames in (true, given))
    theirs = peak_signal_noise_ratio_of_tensors(a, b, data_range=255.0)
    assert psnr(true, given) == pytest.approx(float(theirs), abs=1e-4)
    clips = [(frames.permute(3, 0, 1, 2)[None] / 127.5 - 1).float() for frames in (a, b)]
    assert clip_psnr(clips[1], clips[0]).tolist() == pytest.approx([expected], abs=1e-3)


def test_clips_of_a_batch_are_measured_apart_and_clamped() -> None:
    target = torch.zeros(3, 3, 2, 4, 4)
    prediction = torch.stack([torch.full((3, 2, 4, 4), value) for value in (0.0, 0.2, 7.0)])
    expected = [100.0, 20 * np.log10(10), 20 * np.log10(2)]
    assert clip_psnr(prediction, target).tolist() == pytest.approx(expected, abs=1e-4)


def test_signal_to_noise_of_a_known_error() -> None:
    true = np.full((2, 16, 16, 3), 100, np.uint8)
    assert psnr(true, true) == 100.0
    assert psnr(true, true + np.uint8(10)) == pytest.approx(20 * np.log10(25.5))


def test_similarity_of_equal_flat_and_inverted_frames() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    assert ssim(noise, noise) == pytest.approx(1)
    assert ssim(noise, 255 - noise) < -0.9
    flat, other = np.full_like(noise, 100), np.full_like(noise, 120)
    small = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + small) / (100**2 + 120**2 + small)
    assert ssim(flat, other) == pytest.approx(expected)


@pytest.mark.parametrize("cuts", [[0, 7], [0, 1, 2, 3, 4, 5, 6, 7], [0, 4, 7]], ids=str)
def test_a_film_in_pieces_is_measured_as_a_whole(cuts: list[int]) -> None:
    true, given = film(5, frames=7)
    comparison = Comparison()
    for start, stop in pairwise(cuts):
        comparison.add(true[start:stop], given[start:stop])
    assert comparison.frames == 7
    assert comparison.psnr == psnr(true, given)
    assert comparison.ssim == pytest.approx(ssim(true, given), abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "other", "said"),
    [
        ((2, 16, 16, 3), (2, 16, 18, 3), "two .* of one shape"),
        ((16, 16, 3), (16, 16, 3), "two .* of one shape"),
        ((0, 16, 16, 3), (0, 16, 16, 3), "two .* of one shape"),
        ((2, 16, 10, 3), (2, 16, 10, 3), "at least 11 rows and columns"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    shape: tuple[int, ...], other: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ssim(np.zeros(shape, np.uint8), np.zeros(other, np.uint8))


def test_only_bytes_are_compared() -> None:
    frames = np.zeros((1, 16, 16, 3), np.float64)
    with pytest.raises(ValueError, match="8 bits, not float64"):
        psnr(frames, frames)  # type: ignore[arg-type]


def test_the_ratio_of_sounds_is_that_of_others_and_in_closed_form() -> None:
    draw = torch.Generator().manual_seed(0)
    true = torch.randn(3, 1, 4000, generator=draw)
    given = 0.3 * true + torch.tensor([0.01, 0.1, 1.0])[:, None, None] * torch.randn(
        3, 1, 4000, generator=draw
    )
    expected = scale_invariant_signal_distortion_ratio(given[:, 0], true[:, 0], zero_mean=True)
    torch.testing.assert_close(si_sdr(given, true).float(), expected, rtol=1e-4, atol=1e-3)
    # Orthogonal noise of a tenth of the amplitude: 20 dB, however loud, and wherever the mean lies.
    t = torch.arange(1000, dtype=torch.float64) / 1000 * 2 * torch.pi
    sine, other = (5 * t).sin()[None, None], 0.1 * (7 * t).sin()[None, None]
    assert float(si_sdr(3 * (sine + other) + 1, sine)) == pytest.approx(20)


def test_the_ratio_has_bounds() -> None:
    tone = torch.sin(torch.arange(100.0))[None, None]
    silence = torch.zeros(1, 1, 100)
    assert si_sdr(2 * tone, tone).tolist() == [100]
    assert si_sdr(silence, tone).tolist() == [0]
    assert si_sdr(tone, silence).tolist() == [-100]


def test_the_foretold_share_of_an_autoregression_is_known() -> None:
    """x' = 0.8 x + 0.6 noise has variance 1, and 0.64 of it comes from the frame before."""
    draw = torch.Generator().manual_seed(0)
    latents = []
    for _ in range(8):
        noise = torch.randn(3, 2000, generator=draw)
        frames = [noise[:, 0]]
        for each in noise[:, 1:].unbind(1):
            frames.append(0.8 * frames[-1] + 0.6 * each)
        turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
        latents.append(turn @ torch.stack(frames, dim=1) + 5.0)
    assert foretold(latents) == pytest.approx(0.64, abs=0.02)
    assert foretold([torch.randn(3, 16_000, generator=draw)]) == pytest.approx(0, abs=0.01)
    ramp = torch.arange(10.0).expand(2, -1)
    assert foretold([ramp, ramp[:, :1]]) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least two frames"):
        foretold([ramp[:, :1]])
