"""Training of what sees for an audio transformer: on when something begins to sound, and on its timbre.

All of it is ours.

Legend: B films, P pictures of all of them, H rows, W columns, T frames of sound, N onsets of a film, M bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from moviegen_audio import FrameFeatures, Sight, SightConfig, save_sight
from numpy.typing import NDArray
from torch import Tensor

from moviegen_runtime.data.sounds import SoundSource, open_sounds
from moviegen_runtime.media.onsets import Times, matched, onsets, timbre_after
from moviegen_runtime.media.reading import fitted
from moviegen_runtime.training.audio_recipe import SightRecipe
from moviegen_runtime.training.module import TrainingModule

_TOLERANCE = 0.125  # seconds between what is seen to begin and what is heard to
_VALIDATION_BATCH = 16


@dataclass(frozen=True)
class FilmsWithOnsets:
    """Films, and what begins in their sounds.

    A batch is as long as its shortest sound, and begins where the sounds do.

    Args:
        pictures: (P, H, W, 3) uint8, each of them once.
        shown: (B, T) which of them is seen at the middle of each frame of sound.
        onsets: (N,) seconds, in order, of each film.
        timbre: (N, M) loudness of bands after each onset.
    """

    pictures: Tensor
    shown: Tensor
    onsets: tuple[Times, ...]
    timbre: tuple[NDArray[np.float32], ...]

    def to(self, device: torch.device) -> FilmsWithOnsets:
        """The same batch on another device."""
        return replace(self, pictures=self.pictures.to(device), shown=self.shown.to(device))


def collate_films(source: SoundSource, config: SightConfig) -> Callable[[Sequence[int]], FilmsWithOnsets]:
    """A function from indices to their films as one batch.

    Args:
        source: sounds with films; the function refuses one without with a ValueError.
        config: of what is to see them.
    """

    def collate(indices: Sequence[int]) -> FilmsWithOnsets:
        sounds = [source[index] for index in indices]
        frames = min(int(sound.samples.shape[1] / sound.rate * config.frame_rate) for sound in sounds)
        pictures: list[NDArray[np.uint8]] = []
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
            pictures += [fitted(sound.picture.frames[number], size) for number in distinct]
        heard = tuple(onsets(sound.samples, sound.rate) for sound in sounds)
        timbre = tuple(
            timbre_after(sound.samples, sound.rate, times) for sound, times in zip(sounds, heard, strict=True)
        )
        return FilmsWithOnsets(torch.from_numpy(np.stack(pictures)), torch.stack(shown), heard, timbre)

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
        return name.startswith(("levels.", "finer.", "near.", "around.")) and not name.startswith("levels.0.")

    def loss(self, batch: FilmsWithOnsets, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        del step
        terms = self._terms(*self._foreseen(self.model, batch), batch)
        return terms["beginning"] + self.sight_recipe.timbre_weight * terms["timbre"], terms

    def _foreseen(self, sight: Sight, batch: FilmsWithOnsets) -> tuple[Tensor, Tensor]:
        """(B, T) that something begins, and (B, T, M) its timbre."""
        pixels_P3HW = batch.pictures.permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)
        return sight.foresee(sight.watch(sight.encode(pixels_P3HW)[batch.shown]))

    def _terms(self, logits_BT: Tensor, bands_BTM: Tensor, batch: FilmsWithOnsets) -> dict[str, Tensor]:
        begins_BT, timbre_BTM = targets(batch, self.model.config.frame_rate, logits_BT.shape[1])
        begins_BT, timbre_BTM = begins_BT.to(logits_BT.device), timbre_BTM.to(logits_BT.device)
        weight = torch.tensor(self.sight_recipe.beginning_weight, device=logits_BT.device)
        beginning = F.binary_cross_entropy_with_logits(logits_BT.float(), begins_BT, pos_weight=weight)
        errors_BT = (bands_BTM.float() - timbre_BTM).square().mean(dim=-1)
        timbre = (errors_BT * begins_BT).sum() / begins_BT.sum().clamp_min(1)
        return {"beginning": beginning, "timbre": timbre}

    @torch.no_grad()
    def validate(self, preview: Path) -> dict[str, float]:
        """What the averaged weights foresee of held-out films.

        `f1` is that of what is seen to begin against what is heard to, within 125 ms; `timbre` is the error
        of the loudness of bands, and `timbre_of_mean` what the mean over all onsets would have.
        """
        del preview
        plan = self.sight_recipe.validation
        if plan is None or self.held_out is None:
            return {}
        collate = collate_films(self.held_out, self.model.config)
        places = range(min(plan.num_sounds, len(self.held_out)))
        losses: dict[str, list[float]] = {"beginning": [], "timbre": []}
        timbre: list[NDArray[np.float32]] = []
        pairs, moments = 0, 0
        for start in range(0, len(places), _VALIDATION_BATCH):
            batch = collate(places[start : start + _VALIDATION_BATCH]).to(self.device)
            logits_BT, bands_BTM = self._foreseen(self.ema.model, batch)
            for name, value in self._terms(logits_BT, bands_BTM, batch).items():
                losses[name] += [float(value)] * len(batch.onsets)
            timbre += batch.timbre
            for logits_T, heard in zip(logits_BT, batch.onsets, strict=True):
                seen = seen_to_begin(logits_T, self.model.config.frame_rate)
                pairs += len(matched(seen, heard, _TOLERANCE))
                moments += len(seen) + len(heard)
        figures = {name: float(np.mean(values)) for name, values in losses.items()}
        figures["timbre_of_mean"] = float(np.concatenate(timbre).var(axis=0).mean())
        return figures | {"f1": 2 * pairs / moments if moments else 1.0}

    @torch.no_grad()
    def export(self, folder: Path) -> None:
        """Write the averaged weights in float16."""
        save_sight(self.ema.model, folder, dtype=torch.float16)


def targets(batch: FilmsWithOnsets, frame_rate: float, frames: int) -> tuple[Tensor, Tensor]:
    """What is to be foreseen: (B, T) 1 where something begins, else 0, and (B, T, M) its timbre.

    It begins in the frame of its onset and in those beside it: pictures show it no more exactly than that.
    """
    begins_BT = torch.zeros(len(batch.onsets), frames)
    timbre_BTM = torch.zeros(len(batch.onsets), frames, batch.timbre[0].shape[1])
    for number, (times, timbre) in enumerate(zip(batch.onsets, batch.timbre, strict=True)):
        for place, values in zip(np.floor(times * frame_rate).astype(int), timbre, strict=True):
            near = slice(max(place - 1, 0), place + 2)
            begins_BT[number, near] = 1.0
            timbre_BTM[number, near] = torch.from_numpy(values)
    return begins_BT, timbre_BTM


def seen_to_begin(logits_T: Tensor, frame_rate: float) -> Times:
    """Seconds, in order, where a beginning is likelier than not, and likeliest within two frames."""
    highest_T = F.max_pool1d(logits_T[None, None], 5, stride=1, padding=2)[0, 0]
    places = torch.nonzero((logits_T > 0) & (logits_T == highest_T))[:, 0]
    return (places.double().cpu().numpy() + 0.5) / frame_rate
