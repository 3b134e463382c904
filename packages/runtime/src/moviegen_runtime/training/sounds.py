"""Batches of sounds for the codec, and cuts from them.

Legend: B batch, N samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from moviegen_audio import downmix
from moviegen_core import AudioClip
from torch import Tensor

from moviegen_runtime.data.sounds import SoundSource


@dataclass(frozen=True)
class SoundBatch:
    """Sounds of any lengths, mixed to one channel.

    Args:
        sounds: (1, N) each.
        rate: samples a second.
    """

    sounds: tuple[Tensor, ...]
    rate: int

    def to(self, device: torch.device) -> SoundBatch:
        """The same batch on another device."""
        return SoundBatch(tuple(sound.to(device) for sound in self.sounds), self.rate)


def collate_sounds(source: SoundSource, rate: int) -> Callable[[Sequence[int]], SoundBatch]:
    """A function from indices to their sounds as one batch.

    Args:
        rate: what the sounds must have; the function refuses others with a ValueError.
    """

    def collate(indices: Sequence[int]) -> SoundBatch:
        sounds = []
        for index in indices:
            sound = source[index]
            if sound.rate != rate:
                raise ValueError(f"the codec reads {rate} samples a second, sound {index} has {sound.rate}")
            clip = AudioClip(torch.from_numpy(sound.samples)[None], sound.rate)
            sounds.append(downmix(clip).samples[0])
        return SoundBatch(tuple(sounds), rate)

    return collate


def random_cuts(batch: SoundBatch, length: int, draw: torch.Generator) -> Tensor:
    """(B, 1, length): a cut of each sound, each from its own place.

    Args:
        draw: generator on the CPU.

    Raises:
        ValueError: a sound is shorter.
    """
    found = []
    for sound in batch.sounds:
        spare = sound.shape[-1] - length
        if spare < 0:
            raise ValueError(f"a sound of {sound.shape[-1]} samples is too short for cuts of {length}")
        start = int(torch.randint(spare + 1, (), generator=draw))
        found.append(sound[:, start : start + length])
    return torch.stack(found)
