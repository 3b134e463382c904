"""Training of what sees for an audio transformer, on when something begins to sound (ours).

Legend: B films, P pictures of all of them, H rows, W columns, T frames of sound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from moviegen_audio import FrameFeatures, Sight, SightConfig, save_sight
from torch import Tensor

from moviegen_runtime.data.sounds import SoundSource, open_sounds
from moviegen_runtime.media.onsets import Times, matched, onsets
from moviegen_runtime.media.reading import fitted
from moviegen_runtime.training.audio_recipe import SightRecipe
from moviegen_runtime.training.module import TrainingModule

_TOLERANCE = 0.125  # seconds between what is seen to begin and what is heard to
_VALIDATION_BATCH = 16


@dataclass(frozen=True)
class FilmsWithOnsets:
    """Films, and when something begins in their sounds.

    A batch is as long as its shortest sound, and begins where the sounds do.

    Args:
        pictures: (P, H, W, 3) uint8, each of them once.
        shown: (B, T) which of them is seen at the middle of each frame of sound.
        onsets: seconds, in order, of each film.
    """

    pictures: Tensor
    shown: Tensor
    onsets: tuple[Times, ...]

    def to(self, device: torch.device) -> FilmsWithOnsets:
        """The same batch on another device."""
        return FilmsWithOnsets(self.pictures.to(device), self.shown.to(device), self.onsets)


def collate_films(source: SoundSource, config: SightConfig) -> Callable[[Sequence[int]], FilmsWithOnsets]:
    """A function from indices to their films as one batch.

    Args:
        source: sounds with films; the function refuses one without with a ValueError.
        config: of what is to see them.
    """

    def collate(indices: Sequence[int]) -> FilmsWithOnsets:
        sounds = [source[index] for index in indices]
        frames = min(int(sound.samples.shape[1] / sound.rate * config.frame_rate) for sound in sounds)
        pictures: list[Tensor] = []
        shown: list[Tensor] = []
        for index, sound in zip(indices, sounds, strict=True):
            if sound.picture is None:
                raise ValueError(f"sound {index} has no film: tell the source to give the pictures")
            count = torch.arange(len(sound.picture.frames), dtype=torch.float64)[None, :, None]
            numbers = FrameFeatures(count, sound.picture.fps).resampled(frames, config.frame_rate)[0, :, 0]
            # In order of time, so what is shown again follows at once.
            distinct, place = torch.unique_consecutive(numbers.long(), return_inverse=True)
            shown.append(place + len(pictures))
            size = (config.side, config.side)
            pictures += [torch.from_numpy(fitted(sound.picture.frames[number], size)) for number in distinct]
        heard = tuple(onsets(sound.samples, sound.rate) for sound in sounds)
        return FilmsWithOnsets(torch.stack(pictures), torch.stack(shown), heard)

    return collate


class SightModule(TrainingModule[Sight]):
    """What sees, in training.

    Args:
        config: architecture.
        recipe: how it is trained.
    """

    def __init__(self, config: SightConfig, recipe: SightRecipe) -> None:
        super().__init__(Sight(config), recipe)
        self.sight_recipe = recipe
        self.held_out = None
        if recipe.validation is not None:
            self.held_out = open_sounds(recipe.validation.data.source, recipe.validation.data.options)

    def is_inner(self, name: str) -> bool:
        return name.startswith(("levels.", "near.", "around.")) and not name.startswith("levels.0.")

    def loss(self, batch: FilmsWithOnsets, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        del step
        loss = self._loss(self._logits(self.model, batch), batch)
        return loss, {"loss": loss}

    def _logits(self, sight: Sight, batch: FilmsWithOnsets) -> Tensor:
        """(B, T) that something begins."""
        pixels_P3HW = batch.pictures.permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)
        return sight.beginnings(sight.watch(sight.encode(pixels_P3HW)[batch.shown]))

    def _loss(self, logits_BT: Tensor, batch: FilmsWithOnsets) -> Tensor:
        begins_BT = begins(batch.onsets, logits_BT.shape[1], self.model.config.frame_rate)
        weight = torch.tensor(self.sight_recipe.beginning_weight, device=logits_BT.device)
        return F.binary_cross_entropy_with_logits(
            logits_BT.float(), begins_BT.to(logits_BT.device), pos_weight=weight
        )

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """What the averaged weights see of held-out films: the loss, and F1 against what is heard to begin.

        Moments agree within 125 ms.
        """
        del preview
        plan = self.sight_recipe.validation
        if plan is None or self.held_out is None:
            return {}
        collate = collate_films(self.held_out, self.model.config)
        places = range(min(plan.num_sounds, len(self.held_out)))
        losses, pairs, moments = [], 0, 0
        for start in range(0, len(places), _VALIDATION_BATCH):
            batch = collate(places[start : start + _VALIDATION_BATCH]).to(self.device)
            logits_BT = self._logits(self.ema.model, batch)
            losses += [float(self._loss(logits_BT, batch))] * len(batch.onsets)
            for logits_T, heard in zip(logits_BT, batch.onsets, strict=True):
                seen = seen_to_begin(logits_T, self.model.config.frame_rate)
                pairs += len(matched(seen, heard, _TOLERANCE))
                moments += len(seen) + len(heard)
        return {"loss": float(np.mean(losses)), "f1": 2 * pairs / moments if moments else 1.0}

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write the averaged weights in float16."""
        save_sight(self.ema.model, folder, dtype=torch.float16)


def begins(moments: Sequence[Times], frames: int, frame_rate: float) -> Tensor:
    """(B, T): 1 at each frame of sound in which something begins, and at those beside it, else 0.

    Pictures show what makes a sound no more exactly than that.
    """
    found_BT = torch.zeros(len(moments), frames)
    for row_T, times in zip(found_BT, moments, strict=True):
        for place in np.floor(times * frame_rate).astype(int):
            row_T[max(place - 1, 0) : place + 2] = 1.0
    return found_BT


def seen_to_begin(logits_T: Tensor, frame_rate: float) -> Times:
    """Seconds, in order, where a beginning is likelier than not, and likeliest within two frames."""
    highest_T = F.max_pool1d(logits_T[None, None], 5, stride=1, padding=2)[0, 0]
    places = torch.nonzero((logits_T > 0) & (logits_T == highest_T))[:, 0]
    return (places.double().cpu().numpy() + 0.5) / frame_rate
