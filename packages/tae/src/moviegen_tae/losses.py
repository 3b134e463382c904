"""What the autoencoder is trained on: reconstruction, perceptual, KL and outlier penalty (section 3.1.1).

The paper prints the outlier penalty and its weight only; the other weights are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from einops import rearrange
from moviegen_core import ArchConfig
from pydantic import Field
from torch import Tensor

from moviegen_tae.model import Posterior

PerceptualFn = Callable[[Tensor, Tensor], Tensor]
"""(prediction, target), each (N, 3, H, W) in nominal [-1, 1], to a scalar distance."""


class TAELossWeights(ArchConfig):
    """Weight of each term; a term of weight 0 is not computed.

    Args:
        reconstruction: of the mean absolute error over pixels.
        squared: of the mean squared error over pixels; 0 in the paper. Ours, for a short training: it pulls
            most where most is wrong, while the absolute error pulls at every pixel alike.
        perceptual: of the perceptual distance, a mean over frames.
        kl: of the divergence per latent value.
        outlier: of the outlier penalty; 1e5 in the paper's finetuning, 0 before it.
        outlier_radius: r of equation (1), in standard deviations; 3 in the paper.
    """

    reconstruction: float = Field(default=1.0, ge=0)
    squared: float = Field(default=0.0, ge=0)
    perceptual: float = Field(default=0.0, ge=0)
    kl: float = Field(default=1e-6, ge=0)
    outlier: float = Field(default=0.0, ge=0)
    outlier_radius: float = Field(default=3.0, gt=0)


@dataclass(frozen=True)
class TAELossParts:
    """The weighted sum, and each term before its weight; terms of weight 0 are absent."""

    total: Tensor
    terms: dict[str, Tensor]


def outlier_penalty(latent: Tensor, radius: float = 3.0) -> Tensor:
    """Equation (1): how far latent vectors lie outside `radius` deviations of their frame's mean.

    Vectors are over channels, mean and deviation over positions; for videos, time is rolled into the batch.

    Args:
        latent: (B, C, t, h, w).

    Returns:
        Scalar: the mean over positions and frames of max(|x - mean| - radius * |std|, 0).
    """
    x_NCP = rearrange(latent, "b c t h w -> (b t) c (h w)")
    mean_NC1 = x_NCP.mean(dim=2, keepdim=True)
    std_NC = x_NCP.std(dim=2, unbiased=False)
    distance_NP = torch.linalg.vector_norm(x_NCP - mean_NC1, dim=1)
    allowed_N1 = radius * torch.linalg.vector_norm(std_NC, dim=1, keepdim=True)
    penalty: Tensor = (distance_NP - allowed_N1).clamp_min(0.0).mean()
    return penalty


class TAELoss:
    """Weighted sum of the terms for one batch of clips.

    Args:
        weights: weight of each term.
        perceptual: distance between frames; needed if its weight is not 0.

    Raises:
        ValueError: a perceptual weight without a perceptual distance.
    """

    def __init__(self, weights: TAELossWeights, perceptual: PerceptualFn | None = None) -> None:
        if weights.perceptual > 0 and perceptual is None:
            raise ValueError("a perceptual weight above 0 needs a perceptual distance")
        self.weights = weights
        self.perceptual = perceptual

    def __call__(self, reconstruction: Tensor, target: Tensor, posterior: Posterior) -> TAELossParts:
        """Compare frames (B, 3, T, H, W) with their reconstruction.

        Raises:
            ValueError: the shapes differ.
        """
        if reconstruction.shape != target.shape:
            raise ValueError(
                f"reconstruction {tuple(reconstruction.shape)} and target {tuple(target.shape)} must agree"
            )
        weights = self.weights
        terms: dict[str, Tensor] = {}
        if weights.reconstruction > 0:
            terms["reconstruction"] = (reconstruction - target).abs().mean()
        if weights.squared > 0:
            terms["squared"] = (reconstruction - target).square().mean()
        if weights.perceptual > 0 and self.perceptual is not None:
            prediction_NCHW, target_NCHW = (
                rearrange(frames, "b c t h w -> (b t) c h w") for frames in (reconstruction, target)
            )
            terms["perceptual"] = self.perceptual(prediction_NCHW, target_NCHW)
        if weights.kl > 0:
            terms["kl"] = posterior.kl()
        if weights.outlier > 0:
            terms["outlier"] = outlier_penalty(posterior.mean, weights.outlier_radius)
        if not terms:
            raise ValueError("every loss weight is 0: nothing would be trained")
        total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
        return TAELossParts(total, terms)
