"""What a codec is trained on; the paper prints none of it, so these are DAC's terms with a Gaussian's KL.

Adversarial terms are those of least squares (Mao et al. 2017); features are compared as in HiFi-GAN.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from moviegen_core import ArchConfig
from pydantic import Field
from torch import Tensor, nn

from moviegen_audio.codec import AudioPosterior
from moviegen_audio.mel import WINDOWS_AND_BANDS, MelDistance


class AudioCodecLossWeights(ArchConfig):
    """Weight of each term; a term of weight 0 is not computed.

    Args:
        mel: of the distance of mel spectrograms; DAC's 15.
        waveform: of the mean absolute error of samples; 0 in DAC. Ours, for a short training without
            discriminators: mel spectrograms know no phase.
        adversarial: of the discriminators' verdicts; DAC's 1.
        features: of the distance of the discriminators' features; DAC's 2.
        kl: of the divergence per latent value. The paper prints none; ours.
    """

    mel: float = Field(default=15.0, ge=0)
    waveform: float = Field(default=0.0, ge=0)
    adversarial: float = Field(default=1.0, ge=0)
    features: float = Field(default=2.0, ge=0)
    kl: float = Field(default=1e-2, ge=0)


@dataclass(frozen=True)
class AudioCodecLossParts:
    """The weighted sum, and each term before its weight; terms of weight 0 are absent."""

    total: Tensor
    terms: dict[str, Tensor]


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """What discriminators minimise: mean (1 - real)^2 + mean fake^2 of verdicts, summed over them.

    Args:
        real: what `Discriminator` gives on real sounds.
        fake: the same on reconstructed ones, without a gradient to the codec.
    """
    terms = [
        (1.0 - ours[-1]).square().mean() + theirs[-1].square().mean()
        for ours, theirs in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(fake: list[list[Tensor]]) -> Tensor:
    """What a codec minimises against discriminators: mean (1 - fake)^2 of verdicts, summed over them."""
    return torch.stack([(1.0 - features[-1]).square().mean() for features in fake]).sum()


def feature_matching_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of features, summed over the layers of all discriminators."""
    terms = [
        F.l1_loss(theirs, ours.detach())
        for real_features, fake_features in zip(real, fake, strict=True)
        for ours, theirs in zip(real_features[:-1], fake_features[:-1], strict=True)
    ]
    return torch.stack(terms).sum()


class AudioCodecLoss(nn.Module):
    """Weighted sum of the terms for one batch of sounds.

    Args:
        weights: weight of each term.
        sample_rate: of the sounds.
        windows_and_bands: of the mel spectrograms; see `MelDistance`.
    """

    def __init__(
        self,
        weights: AudioCodecLossWeights,
        sample_rate: int,
        windows_and_bands: tuple[tuple[int, int], ...] = WINDOWS_AND_BANDS,
    ) -> None:
        super().__init__()
        self.weights = weights
        self.mel = MelDistance(sample_rate, windows_and_bands)

    def forward(
        self,
        reconstruction: Tensor,
        target: Tensor,
        posterior: AudioPosterior,
        real: list[list[Tensor]] | None = None,
        fake: list[list[Tensor]] | None = None,
    ) -> AudioCodecLossParts:
        """Compare sounds (B, 1, N) with their reconstruction.

        Args:
            real: what `Discriminator` gives on `target`; needed where features have a weight.
            fake: what it gives on `reconstruction`; needed where any of its terms has a weight.

        Raises:
            ValueError: the shapes differ, or a term with a weight lacks what it is computed from.
        """
        if reconstruction.shape != target.shape:
            raise ValueError(
                f"reconstruction {tuple(reconstruction.shape)} and target {tuple(target.shape)} must agree"
            )
        weights = self.weights
        terms: dict[str, Tensor] = {}
        if weights.mel > 0:
            terms["mel"] = self.mel(reconstruction, target)
        if weights.waveform > 0:
            terms["waveform"] = F.l1_loss(reconstruction, target)
        if weights.adversarial > 0:
            if fake is None:
                raise ValueError("an adversarial weight above 0 needs what discriminators give")
            terms["adversarial"] = adversarial_loss(fake)
        if weights.features > 0:
            if fake is None or real is None:
                raise ValueError("a weight of features above 0 needs what discriminators give of both sounds")
            terms["features"] = feature_matching_loss(real, fake)
        if weights.kl > 0:
            terms["kl"] = posterior.kl()
        if not terms:
            raise ValueError("every loss weight is 0: nothing would be trained")
        total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
        return AudioCodecLossParts(total, terms)
