"""Training of the codec of sound (paper, section 6.1.1; its losses are DAC's, arXiv 2306.06546).

Legend: B batch, C channels, N samples, T latent frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    AudioCodecLoss,
    AudioCodecLossWeights,
    AudioPosterior,
    Discriminator,
    discriminator_loss,
    save_codec,
)
from moviegen_core import AudioClip
from torch import Tensor

from moviegen_runtime.data.order import permutation
from moviegen_runtime.data.sounds import SoundSource, open_sounds
from moviegen_runtime.metrics import foretold, si_sdr
from moviegen_runtime.training.audio_recipe import CodecRecipe
from moviegen_runtime.training.game import AdversarialModule
from moviegen_runtime.training.preview import save_spectrograms
from moviegen_runtime.training.sounds import SoundBatch, collate_sounds, random_cuts

_PREVIEW_SOUNDS = 6


class CodecModule(AdversarialModule[AudioCodec]):
    """The codec in training, perhaps against discriminators.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: training sounds, for the statistics of the latents.

    Raises:
        ValueError: the sounds have another rate than the codec, or are shorter than the recipe's cuts, or the
            cuts are too short for the loss.
    """

    def __init__(self, config: AudioCodecConfig, recipe: CodecRecipe, source: SoundSource) -> None:
        super().__init__(AudioCodec(config), recipe)
        if recipe.decoder_only:
            self.model.encoder.requires_grad_(False)
        self.codec_recipe = recipe
        self.source = source
        self.length = round(recipe.crop_seconds * config.sample_rate)
        plan, alone = recipe.discriminator, recipe.loss.model_dump() | {"adversarial": 0.0, "features": 0.0}
        self.early_loss = AudioCodecLoss(AudioCodecLossWeights(**alone), config.sample_rate)
        self.discriminator: Discriminator | None = None
        if plan is not None:
            self.discriminator = Discriminator(channels=plan.channels)
            weights = AudioCodecLossWeights(**alone | {"adversarial": plan.weight, "features": plan.features})
            self.game_loss = AudioCodecLoss(weights, config.sample_rate)
        self.held_out = None
        if recipe.validation is not None:
            self.held_out = open_sounds(recipe.validation.data.source, recipe.validation.data.options)
        self._check_lengths()

    def prepare(self) -> None:
        if self.codec_recipe.decoder_only:
            raise ValueError(
                "decoder_only trains on the latents of an encoder that is there: give its weights by --init"
            )

    def is_inner(self, name: str) -> bool:
        # Lengths of kernels and frequencies of activations have one value a channel, and are no kernels.
        return name.endswith(".weight_v") and not name.startswith(self._outer)

    def loss(self, batch: SoundBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        target = random_cuts(batch, self.length, self.noise(step, "cuts"))
        posterior = self.model.posterior(AudioClip(target, batch.rate))
        z = posterior.sample(self.noise(step, "posterior"))
        made = self.model.decode_moments(z, self.length).float()
        # Spectrograms and logarithms of small numbers need their precision.
        posterior = AudioPosterior(posterior.mean.float(), posterior.std.float())
        plan, precise = self.codec_recipe.discriminator, torch.autocast(target.device.type, enabled=False)
        if self.discriminator is None or plan is None or step < plan.start:
            with precise:
                parts = self.early_loss(made, target, posterior)
            return parts.total, parts.terms
        real, fake, against = self._verdicts(self.discriminator, made, target)
        with precise:
            parts = self.game_loss(made, target, posterior, real, fake)
        return parts.total + against, parts.terms | {"discriminator": against}

    def _verdicts(
        self, discriminator: Discriminator, made: Tensor, target: Tensor
    ) -> tuple[list[list[Tensor]], list[list[Tensor]], Tensor]:
        """What the discriminators give on true and on made sounds, and their own loss.

        The codec's terms have no gradient for the discriminators, and the discriminators' loss has none for
        the codec, so one backward pass of their sum serves both.
        """
        discriminator.requires_grad_(False)
        fake = discriminator(made)
        discriminator.requires_grad_(True)
        real = discriminator(target)
        return real, fake, discriminator_loss(real, discriminator(made.detach()))

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """Mel distance, SI-SDR in dB and deviation of the posterior, each the mean over held-out sounds.

        And how far their latents are foretold.
        """
        plan = self.codec_recipe.validation
        if self.held_out is None or plan is None:
            return {}
        codec, mel = self.ema.model, self.early_loss.mel
        sounds: list[Tensor] = []
        reconstructions: list[Tensor] = []
        distances, ratios, deviations, means = [], [], [], []
        for clip in self._clips(self.held_out, range(min(plan.num_sounds, len(self.held_out)))):
            posterior = codec.posterior(clip)
            made = codec.decode_moments(posterior.mean, clip.num_samples)
            if len(sounds) < _PREVIEW_SOUNDS:
                sounds.append(clip.samples[0, 0])
                reconstructions.append(made[0, 0])
            distances.append(mel(made, clip.samples))
            ratios.append(si_sdr(made, clip.samples).mean())
            deviations.append(posterior.std.mean())
            means.append(posterior.mean[0])
        save_spectrograms(sounds, reconstructions, codec.sample_rate, preview)
        figures = {"mel": distances, "si_sdr": ratios, "posterior_std": deviations}
        averages = {name: float(torch.stack(values).mean()) for name, values in figures.items()}
        return averages | {"foretold": foretold(means)}

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write the averaged weights with the per-channel statistics of their latents, in float16."""
        if not self.codec_recipe.decoder_only:
            self._measure_latents()
        save_codec(self.ema.model, folder, dtype=torch.float16)

    def _measure_latents(self) -> None:
        """Set the statistics that latents are normalised by: those of draws of the posterior (our choice).

        Means alone vary little in channels that say little. Made as loud as the others, they would be most of
        what a transformer of the latents has to learn.
        """
        count = min(self.codec_recipe.statistics_sounds, len(self.source))
        chosen = permutation(len(self.source), self.recipe.seed, 0)[:count].tolist()
        posteriors = [self.ema.model.posterior(clip) for clip in self._clips(self.source, chosen)]
        means_CT = torch.cat([posterior.mean[0] for posterior in posteriors], dim=1)
        stds_CT = torch.cat([posterior.std[0] for posterior in posteriors], dim=1)
        variances_C = means_CT.var(dim=1) + stds_CT.square().mean(dim=1)
        self.ema.model.set_normalisation(means_CT.mean(dim=1), variances_C.sqrt().clamp_min(1e-3))

    @property
    def _outer(self) -> tuple[str, ...]:
        """First and last layers of encoder and decoder."""
        layers = {
            "encoder": len(self.model.encoder.layers) - 1,
            "decoder": len(self.model.decoder.layers) - 1,
        }
        return tuple(f"{part}.layers.{place}." for part, last in layers.items() for place in (0, last))

    def _clips(self, source: SoundSource, indices: Sequence[int]) -> Iterator[AudioClip]:
        """Whole sounds, one by one."""
        collate = collate_sounds(source, self.model.sample_rate)
        for index in indices:
            yield AudioClip(collate([index]).to(self.device).sounds[0][None], self.model.sample_rate)

    def _check_lengths(self) -> None:
        """Refuse now what a step would trip over."""
        rate = self.model.sample_rate
        shortest = self.early_loss.mel.shortest
        if self.discriminator is not None:
            shortest = max(shortest, self.discriminator.shortest)
        if self.length < shortest:
            raise ValueError(
                f"crop_seconds must be at least {shortest / rate:g} at {rate} samples a second, "
                f"not {self.codec_recipe.crop_seconds:g}"
            )
        for source in (self.source, self.held_out):
            if source is not None and len(first := source[0].samples[0]) < self.length:
                raise ValueError(
                    f"the sounds are too short for cuts of {self.codec_recipe.crop_seconds:g} s: the first "
                    f"has {len(first) / source[0].rate:g} s"
                )
            if source is not None and source[0].rate != rate:
                raise ValueError(
                    f"the codec reads {rate} samples a second, the sounds have {source[0].rate}: an option "
                    "of their source may change it"
                )
