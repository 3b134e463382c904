"""Training of the temporal autoencoder (paper, section 3.1.1).

Legend: B batch, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from moviegen_core import VideoClip
from moviegen_tae import TAE, TAEConfig, TAELoss, TAELossWeights, principal_components, save
from torch import Tensor, nn

from moviegen_runtime.data.order import permutation
from moviegen_runtime.data.source import ClipSource
from moviegen_runtime.features.efficientnet_lite import PerceptualDistance, load_efficientnet_lite
from moviegen_runtime.metrics import clip_psnr
from moviegen_runtime.training.clips import ClipBatch, collate_clips, open_clips
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.preview import save_comparison
from moviegen_runtime.training.recipe import TAERecipe

_OUTER = ("encoder.conv_in.", "encoder.conv_out.", "decoder.conv_in.", "decoder.conv_out.")
_PREVIEW_CLIPS = 6


class TAEModule(TrainingModule[TAE]):
    """The autoencoder in training, jointly on videos and images.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: training clips, for the statistics of the latents.
    """

    def __init__(self, config: TAEConfig, recipe: TAERecipe, source: ClipSource) -> None:
        super().__init__(TAE(config), recipe)
        self.tae_recipe = recipe
        self.source = source
        weights = TAELossWeights(**recipe.loss.model_dump())
        # Held by the loss, which is no module: frozen features have no place in checkpoints.
        self.tae_loss = TAELoss(weights, _perceptual_distance() if weights.perceptual > 0 else None)
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
        z = posterior.sample(self.noise(step, "posterior"))
        decode = self._compiled_decode if whole else self.model.decode_moments
        parts = self.tae_loss(decode(z, clip.shape), clip.frames, posterior)
        return parts.total, {f"{kind}.{name}": term for name, term in parts.terms.items()}

    def _cut(self, batch: ClipBatch, step: int) -> tuple[str, VideoClip]:
        """What this step is trained on: images, short clips or the clips themselves."""
        images, short = self.tae_recipe.images, self.tae_recipe.short_clips
        if images is not None and step % images.every == images.every - 1:
            return "image", self._images(batch, step, images.frames_per_clip)
        if short is not None and step < short.steps and short.frames < batch.frames.shape[1]:
            spare = batch.frames.shape[1] - short.frames
            first = int(torch.randint(spare + 1, (), generator=self.noise(step, "cut")))
            return "short", ClipBatch(batch.frames[:, first : first + short.frames], batch.fps).clip()
        return "video", batch.clip()

    def _images(self, batch: ClipBatch, step: int, frames_per_clip: int) -> VideoClip:
        """Different frames of every clip, each a clip of one frame: an image (paper, section 3.1.1)."""
        B, T = batch.frames.shape[:2]
        keys = torch.rand(B, T, generator=self.noise(step, "images"))
        chosen = keys.argsort(dim=1)[:, :frames_per_clip]
        rows = torch.arange(B)[:, None].expand_as(chosen)
        return ClipBatch(batch.frames[rows.flatten(), chosen.flatten()][:, None], batch.fps).clip()

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
        if not self.model.config.linear_code:
            return
        clips = (frames for batch in self._statistics_batches() for frames in batch.clip().frames.cpu())
        code = principal_components(clips, self.model.latent_channels)
        for model in (self.model, self.ema.model):
            model.set_linear_code(code)

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write the averaged weights with the per-channel statistics of their latents, in float16."""
        means = [
            self.ema.model.posterior(batch.clip()).mean.transpose(0, 1).flatten(1)
            for batch in self._statistics_batches()
        ]
        values_CP = torch.cat(means, dim=1)
        self.ema.model.set_normalisation(values_CP.mean(dim=1), values_CP.std(dim=1).clamp_min(1e-3))
        save(self.ema.model, folder, dtype=torch.float16)

    def _statistics_batches(self) -> Iterator[ClipBatch]:
        num_clips = min(self.tae_recipe.statistics_clips, len(self.source))
        chosen = permutation(len(self.source), self.recipe.seed, 0)[:num_clips].tolist()
        return self._batches(self.source, chosen)

    def _batches(self, source: ClipSource, indices: Sequence[int]) -> Iterator[ClipBatch]:
        collate, size = collate_clips(source), self.recipe.batch_size
        for first in range(0, len(indices), size):
            yield collate(indices[first : first + size]).to(self.device)


def _perceptual_distance() -> PerceptualDistance:
    return PerceptualDistance(load_efficientnet_lite()).requires_grad_(False)
