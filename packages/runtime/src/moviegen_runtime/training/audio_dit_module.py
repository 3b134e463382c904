"""Training of the audio transformer on cached sounds by flow matching (paper, section 6.1).

Legend: B batch, C channels, T latent frames of sound, E width of the features of pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from moviegen_audio import (
    AudioContext,
    AudioDiT,
    AudioDiTConfig,
    AudioMasking,
    FrameFeatures,
    Sight,
    save_dit,
)
from moviegen_core import TextContext
from moviegen_dit import FlowPath, flow_matching_loss
from torch import Tensor

from moviegen_runtime.data.latents import padded
from moviegen_runtime.data.sound_latents import SeenFrames, ShardedSounds
from moviegen_runtime.training.audio_recipe import AudioDiTRecipe
from moviegen_runtime.training.dit_module import COMPILED_PROMPT_TOKENS, padded_to_multiple
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.randomness import generator


@dataclass(frozen=True)
class HeardAndSeen:
    """Latents (B, C, T) of sounds, the token states of their captions, and what is seen of each.

    A batch is as long as its shortest sound (our choice), and begins where the sounds do.

    Args:
        seen: one for each sound; None: nothing is seen of any.
    """

    latents: Tensor
    text: TextContext
    seen: tuple[SeenFrames, ...] | None

    def to(self, device: torch.device) -> HeardAndSeen:
        """The same batch on another device."""
        seen = self.seen
        if seen is not None:
            seen = tuple(SeenFrames(each.values.to(device), each.fps) for each in seen)
        return HeardAndSeen(self.latents.to(device), self.text.to(device), seen)


def collate_heard(source: ShardedSounds, encoder: str) -> Callable[[Sequence[int]], HeardAndSeen]:
    """A function from indices to their sounds as one batch.

    Args:
        encoder: whose token states are taken.
    """

    def collated(indices: Sequence[int]) -> HeardAndSeen:
        samples = [source[index] for index in indices]
        frames = min(sample.latent.shape[1] for sample in samples)
        latents = torch.stack([sample.latent[:, :frames] for sample in samples]).float()
        seen = tuple(sample.seen for sample in samples if sample.seen is not None)
        return HeardAndSeen(
            latents, padded([sample.text[encoder] for sample in samples], encoder), seen or None
        )

    return collated


class AudioDiTModule(TrainingModule[AudioDiT]):
    """The audio transformer in training; what sees for it is kept as it is.

    Args:
        config: architecture.
        recipe: how it is trained.
        source: sounds; with validation, the last ones of them are held out.
        sight: what made the features of the films; None: an encoder that is no part of the transformer.
    """

    def __init__(
        self, config: AudioDiTConfig, recipe: AudioDiTRecipe, source: ShardedSounds, sight: Sight | None
    ) -> None:
        model = AudioDiT(config)
        if model.sight is not None and sight is not None:
            model.sight.load_state_dict(sight.state_dict())
            model.sight.requires_grad_(False)
        super().__init__(model, recipe)
        self.audio_recipe = recipe
        self.source = source
        self.masking = AudioMasking(**recipe.masking.model_dump())
        self.path = FlowPath()
        self._velocity = self.compiled(self.model.forward)

    def is_inner(self, name: str) -> bool:
        # The offsets of a block are six vectors, not a matrix.
        return name.startswith("blocks.") and not name.endswith(".offsets")

    def loss(self, batch: HeardAndSeen, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        first, frames = self._span(batch.latents.shape[2], step)
        latents = batch.latents[:, :, first : first + frames]
        hidden = self.masking.draw(len(latents), frames, self.noise(step, "hidden"))
        device, text = latents.device, batch.text
        if self.recipe.compile:
            text = padded_to_multiple(text, COMPILED_PROMPT_TOKENS)
        conditions = self.model.prepare(
            frames,
            text=text,
            video=None if batch.seen is None else self._features(batch.seen, first, frames),
            context=AudioContext(latents, hidden.given.to(device)),
            drop_text=hidden.drop_text.to(device),
            drop_video=hidden.drop_video.to(device),
        )
        draws = self.audio_recipe.noise_draws
        sample = self.path.draw(latents.repeat_interleave(draws, dim=0), self.noise(step, "flow"))
        velocity = self._velocity(sample.x_t, sample.t, conditions.repeated(draws))
        loss = flow_matching_loss(velocity, sample.target)
        # Apart in the log: what is heard alone is harder to tell.
        alone = self.audio_recipe.alone is not None and batch.seen is None
        return loss, {"alone.loss" if alone else "loss": loss}

    def _span(self, whole: int, step: int) -> tuple[int, int]:
        """First frame and number of frames that this step is trained on."""
        lengths = self.audio_recipe.lengths
        if not lengths:
            return 0, whole
        draw = self.noise(step, "length")
        shares = torch.tensor([each.share for each in lengths])
        chosen = lengths[int(torch.multinomial(shares, 1, generator=draw))]
        frames = min(max(round(chosen.seconds * self.model.config.frame_rate), 1), whole)
        return int(torch.randint(whole - frames + 1, (), generator=draw)), frames

    def _features(self, seen: Sequence[SeenFrames], first: int, frames: int) -> FrameFeatures:
        """What is seen at the middle of some frames of the sounds, of films of any rates."""
        rate = self.model.config.frame_rate
        values = [
            FrameFeatures(each.values[None].float(), each.fps).resampled(frames, rate, first) for each in seen
        ]
        return FrameFeatures(torch.cat(values), rate)

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """Flow-matching loss of held-out sounds at times and noise that are always the same, given no sound.

        Beside it that of the same sounds without what is seen: how much more it is, is what seeing is worth.
        """
        del preview
        plan = self.audio_recipe.validation
        if plan is None:
            return {}
        losses: dict[str, list[Tensor]] = {}
        held_out, size = range(len(self.source) - plan.num_samples, len(self.source)), self.recipe.batch_size
        collate = collate_heard(self.source, self.model.config.text_encoder.name)
        for start in range(0, len(held_out), size):
            batch = collate(held_out[start : start + size]).to(self.device)
            for name, error in self._errors(batch, generator(0, start, "validation")).items():
                losses.setdefault(name, []).append(error)
        return {name: float(torch.cat(errors).mean()) for name, errors in losses.items()}

    def _errors(self, batch: HeardAndSeen, draw: torch.Generator) -> dict[str, Tensor]:
        """(B,) squared error of the averaged weights' velocity, with and without what is seen."""
        model, frames = self.ema.model, batch.latents.shape[2]
        sample = self.path.draw(batch.latents, draw)
        ways: dict[str, FrameFeatures | None] = {"loss": None}
        if batch.seen is not None:
            ways = {"loss": self._features(batch.seen, 0, frames), "blind_loss": None}
        errors = {}
        for name, video in ways.items():
            conditions = model.prepare(frames, text=batch.text, video=video)
            velocity: Tensor = model(sample.x_t, sample.t, conditions)
            errors[name] = (velocity - sample.target).square().flatten(1).mean(dim=1)
        return errors

    def export(self, folder: Path) -> None:
        """Write the averaged weights in float16."""
        save_dit(self.ema.model, folder, dtype=torch.float16)
