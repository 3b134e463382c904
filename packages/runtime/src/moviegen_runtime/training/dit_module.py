"""Training of the video transformer on cached latents by flow matching (paper, sections 3.1.2 and 3.1.3).

Legend: B batch, C channels, T H W latent frames, rows, columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from moviegen_core import TextContext
from moviegen_dit import (
    FlowPath,
    FlowSample,
    PreparedConditions,
    VideoDiT,
    VideoDiTConfig,
    flow_matching_loss,
    save,
)
from torch import Tensor

from moviegen_runtime.data.latents import ShardedLatents, collate
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.randomness import generator
from moviegen_runtime.training.recipe import DiTRecipe

# A compiled model has its prompts padded to multiples of this: each length, of
# prompts as of clips, is compiled anew, in a minute.
COMPILED_PROMPT_TOKENS = 16


@dataclass(frozen=True)
class LatentTexts:
    """Latents (B, C, T, H, W) and the token states of their captions, one context an encoder."""

    latents: Tensor
    texts: tuple[TextContext, ...]

    def to(self, device: torch.device) -> LatentTexts:
        """The same batch on another device."""
        return LatentTexts(self.latents.to(device), tuple(text.to(device) for text in self.texts))


def collate_latents(source: ShardedLatents) -> Callable[[Sequence[int]], LatentTexts]:
    """A function from indices to their samples as one batch."""

    def collated(indices: Sequence[int]) -> LatentTexts:
        batch = collate([source[index] for index in indices], source.stride)
        return LatentTexts(batch.latent.values, batch.text)

    return collated


class DiTModule(TrainingModule[VideoDiT]):
    """The video transformer in training.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: latents; with validation, the last ones of them are held out.
    """

    def __init__(self, config: VideoDiTConfig, recipe: DiTRecipe, source: ShardedLatents) -> None:
        super().__init__(VideoDiT(config), recipe)
        self.dit_recipe = recipe
        self.source = source
        self.usual_frames = source[0].latent.shape[1]
        self.path = FlowPath()
        self._velocity = self.compiled(self.model.forward)

    def is_inner(self, name: str) -> bool:
        # The offsets of a block are six vectors, not a matrix.
        return name.startswith("blocks.") and not name.endswith(".offsets")

    def loss(self, batch: LatentTexts, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        count = batch.latents.shape[0]
        drop = torch.rand(count, generator=self.noise(step, "drop")) < self.dit_recipe.text_dropout
        texts = tuple(self._disturbed(text, step) for text in batch.texts)
        if self.recipe.compile:
            texts = tuple(padded_to_multiple(text, COMPILED_PROMPT_TOKENS) for text in texts)
        conditions = self.model.prepare(texts, drop.to(batch.latents.device))
        draws = self.dit_recipe.noise_draws
        sample = self.path.draw(batch.latents.repeat(draws, 1, 1, 1, 1), self.noise(step, "flow"))
        velocity = self._velocity(sample.x_t, sample.t, repeated(conditions, draws))
        loss = flow_matching_loss(velocity, sample.target)
        return loss, {self._name_of(batch.latents.shape[2]): loss}

    def _disturbed(self, text: TextContext, step: int) -> TextContext:
        """Its token states with the recipe's noise."""
        if self.dit_recipe.text_noise == 0:
            return text
        states = text.embeddings
        noise = torch.randn(states.shape, generator=self.noise(step, f"text {text.encoder}"))
        return replace(text, embeddings=states + self.dit_recipe.text_noise * noise.to(states.device))

    def _name_of(self, frames: int) -> str:
        """Of the loss in the log; apart, since that of images, and of longer clips, is of another size."""
        if frames == self.usual_frames:
            return "loss"
        return "image.loss" if frames < self.usual_frames else "longer.loss"

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """Flow-matching loss of the held-out latents, at times and noise that are always the same."""
        del preview
        plan = self.dit_recipe.validation
        if plan is None:
            return {}
        first, size = len(self.source) - plan.num_samples, self.recipe.batch_size
        losses = []
        for start in range(first, len(self.source), size):
            indices = range(start, min(start + size, len(self.source)))
            batch = collate_latents(self.source)(indices).to(self.device)
            sample = self.path.draw(batch.latents, generator(0, start - first, "validation"))
            losses.append(self._errors(batch, sample))
        return {"loss": float(torch.cat(losses).mean())}

    def _errors(self, batch: LatentTexts, sample: FlowSample) -> Tensor:
        """(B,) squared error of the averaged weights' velocity."""
        model = self.ema.model
        velocity: Tensor = model(sample.x_t, sample.t, model.prepare(batch.texts))
        return (velocity - sample.target).square().flatten(1).mean(dim=1)

    def export(self, folder: Path) -> None:
        """Write the averaged weights in float16."""
        save(self.ema.model, folder, dtype=torch.float16)


def padded_to_multiple(text: TextContext, multiple: int) -> TextContext:
    """The same prompts with padding up to a multiple of so many tokens."""
    missing = -text.mask.shape[1] % multiple
    embeddings = F.pad(text.embeddings, (0, 0, 0, missing))
    return TextContext(embeddings, F.pad(text.mask, (0, missing)), text.encoder)


def repeated(conditions: PreparedConditions, times: int) -> PreparedConditions:
    """Conditions of the same samples, so many times over: all of them, then all of them again."""
    if times == 1:
        return conditions
    return PreparedConditions(
        keys=tuple(keys.repeat(times, 1, 1, 1) for keys in conditions.keys),
        values=tuple(values.repeat(times, 1, 1, 1) for values in conditions.values),
        key_lengths=conditions.key_lengths.repeat(times),
    )
