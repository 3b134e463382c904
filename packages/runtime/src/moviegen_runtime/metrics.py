"""How close a video or a sound is to the one that it should be: PSNR and SSIM, and SI-SDR.

And how far a latent of sound can be foretold.

Legend: B batch, C channels, T frames, H rows, W columns, N = T*C planes or samples, K means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_PSNR = 100.0
"""dB that equal frames get, in place of infinity."""
SSIM_WINDOW = 11
"""Pixels; smaller frames have no SSIM."""
MAX_SI_SDR = 100.0
"""dB that equal sounds get, in place of infinity."""
_SMALLEST_POWER = 1e-30
_SSIM_DEVIATION = 1.5
_BAND_ROWS = 16
_BAND_VALUES = 1 << 15

Frames = NDArray[np.uint8]


class Comparison:
    """PSNR and SSIM of a video that comes in pieces: those of the whole, however it is cut.

    Frames of 8 bits, (T, H, W, 3). PSNR is that of the mean squared error over all pixels, at most 100 dB;
    SSIM is the mean over frames, channels and every place within the frame of a Gaussian window of 11 pixels
    and deviation 1.5 (Wang et al. 2004), with variances of the population.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._pixels = 0
        self._squared_error = 0
        self._similarity = 0.0

    def add(self, true: Frames, given: Frames) -> None:
        """Take in the next frames.

        Raises:
            ValueError: shapes that differ or are no frames, or frames smaller than the window.
        """
        _check(true, given)
        self.frames += len(true)
        self._pixels += true.size
        self._squared_error += _squared_error(true, given)
        self._similarity += len(true) * _similarity(true, given)

    @property
    def psnr(self) -> float:
        """In dB."""
        return _decibels(self._squared_error / self._pixels, 255.0)

    @property
    def ssim(self) -> float:
        """From -1 to 1, 1 for equal frames."""
        return self._similarity / self.frames


def psnr(true: Frames, given: Frames) -> float:
    """PSNR in dB of 8-bit frames (T, H, W, 3); 100 where they are equal.

    Raises:
        ValueError: shapes that differ or are no frames.
    """
    _check(true, given, window=1)
    return _decibels(_squared_error(true, given) / true.size, 255.0)


def ssim(true: Frames, given: Frames) -> float:
    """SSIM of 8-bit frames (T, H, W, 3), as `Comparison` has it.

    Raises:
        ValueError: shapes that differ or are no frames, or frames smaller than the window.
    """
    _check(true, given)
    return _similarity(true, given)


def clip_psnr(prediction: Tensor, target: Tensor) -> Tensor:
    """(B,) PSNR in dB of clips (B, 3, T, H, W) in [-1, 1], not rounded; the prediction is clamped."""
    error = (prediction.clamp(-1, 1) - target).square().flatten(1).mean(dim=1)
    return (10 * torch.log10(4.0 / error)).clamp(max=MAX_PSNR)


def si_sdr(prediction: Tensor, target: Tensor) -> Tensor:
    """(B,) scale-invariant ratio of signal to distortion in dB (Le Roux et al. 2019, arXiv 1811.02508).

    Means are taken off first. From -100 to 100 dB, which are also those of a silent target or prediction and
    of an equal one.

    Args:
        prediction, target: (B, C, N); all channels count as one signal.
    """
    made_BN, true_BN = ((x - x.mean(dim=-1, keepdim=True)).flatten(1).double() for x in (prediction, target))
    scale_B = (made_BN * true_BN).sum(dim=1) / true_BN.square().sum(dim=1).clamp_min(_SMALLEST_POWER)
    part_BN = scale_B[:, None] * true_BN
    signal_B = part_BN.square().sum(dim=1).clamp_min(_SMALLEST_POWER)
    distortion_B = (made_BN - part_BN).square().sum(dim=1).clamp_min(_SMALLEST_POWER)
    return (10 * torch.log10(signal_B / distortion_B)).clamp(-MAX_SI_SDR, MAX_SI_SDR)


def _check(true: Frames, given: Frames, window: int = SSIM_WINDOW) -> None:
    if true.shape != given.shape or true.ndim != 4 or true.shape[3] != 3 or not true.size:
        raise ValueError(f"frames must be two (T, H, W, 3) of one shape, not {true.shape} and {given.shape}")
    if true.dtype != np.uint8 or given.dtype != np.uint8:
        raise ValueError(f"frames must have 8 bits, not {true.dtype} and {given.dtype}")
    if min(true.shape[1:3]) < window:
        raise ValueError(f"frames must have at least {window} rows and columns, not {true.shape[1:3]}")


def _squared_error(true: Frames, given: Frames) -> int:
    difference = true.astype(np.int32) - given
    return int(np.square(difference).sum(dtype=np.int64))


def _decibels(error: float, peak: float) -> float:
    return MAX_PSNR if error == 0 else min(MAX_PSNR, 10 * float(np.log10(peak**2 / error)))


def _similarity(true: Frames, given: Frames) -> float:
    pair_2NHW = torch.stack(
        [torch.from_numpy(frames).permute(0, 3, 1, 2).flatten(0, 1) for frames in (true, given)]
    )
    height, width = pair_2NHW.shape[2:]
    # In bands that stay in the processor's cache: six times as fast as whole pictures of 1280x720.
    at_once = max(1, _BAND_VALUES // ((_BAND_ROWS + SSIM_WINDOW) * width))
    total = 0.0
    for planes_2NHW in torch.split(pair_2NHW, at_once, dim=1):
        for top in range(0, height - SSIM_WINDOW + 1, _BAND_ROWS):
            band_2NHW = planes_2NHW[:, :, top : top + _BAND_ROWS + SSIM_WINDOW - 1]
            total += float(_similarity_map(band_2NHW.double()).sum())
    places = (height - SSIM_WINDOW + 1) * (width - SSIM_WINDOW + 1)
    return total / (pair_2NHW.shape[1] * places)


def _similarity_map(pair_2NHW: Tensor) -> Tensor:
    """SSIM at every place of the window."""
    products_3NHW = torch.stack([pair_2NHW[0] ** 2, pair_2NHW[1] ** 2, pair_2NHW[0] * pair_2NHW[1]])
    mean_1, mean_2, square_1, square_2, product = _smoothed(torch.cat([pair_2NHW, products_3NHW]))
    small_1, small_2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    squares, cross = mean_1**2 + mean_2**2, mean_1 * mean_2
    luminance = (2 * cross + small_1) / (squares + small_1)
    structure = (2 * (product - cross) + small_2) / (square_1 + square_2 - squares + small_2)
    similarity: Tensor = luminance * structure
    return similarity


def _smoothed(x_KNHW: Tensor) -> Tensor:
    """Gaussian means. Sums of shifted copies: torch's convolution of one channel is slow in float64."""
    along = torch.arange(SSIM_WINDOW, dtype=torch.float64) - (SSIM_WINDOW - 1) / 2
    weights = torch.exp(-((along / _SSIM_DEVIATION) ** 2) / 2)
    weights_list = (weights / weights.sum()).tolist()
    for dim in (2, 3):
        length = x_KNHW.shape[dim] - SSIM_WINDOW + 1
        y_KNHW = x_KNHW.narrow(dim, 0, length) * weights_list[0]
        for offset in range(1, SSIM_WINDOW):
            y_KNHW.add_(x_KNHW.narrow(dim, offset, length), alpha=weights_list[offset])
        x_KNHW = y_KNHW
    return x_KNHW


def foretold(latents: Sequence[Tensor]) -> float:
    """Share of the variance of latents (C, T) that is linear in the frame before, by least squares.

    Ours: what a model of the latents must draw is what is left. Timbre and loudness last from frame to frame,
    phases do not. The fit is judged on the frames that it was made of, so there should be many more frames
    than channels.

    Raises:
        ValueError: no latent has two frames.
    """
    rows = [latent.mT.cpu().double() for latent in latents if latent.shape[1] > 1]
    if not rows:
        raise ValueError("latents must have at least two frames for one to be foretold")
    before_NC, here_NC = (torch.cat([row[part] for row in rows]) for part in (slice(-1), slice(1, None)))
    known_NK = torch.cat([before_NC, torch.ones_like(before_NC[:, :1])], dim=1)
    missed_NC = here_NC - known_NK @ torch.linalg.lstsq(known_NK, here_NC).solution
    return 1.0 - float(missed_NC.square().sum() / (here_NC - here_NC.mean(dim=0)).square().sum())
