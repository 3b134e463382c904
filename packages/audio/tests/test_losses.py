"""The terms of the loss against their definitions, and the discriminators behind some of them."""

from __future__ import annotations

import pytest
import torch
from moviegen_audio import (
    AudioCodecLoss,
    AudioCodecLossWeights,
    AudioPosterior,
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from torch import Tensor

WINDOWS = ((256, 20), (128, 10))


def small() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(periods=[2, 5], windows=[128], channels=2)


def noise(seed: int, length: int = 400) -> Tensor:
    return torch.randn(2, 1, length, generator=torch.Generator().manual_seed(seed))


def test_every_discriminator_gives_features_and_verdicts() -> None:
    seen = small()(noise(0))
    assert [len(features) for features in seen] == [6, 6, 5 * 5 + 1]
    assert [features[-1].shape[1] for features in seen] == [1, 1, 1]
    assert seen[2][-1].shape[2] == 13  # frames, 32 samples apart: 400 / 32 rounded up


def test_neither_loudness_nor_offset_is_seen() -> None:
    discriminator = small().double()
    x = noise(0).double()
    for one, other in zip(discriminator(x), discriminator(0.01 * x + 3.0), strict=True):
        torch.testing.assert_close(one[-1], other[-1], rtol=1e-5, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    discriminator = small()
    discriminator_loss(discriminator(noise(0)), discriminator(noise(1))).backward()
    missed = [name for name, p in discriminator.named_parameters() if not p.grad.abs().sum() > 0]
    assert missed == []


def test_sounds_that_are_too_short_are_refused() -> None:
    discriminator = small()
    discriminator(noise(0, discriminator.shortest))
    with pytest.raises(ValueError, match=f"at least {discriminator.shortest} samples"):
        discriminator(noise(0, discriminator.shortest - 1))


def test_adversarial_terms_in_plain_numbers() -> None:
    real = [[torch.tensor([9.0]), torch.tensor([1.0, 0.5])], [torch.tensor([0.0, 2.0]), torch.tensor([0.0])]]
    fake = [[torch.tensor([7.0]), torch.tensor([0.0, 1.0])], [torch.tensor([1.0, 2.0]), torch.tensor([2.0])]]
    assert discriminator_loss(real, fake).item() == pytest.approx((0.125 + 0.5) + (1.0 + 4.0))
    assert adversarial_loss(fake).item() == pytest.approx(0.5 + 1.0)
    assert feature_matching_loss(real, fake).item() == pytest.approx(2.0 + 0.5)


def test_features_of_real_sounds_are_not_trained() -> None:
    real, fake = torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True)
    verdict = torch.zeros(1)
    feature_matching_loss([[real, verdict]], [[fake, verdict]]).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_total_is_the_weighted_sum_of_its_terms() -> None:
    weights = AudioCodecLossWeights(mel=2.0, waveform=3.0, adversarial=0.5, features=0.25, kl=0.1)
    loss, discriminator = AudioCodecLoss(weights, 16000, WINDOWS), small()
    target, reconstruction = noise(0), noise(1)
    posterior = AudioPosterior(torch.randn(2, 3, 4), torch.rand(2, 3, 4) + 0.5)
    real, fake = discriminator(target), discriminator(reconstruction)
    parts = loss(reconstruction, target, posterior, real, fake)
    assert parts.terms["waveform"].item() == pytest.approx((reconstruction - target).abs().mean().item())
    assert parts.terms["kl"] == posterior.kl()
    assert parts.terms["adversarial"] == adversarial_loss(fake)
    assert parts.terms["features"] == feature_matching_loss(real, fake)
    expected = sum(getattr(weights, name) * term for name, term in parts.terms.items())
    assert len(parts.terms) == 5
    torch.testing.assert_close(parts.total, expected)


def test_settings_that_train_nothing_or_lack_a_part_are_refused() -> None:
    posterior = AudioPosterior(torch.zeros(1, 3, 4), torch.ones(1, 3, 4))
    x = noise(0)
    with pytest.raises(ValueError, match="must agree"):
        AudioCodecLoss(AudioCodecLossWeights(), 16000, WINDOWS)(x, x[..., 1:], posterior)
    with pytest.raises(ValueError, match="adversarial weight above 0 needs"):
        AudioCodecLoss(AudioCodecLossWeights(), 16000, WINDOWS)(x, x, posterior)
    matching = AudioCodecLossWeights(adversarial=0.0)
    with pytest.raises(ValueError, match="weight of features above 0 needs"):
        AudioCodecLoss(matching, 16000, WINDOWS)(x, x, posterior, fake=small()(x))
    nothing = AudioCodecLossWeights(mel=0.0, adversarial=0.0, features=0.0, kl=0.0)
    with pytest.raises(ValueError, match="nothing would be trained"):
        AudioCodecLoss(nothing, 16000, WINDOWS)(x, x, posterior)
