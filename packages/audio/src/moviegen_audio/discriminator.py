"""The discriminators that a codec is trained against (paper, section 6.1.1, names DAC only).

They are DAC's (arXiv 2306.06546, section 3.3): one for each of some periods, which folds the sound into rows
of that many samples (HiFi-GAN, arXiv 2010.05646), and one for each of some windows, which reads the complex
spectrogram in bands.

Legend: B batch, N samples, C channels, T frames, F bins, P period.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.1  # of the leaky rectifiers
_BANDS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # edges, in parts of the bins
_LEVEL = 0.8  # of the loudest sample

PERIODS = (2, 3, 5, 7, 11)
"""Samples of a row; primes, so that no two see the same."""

WINDOWS = (2048, 1024, 512)
"""Lengths of windows, in samples."""


def _conv(inputs: int, outputs: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return cast(nn.Conv2d, weight_norm(nn.Conv2d(inputs, outputs, kernel, stride, padding)))


def _read(layers: nn.ModuleList, x_BCHW: Tensor) -> list[Tensor]:
    """What each layer gives, after a leaky rectifier."""
    features = []
    for layer in layers:
        x_BCHW = F.leaky_relu(layer(x_BCHW), _SLOPE)
        features.append(x_BCHW)
    return features


class PeriodDiscriminator(nn.Module):
    """Sees every `period`-th sample as a neighbour.

    Args:
        channels: of the first layer; 4, 16 and 32 times as many follow.
    """

    def __init__(self, period: int, channels: int = 32) -> None:
        super().__init__()
        self.period = period
        widths = [1, *(channels * factor for factor in (1, 4, 16, 32, 32))]
        self.layers = nn.ModuleList(
            _conv(widths[i], widths[i + 1], (5, 1), (3 if i < 4 else 1, 1)) for i in range(5)
        )
        self.verdict = _conv(widths[-1], 1, (3, 1))

    def forward(self, x_B1N: Tensor) -> list[Tensor]:
        """Features of every layer, then verdicts, each (B, C, N', P)."""
        # A whole row if none is missing, as DAC does.
        x_B1N = F.pad(x_B1N, (0, self.period - x_B1N.shape[-1] % self.period), mode="reflect")
        features = _read(self.layers, x_B1N.view(len(x_B1N), 1, -1, self.period))
        return [*features, self.verdict(features[-1])]


class SpectrogramDiscriminator(nn.Module):
    """Sees real and imaginary parts of a spectrogram, each band with kernels of its own.

    Args:
        channels: of every layer.
    """

    window: Tensor

    def __init__(self, window: int, channels: int = 32) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        edges = [int(edge * (window // 2 + 1)) for edge in _BANDS]
        self.bands = [*pairwise(edges)]
        wide, narrow = ((3, 9), (1, 2)), ((3, 3), (1, 1))
        shapes = [((3, 9), (1, 1)), wide, wide, wide, narrow]
        self.layers = nn.ModuleList(
            nn.ModuleList(_conv(channels if i else 2, channels, *shape) for i, shape in enumerate(shapes))
            for _ in self.bands
        )
        self.verdict = _conv(channels, 1, (3, 3))

    def forward(self, x_B1N: Tensor) -> list[Tensor]:
        """Features of every layer of every band, then verdicts, each (B, C, T, F')."""
        spectrum_BCTF = self._spectrum(x_B1N[:, 0])
        features: list[Tensor] = []
        ends: list[Tensor] = []
        for (low, high), layers in zip(self.bands, self.layers, strict=True):
            features += _read(cast(nn.ModuleList, layers), spectrum_BCTF[..., low:high])
            ends.append(features[-1])
        return [*features, self.verdict(torch.cat(ends, dim=-1))]

    def _spectrum(self, x_BN: Tensor) -> Tensor:
        """(B, 2, T, F) with a frame for every hop of samples, as a convolution of that stride has."""
        length = len(self.window)
        hop = length // 4
        sides = (length - hop) // 2
        x_BN = F.pad(x_BN[:, None], (sides, sides - x_BN.shape[-1] % -hop), mode="reflect")[:, 0]
        window = self.window.to(x_BN.dtype)
        spectrum_BFT = torch.stft(x_BN, length, hop, window=window, center=False, return_complex=True)
        return torch.view_as_real(spectrum_BFT).permute(0, 3, 2, 1)


class Discriminator(nn.Module):
    """All discriminators of periods and of windows, on sounds without offset, all equally loud.

    Args:
        periods: of the period discriminators.
        windows: of the spectrogram discriminators, in samples.
        channels: of each one's first layer; 32 in DAC.
    """

    def __init__(
        self, periods: Sequence[int] = PERIODS, windows: Sequence[int] = WINDOWS, channels: int = 32
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            [PeriodDiscriminator(period, channels) for period in periods]
            + [SpectrogramDiscriminator(window, channels) for window in windows]
        )
        # Reflections at the ends must be shorter than the sound.
        self.shortest = max([period + 1 for period in periods] + [window * 5 // 8 for window in windows])

    def forward(self, x_B1N: Tensor) -> list[list[Tensor]]:
        """Of each discriminator the features of its layers, then its verdicts: high for real sounds.

        Raises:
            ValueError: the sounds (B, 1, N) are shorter than `shortest` samples.
        """
        if x_B1N.shape[-1] < self.shortest:
            raise ValueError(
                f"sounds must have at least {self.shortest} samples for these discriminators, "
                f"not {x_B1N.shape[-1]}"
            )
        x_B1N = x_B1N - x_B1N.mean(dim=-1, keepdim=True)
        x_B1N = _LEVEL * x_B1N / (x_B1N.abs().amax(dim=-1, keepdim=True) + 1e-9)
        return [discriminator(x_B1N) for discriminator in self.discriminators]
