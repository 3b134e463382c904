"""Training of the temporal autoencoder (paper, section 3.1.1).

Legend: B batch, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from moviegen_core import VideoClip
from moviegen_tae import (
    TAE,
    PatchDiscriminator,
    PerceptualFn,
    TAEConfig,
    TAELoss,
    TAELossWeights,
    adaptive_weight,
    hinge_loss,
    principal_components,
    save,
)
from torch import Tensor, nn

from moviegen_runtime.data.order import permutation
from moviegen_runtime.data.source import ClipSource
from moviegen_runtime.features.efficientnet_lite import PerceptualDistance, load_efficientnet_lite
from moviegen_runtime.features.vgg_lpips import load_vgg_lpips
from moviegen_runtime.metrics import clip_psnr
from moviegen_runtime.training.clips import ClipBatch, collate_clips, open_clips, random_crops
from moviegen_runtime.training.game import AdversarialModule
from moviegen_runtime.training.preview import save_comparison
from moviegen_runtime.training.recipe import EfficientNetFeatures, PerceptualFeatures, TAERecipe

_OUTER = ("encoder.conv_in.", "encoder.conv_out.", "decoder.conv_in.", "decoder.conv_out.")
_PREVIEW_CLIPS = 6


class TAEModule(AdversarialModule[TAE]):
    """The autoencoder in training, jointly on videos and images, and perhaps against a discriminator.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: training clips, for the statistics of the latents.

    Raises:
        ValueError: the recipe cuts more from the clips than they have, or its features cannot be read.
    """

    def __init__(self, config: TAEConfig, recipe: TAERecipe, source: ClipSource) -> None:
        super().__init__(TAE(config), recipe)
        if recipe.decoder_only:
            self.model.encoder.requires_grad_(False)
        self.tae_recipe = recipe
        self.source = source
        weights = TAELossWeights(**recipe.loss.model_dump())
        # Held by the loss, which is no module: frozen features have no place in checkpoints.
        features = perceptual_distance(recipe.perceptual_features) if weights.perceptual > 0 else None
        self.tae_loss = TAELoss(weights, features)
        self.discriminator: PatchDiscriminator | None = None
        if recipe.discriminator is not None:
            plan = recipe.discriminator
            self.discriminator = PatchDiscriminator(plan.channels, plan.layers)
        if recipe.crops is not None or self.discriminator is not None:
            _check_sizes(recipe, source[0].frames.shape, self.discriminator)
        self.held_out = open_clips(recipe.validation.data) if recipe.validation else None
        # Only whole clips go through the compiled functions: one shape, compiled once.
        self._compiled_posterior = self.compiled(self.model.posterior)
        self._compiled_decode = self.compiled(self.model.decode_moments)

    def on_fit_start(self) -> None:
        if isinstance(self.tae_loss.perceptual, nn.Module):
            self.tae_loss.perceptual.to(self.device)

    def is_inner(self, name: str) -> bool:
        return not name.startswith(_OUTER)

    def loss(self, batch: ClipBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        kind, clip = self._cut(batch, step)
        whole = clip.frames.shape[2] == batch.frames.shape[1]
        posterior = (self._compiled_posterior if whole else self.model.posterior)(clip)
        draw = posterior.sample(self.noise(step, "posterior"))
        z = torch.lerp(posterior.mean, draw, self.tae_recipe.latent_noise)
        decode = self._compiled_decode if whole else self.model.decode_moments
        frames = decode(z, clip.shape)
        parts = self.tae_loss(frames, clip.frames, posterior)
        total, terms = parts.total, parts.terms
        plan = self.tae_recipe.discriminator
        if self.discriminator is not None and plan is not None and step >= plan.start:
            share, against = self._adversarial(self.discriminator, frames, clip.frames, total)
            total, terms = total + plan.weight * share + against["discriminator"], terms | against
        return total, {f"{kind}.{name}": term for name, term in terms.items()}

    def _adversarial(
        self, discriminator: PatchDiscriminator, frames: Tensor, target: Tensor, others: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The autoencoder's share, already scaled, and the terms of both players.

        The share has no gradient for the discriminator, and the discriminator's loss none for the
        autoencoder, so one backward pass of their sum serves both.
        """
        fake, real = (each.transpose(1, 2).flatten(0, 1) for each in (frames, target))
        discriminator.requires_grad_(False)
        adversarial = -discriminator(fake).mean()
        discriminator.requires_grad_(True)
        weight = adaptive_weight(others, adversarial, self.model.decoder.conv_out.temporal.weight)
        loss = hinge_loss(discriminator(real), discriminator(fake.detach()))
        terms = {"adversarial": adversarial, "adaptive_weight": weight, "discriminator": loss}
        return weight * adversarial, terms

    def _cut(self, batch: ClipBatch, step: int) -> tuple[str, VideoClip]:
        """What this step is trained on: images, short clips or the clips themselves, or crops of them."""
        images, short = self.tae_recipe.images, self.tae_recipe.short_clips
        kind = "video"
        if images is not None and step % images.every == images.every - 1:
            kind, batch = "image", self._images(batch, step, images.frames_per_clip)
        elif short is not None and step < short.steps and short.frames < batch.frames.shape[1]:
            spare = batch.frames.shape[1] - short.frames
            first = int(torch.randint(spare + 1, (), generator=self.noise(step, "cut")))
            kind, batch = "short", ClipBatch(batch.frames[:, first : first + short.frames], batch.fps)
        if self.tae_recipe.crops is not None:
            batch = random_crops(batch, self.tae_recipe.crops, self.noise(step, "crops"))
        return kind, batch.clip()

    def _images(self, batch: ClipBatch, step: int, frames_per_clip: int) -> ClipBatch:
        """Different frames of every clip, each a clip of one frame: an image (paper, section 3.1.1)."""
        B, T = batch.frames.shape[:2]
        keys = torch.rand(B, T, generator=self.noise(step, "images"))
        chosen = keys.argsort(dim=1)[:, :frames_per_clip]
        rows = torch.arange(B)[:, None].expand_as(chosen)
        return ClipBatch(batch.frames[rows.flatten(), chosen.flatten()][:, None], batch.fps)

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """PSNR in dB, the mean over clips, of videos and of their first frames as images."""
        if self.held_out is None or self.tae_recipe.validation is None:
            return {}
        num_clips = min(self.tae_recipe.validation.num_clips, len(self.held_out))
        videos: list[Tensor] = []
        images: list[Tensor] = []
        deviations: list[Tensor] = []
        for batch in self._batches(self.held_out, range(num_clips)):
            clip = batch.clip()
            reconstruction = self.ema.model.decode(self.ema.model.encode(clip))
            if not videos:
                save_comparison(clip.frames[:_PREVIEW_CLIPS], reconstruction.frames[:_PREVIEW_CLIPS], preview)
            videos.append(clip_psnr(reconstruction.frames, clip.frames))
            image = VideoClip(clip.frames[:, :, :1], clip.fps)
            images.append(clip_psnr(self.ema.model.decode(self.ema.model.encode(image)).frames, image.frames))
            deviations.append((0.5 * self.ema.model.posterior(clip).log_variance).exp().mean())
        return {
            "psnr": float(torch.cat(videos).mean()),
            "image_psnr": float(torch.cat(images).mean()),
            "posterior_std": float(torch.stack(deviations).mean()),
        }

    @torch.no_grad()
    def prepare(self) -> None:
        """Set the linear code, where there is one, to the principal components of training clips."""
        if self.tae_recipe.decoder_only:
            raise ValueError(
                "decoder_only trains on the latents of an encoder that is there: give its weights by --init"
            )
        if not self.model.config.linear_code:
            return
        clips = (frames for batch in self._statistics_batches() for frames in batch.clip().frames.cpu())
        code = principal_components(clips, self.model.latent_channels)
        for model in (self.model, self.ema.model):
            model.set_linear_code(code)

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write the averaged weights with the per-channel statistics of their latents, in float16."""
        if not self.tae_recipe.decoder_only:
            self._measure_latents()
        save(self.ema.model, folder, dtype=torch.float16)

    def _measure_latents(self) -> None:
        """Set the statistics that latents are normalised by: those of draws of the posterior (our choice).

        Means alone vary little in channels that say little. Made as large as the others, they would be most
        of what a transformer of the latents has to learn.
        """
        posteriors = [self.ema.model.posterior(batch.clip()) for batch in self._statistics_batches()]
        means_CP = torch.cat([each.mean.transpose(0, 1).flatten(1) for each in posteriors], dim=1)
        noise_CP = torch.cat([each.log_variance.transpose(0, 1).flatten(1) for each in posteriors], dim=1)
        variances_C = means_CP.var(dim=1) + noise_CP.exp().mean(dim=1)
        self.ema.model.set_normalisation(means_CP.mean(dim=1), variances_C.sqrt().clamp_min(1e-3))

    def _statistics_batches(self) -> Iterator[ClipBatch]:
        num_clips = min(self.tae_recipe.statistics_clips, len(self.source))
        chosen = permutation(len(self.source), self.recipe.seed, 0)[:num_clips].tolist()
        return self._batches(self.source, chosen)

    def _batches(self, source: ClipSource, indices: Sequence[int]) -> Iterator[ClipBatch]:
        collate, size = collate_clips(source), self.recipe.batch_size
        for first in range(0, len(indices), size):
            yield collate(indices[first : first + size]).to(self.device)


def _check_sizes(recipe: TAERecipe, shape: tuple[int, ...], discriminator: PatchDiscriminator | None) -> None:
    """Refuse now what a step in some hours would trip over."""
    T, H, W = shape[:3]
    sides, lengths = (
        ((min(H, W),), (T,)) if recipe.crops is None else (recipe.crops.sides, recipe.crops.frames)
    )
    if max(sides) > min(H, W) or max(lengths) > T:
        raise ValueError(
            f"crops of up to {max(lengths)} frames of {max(sides)} x {max(sides)} do not fit into the clips: "
            f"they have {T} frames of {H} x {W}"
        )
    if discriminator is not None and min(sides) < discriminator.smallest_side:
        raise ValueError(
            f"frames of {min(sides)} rows are too small for this discriminator: it needs "
            f"{discriminator.smallest_side}, or fewer layers"
        )


def perceptual_distance(features: PerceptualFeatures) -> PerceptualFn:
    """The frozen distance that a recipe names.

    Raises:
        ValueError: its weights cannot be read, or are not those that were asked for.
    """
    if isinstance(features, EfficientNetFeatures):
        return PerceptualDistance(load_efficientnet_lite()).requires_grad_(False)
    return load_vgg_lpips(features.backbone, features.heads, features.backbone_sha256, features.heads_sha256)
