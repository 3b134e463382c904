"""The loss terms against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from moviegen_tae import Posterior, TAELoss, TAELossWeights, outlier_penalty


def test_latents_within_the_radius_are_not_penalised() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(2, 16, 3, 8, 8, generator=generator)
    assert outlier_penalty(uniform).item() == 0.0


def test_a_single_dot_is_penalised_as_equation_one_says() -> None:
    """One vector of norm d among zeros has a mean and deviation in closed form."""
    d, positions, channels = 50.0, 64, 16
    latent = torch.zeros(1, channels, 1, 8, 8, dtype=torch.float64)
    latent[0, 0, 0, 3, 4] = d
    mean = d / positions
    std = d * (1 / positions - 1 / positions**2) ** 0.5
    expected = (d - mean - 3.0 * std) / positions
    assert outlier_penalty(latent).item() == pytest.approx(expected)


@pytest.mark.parametrize("radius", [3.0, 1.5])
def test_equation_one_position_by_position(radius: float) -> None:
    """As printed, in plain numbers: a sum over the positions of each frame, divided by height times width."""
    latent = torch.randn(2, 4, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    latent[0, :, 1, 2, 2] += 40.0
    latent[1, 2, 0, 4, 6] -= 25.0
    images = latent.transpose(1, 2).flatten(0, 1).tolist()  # T rolled into the batch
    losses = []
    for image_CHW in images:
        vectors = [[rows[i][j] for rows in image_CHW] for i in range(5) for j in range(7)]
        mean = [sum(values) / 35 for values in zip(*vectors, strict=True)]
        std = [
            math.sqrt(sum((value - m) ** 2 for value in values) / 35)
            for values, m in zip(zip(*vectors, strict=True), mean, strict=True)
        ]
        allowed = radius * math.hypot(*std)
        losses.append(sum(max(math.dist(vector, mean) - allowed, 0.0) for vector in vectors) / 35)
    assert sum(loss > 0 for loss in losses) >= 2
    assert outlier_penalty(latent, radius).item() == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_time_is_rolled_into_the_batch() -> None:
    """Frames are penalised each by its own statistics, so a video is its frames."""
    latent = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    latent[0, :, 1, 2, 2] += 40.0
    frames = latent.transpose(1, 2).reshape(6, 4, 1, 8, 8)
    torch.testing.assert_close(outlier_penalty(latent), outlier_penalty(frames))
    assert outlier_penalty(latent) > 0


def test_total_is_the_weighted_sum_of_its_terms() -> None:
    weights = TAELossWeights(reconstruction=2.0, squared=4.0, perceptual=0.5, kl=0.1, outlier=3.0)
    loss = TAELoss(weights, perceptual=lambda a, b: (a - b).square().mean())
    target, reconstruction = torch.zeros(1, 3, 2, 8, 8), torch.full((1, 3, 2, 8, 8), 0.5)
    posterior = Posterior(torch.randn(1, 4, 1, 8, 8), torch.zeros(1, 4, 1, 8, 8))
    parts = loss(reconstruction, target, posterior)
    assert parts.terms["reconstruction"].item() == pytest.approx(0.5)
    assert parts.terms["squared"].item() == pytest.approx(0.25)
    assert parts.terms["perceptual"].item() == pytest.approx(0.25)
    expected = 2.0 * 0.5 + 4.0 * 0.25 + 0.5 * 0.25 + 0.1 * parts.terms["kl"] + 3.0 * parts.terms["outlier"]
    torch.testing.assert_close(parts.total, expected)


def test_settings_that_train_nothing_or_lack_a_part_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a perceptual distance"):
        TAELoss(TAELossWeights(perceptual=1.0))
    nothing = TAELoss(TAELossWeights(reconstruction=0.0, kl=0.0))
    posterior = Posterior(torch.zeros(1, 4, 1, 1, 1), torch.zeros(1, 4, 1, 1, 1))
    with pytest.raises(ValueError, match="nothing would be trained"):
        nothing(torch.zeros(1, 3, 1, 8, 8), torch.zeros(1, 3, 1, 8, 8), posterior)
    with pytest.raises(ValueError, match="must agree"):
        nothing(torch.zeros(1, 3, 1, 8, 8), torch.zeros(1, 3, 2, 8, 8), posterior)
