"""Training of the spatial upsampler by flow matching on latents of single frames (paper, section 3.1.5).

Legend: B batch, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import moviegen_dit
import moviegen_tae
import torch
from moviegen_core import VideoClip, VideoLatent, VideoShape, weights_hash
from moviegen_dit import FlowPath, SpatialUpsampler, UpsamplerConfig, flow_matching_loss, upsampler_state
from moviegen_tae import TAE, FrameWise
from torch import Tensor

from moviegen_runtime.data.source import ClipSource
from moviegen_runtime.metrics import clip_psnr
from moviegen_runtime.pipelines.upsample import Upsampling, enlarged, reduced, upsample
from moviegen_runtime.training.clips import ClipBatch, collate_clips, open_clips
from moviegen_runtime.training.degradations import degraded
from moviegen_runtime.training.dit_module import repeated
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.preview import save_comparison
from moviegen_runtime.training.randomness import generator
from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe

_AUTOENCODER = "autoencoder"
_PREVIEW_CLIPS = 6


class UpsamplerModule(TrainingModule[SpatialUpsampler]):
    """The upsampler in training, without prompts; the autoencoder is frozen.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: clips of the final size.

    Raises:
        ValueError: the autoencoder is not there or does not fit, or the clips are too short or of a wrong
            size.
    """

    def __init__(self, config: UpsamplerConfig, recipe: UpsamplerRecipe, source: ClipSource) -> None:
        super().__init__(SpatialUpsampler(config), recipe)
        self.upsampler_recipe = recipe
        folder = moviegen_tae.locate(recipe.tae)
        self.tae_hash = weights_hash(folder)
        # In a tuple, for it is frozen and has no place among what is trained, averaged and saved.
        self._frozen: tuple[TAE] = (moviegen_tae.from_pretrained(folder).requires_grad_(False),)
        self.held_out = open_clips(recipe.validation.data) if recipe.validation else None
        for clips in (source, self.held_out):
            if clips is not None:
                _check_fit(config, recipe, self.tae, clips[0].frames.shape)
        self.path = FlowPath()
        self._velocity = self.compiled(self.model.forward)

    @property
    def tae(self) -> TAE:
        return self._frozen[0]

    def on_fit_start(self) -> None:
        self.tae.to(self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[_AUTOENCODER] = self.tae_hash

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if checkpoint.get(_AUTOENCODER) != self.tae_hash:
            raise ValueError(
                f"this training began with other weights of the autoencoder {self.upsampler_recipe.tae!r}: "
                "go on with those, or give a new folder"
            )

    def prepare(self) -> None:
        """Take the weights of the transformer that the recipe starts from."""
        if self.upsampler_recipe.base is None:
            return
        state = upsampler_state(moviegen_dit.from_pretrained(self.upsampler_recipe.base), self.model.config)
        for model in (self.model, self.ema.model):
            model.load_state_dict(state)

    def is_inner(self, name: str) -> bool:
        # The offsets of a block are six vectors, not a matrix.
        return name.startswith("dit.blocks.") and not name.endswith(".offsets")

    def loss(self, batch: ClipBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        sharp, shown = self._latents(batch.clip(), step)
        draws = self.upsampler_recipe.noise_draws
        sample = self.path.draw(sharp.repeat(draws, 1, 1, 1, 1), self.noise(step, "flow"))
        none = repeated(self.model.null_conditions(len(sharp)), draws)
        velocity = self._velocity(sample.x_t, shown.repeat(draws, 1, 1, 1, 1), sample.t, none)
        loss = flow_matching_loss(velocity, sample.target)
        return loss, {"loss": loss}

    @torch.no_grad()
    def _latents(self, clip: VideoClip, step: int) -> tuple[Tensor, Tensor]:
        """Latents (B, C, T, H, W) of a cut from sharp clips, and of the same cut from what they are made of.

        Whole clips go through the autoencoder, so that it sees them as it does where they are upsampled.
        """
        plan = self.upsampler_recipe
        length = plan.frames
        first = int(torch.randint(clip.shape.frames - length + 1, (), generator=self.noise(step, "cut")))
        cut = slice(first, first + length)
        chosen = torch.rand(clip.batch, generator=self.noise(step, "artifacts")) < plan.tae_artifacts
        seen, other = (mask.nonzero()[:, 0].to(clip.frames.device) for mask in (chosen, ~chosen))
        small = clip.frames.new_empty(clip.batch, 3, length, *self._small_size(clip.shape))
        if len(seen):
            through = self._through_autoencoder(VideoClip(clip.frames[seen], clip.fps), step)
            small[seen] = through.frames[:, :, cut]
        if len(other):
            small[other] = degraded(
                clip.frames[other][:, :, cut],
                self._small_size(clip.shape),
                plan.degradation,
                self.noise(step, "degradation"),
            )
        return self._coded(clip.frames[:, :, cut], clip.fps), self._shown(small, clip.fps)

    def _small_size(self, shape: VideoShape) -> tuple[int, int]:
        factor = self.model.config.factor
        return shape.height // factor, shape.width // factor

    def _through_autoencoder(self, clip: VideoClip, step: int | None = None) -> VideoClip:
        """Clips made small, through the autoencoder of videos and back: what a generated video looks like.

        In a step of the training with the recipe's noise on their latents.
        """
        small = VideoClip(reduced(clip.frames, self.model.config.factor), clip.fps)
        latent = self.tae.encode(small)
        if step is not None:
            latent = self._disturbed(latent, self.noise(step, "artifact noise"))
        decoded = self.tae.decode(latent)
        return VideoClip(decoded.frames.clamp(-1, 1), clip.fps)

    def _disturbed(self, latent: VideoLatent, draw: torch.Generator) -> VideoLatent:
        """Add noise, whose deviation is drawn for each clip from the recipe's span."""
        least, most = self.upsampler_recipe.artifact_noise
        share = torch.rand(len(latent.values), 1, 1, 1, 1, generator=draw)
        noise = torch.randn(latent.values.shape, generator=draw)
        added = (least + (most - least) * share) * noise
        return replace(latent, values=latent.values + added.to(latent.values))

    def _shown(self, small: Tensor, fps: float) -> Tensor:
        return self._coded(enlarged(small, self.model.config.factor), fps)

    def _coded(self, frames: Tensor, fps: float) -> Tensor:
        return FrameWise(self.tae).encode(VideoClip(frames, fps)).values

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """Flow-matching loss at times and noise that are always the same, and PSNR in dB of what is made.

        Held-out clips are made small and go through the autoencoder; PSNR of their bilinear enlargement and
        of the true clips through the frame-wise coder stand beside, for that is what there is to gain.
        """
        plan = self.upsampler_recipe.validation
        if self.held_out is None or plan is None:
            return {}
        losses: list[Tensor] = []
        noises: dict[str, list[Tensor]] = {"psnr": [], "bilinear_psnr": [], "coder_psnr": []}
        collate, size = collate_clips(self.held_out), self.recipe.batch_size
        num_clips = min(plan.num_clips, len(self.held_out))
        for start in range(0, num_clips, size):
            indices = range(start, min(start + size, num_clips))
            whole = collate(indices).to(self.device).clip()
            small = self._through_autoencoder(whole)
            frames = self.upsampler_recipe.frames
            small = VideoClip(small.frames[:, :, :frames], small.fps)
            sharp = VideoClip(whole.frames[:, :, :frames], whole.fps)
            losses.append(self._errors(sharp, small, start))
            made = upsample(
                small, self.tae, self.ema.model, seed=start, settings=Upsampling(steps=plan.solver_steps)
            )
            coder = FrameWise(self.tae)
            for name, frames_made in (
                ("psnr", made.frames),
                ("bilinear_psnr", enlarged(small.frames, self.model.config.factor)),
                ("coder_psnr", coder.decode(coder.encode(sharp)).frames),
            ):
                noises[name].append(clip_psnr(frames_made, sharp.frames))
            if start == 0:
                save_comparison(sharp.frames[:_PREVIEW_CLIPS], made.frames[:_PREVIEW_CLIPS], preview)
        figures = {name: float(torch.cat(values).mean()) for name, values in noises.items()}
        return {"loss": float(torch.cat(losses).mean())} | figures

    def _errors(self, sharp: VideoClip, small: VideoClip, start: int) -> Tensor:
        """(B,) squared error of the averaged weights' velocity."""
        shown = self._shown(small.frames, small.fps)
        sample = self.path.draw(self._coded(sharp.frames, sharp.fps), generator(0, start, "validation"))
        model = self.ema.model
        velocity: Tensor = model(sample.x_t, shown, sample.t, model.null_conditions(sharp.batch))
        return (velocity - sample.target).square().flatten(1).mean(dim=1)

    def export(self, folder: Path) -> None:
        """Write the averaged weights in float16."""
        moviegen_dit.save_upsampler(self.ema.model, folder, dtype=torch.float16)


def _check_fit(config: UpsamplerConfig, recipe: UpsamplerRecipe, tae: TAE, shape: tuple[int, ...]) -> None:
    """Refuse now what a step would trip over."""
    T, H, W = shape[:3]
    if tae.latent_channels != config.latent_channels:
        raise ValueError(
            f"the autoencoder {recipe.tae!r} makes {tae.latent_channels} channels, the upsampler takes "
            f"{config.latent_channels}: they must agree"
        )
    if recipe.frames > min(T, config.window):
        raise ValueError(
            f"cuts of {recipe.frames} frames do not fit: the clips have {T} frames, the "
            f"upsampler's window {config.window}"
        )
    for name, side, stride in (("height", H, tae.stride.height), ("width", W, tae.stride.width)):
        if side % (config.factor * stride):
            raise ValueError(
                f"{name} of the clips must be a multiple of {config.factor * stride}, not {side}"
            )
    latent = FrameWise(tae).stride.latent(VideoShape(recipe.frames, H, W))
    config.token_shape(latent)
