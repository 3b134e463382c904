"""Mel bands against what Slaney's scale is defined by, and the distance on them."""

from __future__ import annotations

import pytest
import torch
from moviegen_audio import MelDistance, MelSpectrogram, mel_filters
from moviegen_audio.mel import hz_to_mel, mel_to_hz


def test_the_scale_at_its_fixed_points() -> None:
    """3 mel are 200 Hz below the corner; above it 27 mel are a factor of 6.4."""
    assert hz_to_mel(200.0) == pytest.approx(3.0)
    assert hz_to_mel(1000.0) == pytest.approx(15.0)
    assert hz_to_mel(6400.0) == pytest.approx(42.0)
    places = torch.tensor([3.0, 15.0, 42.0], dtype=torch.float64)
    assert mel_to_hz(places).tolist() == pytest.approx([200.0, 1000.0, 6400.0])


@pytest.mark.parametrize(("rate", "window", "bands"), [(48000, 2048, 80), (16000, 1024, 64)])
def test_every_filter_has_area_one(rate: int, window: int, bands: int) -> None:
    """Where bands are many bins wide, sums over bins are integrals over frequency."""
    areas = mel_filters(rate, window, bands).sum(dim=1) * rate / window
    assert areas[bands // 2 :].tolist() == pytest.approx([1.0] * (bands - bands // 2), rel=0.01)


def test_a_tone_is_in_the_band_of_its_frequency() -> None:
    rate, bands = 16000, 64
    spectrogram = MelSpectrogram(rate, 1024, bands)
    for hz in (250.0, 1000.0, 4000.0):
        tone = torch.sin(2 * torch.pi * hz * torch.arange(rate) / rate)
        mels = spectrogram(tone[None])
        assert mels.shape == (1, bands, rate // 256 + 1)
        centre = hz_to_mel(hz) / hz_to_mel(rate / 2) * (bands + 1) - 1
        assert abs(int(mels[0, :, 20].argmax()) - centre) < 1


def test_the_distance_is_that_of_equation_and_zero_of_equals() -> None:
    """Twice as loud is log10(2) away in every band of every length of window that is not silent."""
    distance = MelDistance(16000, ((256, 20), (512, 40)))
    x = torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(0))
    assert distance(x, x).item() == 0.0
    assert distance(2 * x, x).item() == pytest.approx(2 * 0.30103, rel=1e-4)
    silence = torch.zeros(2, 1, 2000)
    assert distance(1e-9 * x, silence).item() == 0.0


def test_gradients_of_silence_are_finite() -> None:
    x = torch.zeros(1, 1, 600, requires_grad=True)
    MelDistance(16000, ((256, 20),))(x, torch.randn(1, 1, 600)).backward()
    assert bool(torch.isfinite(x.grad).all())


def test_sounds_shorter_than_half_a_window_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 128 samples, half a window, not 128"):
        MelSpectrogram(16000, 256, 20)(torch.zeros(1, 128))
