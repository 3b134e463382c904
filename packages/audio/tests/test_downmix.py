"""Mixing of channels to one."""

from __future__ import annotations

import pytest
import torch
from moviegen_audio import downmix
from moviegen_core import AudioClip


def test_one_channel_stays_as_it_is() -> None:
    clip = AudioClip(torch.rand(2, 1, 9), 48000)
    assert downmix(clip) is clip


def test_stereo_becomes_its_mean() -> None:
    samples = torch.rand(2, 2, 9)
    mixed = downmix(AudioClip(samples, 48000))
    assert mixed.sample_rate == 48000
    torch.testing.assert_close(mixed.samples, samples.mean(dim=1, keepdim=True))


def test_surround_is_mixed_in_decibels() -> None:
    """Against the fronts: the centre 3 dB above, the surrounds 3 dB below, and no low frequencies."""
    mixed = downmix(AudioClip(torch.eye(6, dtype=torch.float64)[None], 48000)).samples[0, 0]
    levels = 20 * torch.log10(mixed / mixed[0])
    torch.testing.assert_close(
        levels[[1, 2, 4, 5]].round(decimals=2), torch.tensor([0, 3.01, -3.01, -3.01]).double()
    )
    assert mixed[3] == 0


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_full_scale_stays_full_scale(channels: int) -> None:
    mixed = downmix(AudioClip(torch.ones(1, channels, 4, dtype=torch.float64), 48000)).samples
    torch.testing.assert_close(mixed, torch.ones(1, 1, 4, dtype=torch.float64))


@pytest.mark.parametrize("channels", [3, 8])
def test_other_layouts_are_refused(channels: int) -> None:
    with pytest.raises(ValueError, match=f"not {channels}"):
        downmix(AudioClip(torch.zeros(1, channels, 4), 48000))
