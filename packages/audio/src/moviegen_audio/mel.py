"""Mel spectrograms, and the distance between sounds that is measured on them.

The scale is Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above; every filter is a
triangle of area 1 over frequency. The distance is DAC's (arXiv 2306.06546, section 3.4).

Legend: B batch, N samples, F bins of a Fourier transform, M mel bands, T frames.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LINEAR_HZ = 200 / 3  # a mel, below the corner
_CORNER_HZ = 1000.0
_CORNER_MEL = _CORNER_HZ / _LINEAR_HZ
_LOG_STEP = math.log(6.4) / 27  # a mel in natural logarithm of frequency, above it

_SMALLEST = 1e-5  # of a magnitude, before its logarithm

WINDOWS_AND_BANDS = ((32, 5), (64, 10), (128, 20), (256, 40), (512, 80), (1024, 160), (2048, 320))
"""Lengths of windows, in samples, with their numbers of mel bands: those of DAC."""


def mel_to_hz(mel: Tensor) -> Tensor:
    """Frequencies of places on the mel scale."""
    above = _CORNER_HZ * torch.exp(_LOG_STEP * (mel - _CORNER_MEL))
    return torch.where(mel < _CORNER_MEL, _LINEAR_HZ * mel, above)


def hz_to_mel(hz: float) -> float:
    """Place of a frequency on the mel scale."""
    if hz < _CORNER_HZ:
        return hz / _LINEAR_HZ
    return _CORNER_MEL + math.log(hz / _CORNER_HZ) / _LOG_STEP


def mel_filters(sample_rate: int, window: int, bands: int) -> Tensor:
    """(M, F) float32 weights of the bins 0 to window / 2 in bands from 0 to half the sample rate."""
    top = hz_to_mel(sample_rate / 2)
    edges = mel_to_hz(torch.linspace(0, top, bands + 2, dtype=torch.float64))
    bins_F = torch.linspace(0, sample_rate / 2, window // 2 + 1, dtype=torch.float64)
    low, centre, high = (edges[i : bands + i, None] for i in range(3))
    rising, falling = (bins_F - low) / (centre - low), (high - bins_F) / (high - centre)
    triangles_MF = torch.minimum(rising, falling).clamp_min(0.0)
    return (triangles_MF * (2.0 / (high - low))).float()


class MelSpectrogram(nn.Module):
    """Magnitudes in mel bands; windows are Hann's, a quarter of their length apart."""

    filters: Tensor
    window: Tensor

    def __init__(self, sample_rate: int, window: int, bands: int) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(sample_rate, window, bands), persistent=False)
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, x_BN: Tensor) -> Tensor:
        """(B, M, T) of sounds, which are reflected at both ends.

        Raises:
            ValueError: a sound is not longer than half a window.
        """
        length = len(self.window)
        if x_BN.shape[-1] <= length // 2:
            raise ValueError(
                f"sounds must have more than {length // 2} samples, half a window, not {x_BN.shape[-1]}"
            )
        spectrum_BFT = torch.stft(
            x_BN, length, length // 4, window=self.window.to(x_BN.dtype), return_complex=True
        )
        magnitude_BFT = spectrum_BFT.abs()
        return self.filters.to(x_BN.dtype) @ magnitude_BFT


class MelDistance(nn.Module):
    """Mean absolute difference of decimal logarithms of mel spectrograms, summed over lengths of window.

    Args:
        sample_rate: of the sounds.
        windows_and_bands: length of each window, in samples, and number of mel bands; DAC's by default.
    """

    def __init__(
        self, sample_rate: int, windows_and_bands: tuple[tuple[int, int], ...] = WINDOWS_AND_BANDS
    ) -> None:
        super().__init__()
        self.spectrograms = nn.ModuleList(
            MelSpectrogram(sample_rate, window, bands) for window, bands in windows_and_bands
        )
        self.shortest = max(window for window, _ in windows_and_bands) // 2 + 1
        """Samples of the shortest sounds that it compares."""

    def forward(self, prediction_B1N: Tensor, target_B1N: Tensor) -> Tensor:
        """Scalar distance of sounds (B, 1, N).

        Raises:
            ValueError: the sounds are not longer than half the longest window.
        """
        distances = []
        for spectrogram in self.spectrograms:
            prediction_BMT, target_BMT = (
                cast(MelSpectrogram, spectrogram)(x.flatten(0, 1)).clamp_min(_SMALLEST).log10()
                for x in (prediction_B1N, target_B1N)
            )
            distances.append(F.l1_loss(prediction_BMT, target_BMT))
        return torch.stack(distances).sum()
