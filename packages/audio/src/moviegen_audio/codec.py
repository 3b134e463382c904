"""The codec: sound to latent and back (paper, section 6.1.1).

DAC (Kumar et al. 2023, arXiv 2306.06546) whose quantiser is replaced by the Gaussian bottleneck of a
variational autoencoder. The paper prints sample rate, latent rate and channels; the network is that of Meta's
later public DAC-VAE, whose weights can be converted (`moviegen_audio.convert`).

Legend: B batch, C channels, N samples, T latent frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from moviegen_core import AudioClip, AudioLatent
from torch import Tensor, nn

from moviegen_audio.codec_layers import Stack, decoder_layers, encoder_layers
from moviegen_audio.config import AudioCodecConfig
from moviegen_audio.downmix import downmix

_SMALLEST_STD = 1e-4
_PIECE_FRAMES = (
    32  # samples that are cut off a sound at a time, in latent frames; windows are cut anew from them
)


@dataclass(frozen=True)
class AudioPosterior:
    """Diagonal Gaussian over latents, before normalisation.

    Args:
        mean: (B, C, T).
        std: (B, C, T), positive.
    """

    mean: Tensor
    std: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """A draw, (B, C, T); the noise comes from `generator`, which lives on the CPU."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + self.std * noise.to(self.mean.device)

    def kl(self) -> Tensor:
        """Kullback-Leibler divergence to the standard normal, in nats, as a mean over all latent values."""
        return 0.5 * (self.mean.square() + self.std.square() - 1.0 - 2.0 * self.std.log()).mean()


class AudioCodec(nn.Module):
    """Autoencoder of sounds of any length; channels are mixed to one (`downmix`).

    N samples become ceil(N / hop) latent frames; what the decoder makes beyond N samples is dropped. Latents
    that leave `encode` are normalised per channel by buffers that are saved with the weights.

    Without gradients, sounds go through in pieces, in memory that does not grow with their length besides
    their own; the result is the same but for rounding.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AudioCodecConfig) -> None:
        super().__init__()
        self.config = config
        rates, hidden, channels = config.rates, config.hidden_width, config.latent_channels
        self.encoder = Stack(encoder_layers(config.encoder_width, rates, hidden, 2 * channels))
        self.decoder = Stack(decoder_layers(config.decoder_width, rates[::-1], hidden, channels))
        self.register_buffer("latent_mean", torch.zeros(channels))
        self.register_buffer("latent_std", torch.ones(channels))

    @property
    def sample_rate(self) -> int:
        """Samples a second of the sounds that it reads and makes."""
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples that a latent frame stands for."""
        return self.config.hop

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.config.latent_channels

    def posterior(self, clip: AudioClip) -> AudioPosterior:
        """Mean and deviation of the latent of a clip, not normalised: what training needs.

        Raises:
            ValueError: another sample rate than this codec's, or channels that `downmix` refuses.
        """
        self.check_rate(clip.sample_rate)
        x_B1N = downmix(clip).samples
        if torch.is_grad_enabled():
            beyond = -clip.num_samples % self.hop
            return self._posterior(self.encoder(torch.cat([x_B1N, reflection(x_B1N, beyond)], dim=-1)))
        pieces = iter(torch.split(x_B1N, _PIECE_FRAMES * self.hop, dim=-1))
        parts = list(self.posterior_stream(pieces))
        return AudioPosterior(
            torch.cat([part.mean for part in parts], dim=-1), torch.cat([part.std for part in parts], dim=-1)
        )

    def posterior_stream(self, pieces: Iterator[Tensor]) -> Iterator[AudioPosterior]:
        """`posterior` of a sound that comes in pieces (B, 1, N) of any lengths, without gradients."""
        return map(self._posterior, self.encoder.stream(filled(pieces, self.hop)))

    def encode(self, clip: AudioClip) -> AudioLatent:
        """The normalised posterior mean of a clip.

        Raises:
            ValueError: another sample rate than this codec's, or channels that `downmix` refuses.
        """
        values = self.normalise(self.posterior(clip).mean)
        return AudioLatent(values, self.hop, clip.num_samples, clip.sample_rate)

    def decode(self, latent: AudioLatent) -> AudioClip:
        """The clip of a latent, of one channel in (-1, 1).

        Raises:
            ValueError: the latent has another hop, sample rate or number of channels than this codec's.
        """
        self.check_latent(latent)
        samples = self.decode_moments(self.denormalise(latent.values), latent.num_samples)
        return AudioClip(samples, latent.sample_rate)

    def decode_moments(self, z_BCT: Tensor, num_samples: int) -> Tensor:
        """Samples (B, 1, N) of latents that are not normalised: what training needs."""
        if torch.is_grad_enabled():
            x_B1N: Tensor = self.decoder(z_BCT)
            return x_B1N[..., :num_samples]
        x_B1N = z_BCT.new_empty(len(z_BCT), 1, num_samples)
        start = 0
        for piece in self.decoder.stream(iter(torch.split(z_BCT, _PIECE_FRAMES, dim=-1))):
            stop = min(start + piece.shape[-1], num_samples)
            x_B1N[..., start:stop] = piece[..., : stop - start]
            start = stop
        return x_B1N

    def normalise(self, mean_BCT: Tensor) -> Tensor:
        """Posterior means to latents of about mean 0 and deviation 1 per channel."""
        return (mean_BCT - self.latent_mean[:, None]) / self.latent_std[:, None]

    def denormalise(self, values_BCT: Tensor) -> Tensor:
        """Inverse of `normalise`."""
        return values_BCT * self.latent_std[:, None] + self.latent_mean[:, None]

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Set the per-channel statistics (C,) of latents over training clips.

        Raises:
            ValueError: wrong shape, not finite, or a deviation that is not positive.
        """
        expected = self.latent_mean.shape
        if mean.shape != expected or std.shape != expected:
            raise ValueError(f"mean and std must have shape {tuple(expected)}")
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise ValueError("mean and std must be finite, and std positive")
        self.latent_mean.copy_(mean)
        self.latent_std.copy_(std)

    def check_rate(self, sample_rate: int) -> None:
        """Refuse another sample rate than this codec's with a ValueError."""
        if sample_rate != self.sample_rate:
            raise ValueError(
                f"this codec reads sounds of {self.sample_rate} samples a second, not {sample_rate}: "
                "resample them first"
            )

    def check_latent(self, latent: AudioLatent) -> None:
        """Refuse a latent that is not this codec's with a ValueError."""
        given = (latent.values.shape[1], latent.hop, latent.sample_rate)
        if given != (self.latent_channels, self.hop, self.sample_rate):
            raise ValueError(
                f"this codec decodes {self.latent_channels} channels of {self.hop} samples a frame at "
                f"{self.sample_rate} a second, not {given[0]} of {given[1]} at {given[2]}"
            )

    def _posterior(self, moments: Tensor) -> AudioPosterior:
        mean, raw = moments.chunk(2, dim=1)
        return AudioPosterior(mean, F.softplus(raw) + _SMALLEST_STD)


def reflection(x_BCN: Tensor, length: int) -> Tensor:
    """What follows a sound when it is reflected at its end, to and fro if it is shorter than `length`."""
    samples = x_BCN.shape[-1]
    period = max(2 * samples - 2, 1)
    places = torch.arange(samples, samples + length, device=x_BCN.device) % period
    return x_BCN[..., torch.minimum(places, period - places)]


def filled(pieces: Iterator[Tensor], hop: int) -> Iterator[Tensor]:
    """A sound that comes in pieces, then its reflection up to a multiple of `hop`."""
    end, total = None, 0
    for piece in pieces:
        total += piece.shape[-1]
        end = (piece if end is None else torch.cat([end, piece[..., -hop:]], dim=-1))[..., -hop:].clone()
        yield piece
    if end is not None and total % hop:
        yield reflection(end, -total % hop)
