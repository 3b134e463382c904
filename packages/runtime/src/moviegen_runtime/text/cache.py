"""Token states on disk, so that a prompt is read once by a large encoder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from moviegen_core import TextContext, replacing
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from moviegen_runtime.text.reading import PrecisionName
from moviegen_runtime.text.registry import FrozenTextEncoder

# Part of every key: to be raised when the same files and prompt give other states than before.
_FORMAT = 1
_STATES = "states"


class CachedTextEncoder:
    """An encoder that keeps what it has read in a folder; with all prompts known it is never loaded.

    A file is named by the SHA-256 of the encoder's files, its precision and the prompt, so that nothing that
    is found can be of another encoder. Files are safetensors in float32: one (S, D) tensor each.

    Args:
        encoder: what reads prompts that are not there.
        folder: made if it is not there; several processes may share it.
    """

    def __init__(self, encoder: FrozenTextEncoder, folder: Path | str) -> None:
        self._encoder, self.folder = encoder, Path(folder)
        self.name, self.width, self.max_tokens = encoder.name, encoder.width, encoder.max_tokens
        self.weights_hash = encoder.weights_hash
        self.precision: PrecisionName = encoder.precision

    def encode(self, prompts: Sequence[str]) -> TextContext:
        """Token states (B, S, D) of the prompts in float32 on the CPU, as the encoder gives them.

        Raises:
            ValueError: as the encoder, or a file of the folder is damaged.
        """
        unknown = [prompt for prompt in dict.fromkeys(prompts) if not self._path(prompt).exists()]
        if unknown or not prompts:
            context = self._encoder.encode(unknown)
            for place, prompt in enumerate(unknown):
                self._write(prompt, context.embeddings[place, : int(context.lengths[place])])
        states = [self._known(prompt) for prompt in prompts]
        lengths = torch.tensor([len(one) for one in states])
        padded_BSD = torch.zeros(len(states), max(int(lengths.max()), 1), self.width)
        for place, one in enumerate(states):
            padded_BSD[place, : len(one)] = one
        return TextContext(padded_BSD, torch.arange(padded_BSD.shape[1]) < lengths[:, None], self.name)

    def check(self, prompt: str) -> None:
        """As the encoder."""
        self._encoder.check(prompt)

    def free(self) -> None:
        """Give the encoder's memory back."""
        self._encoder.free()

    def _path(self, prompt: str) -> Path:
        key = json.dumps([_FORMAT, self.name, self.weights_hash, self.precision, prompt])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def _write(self, prompt: str, states_SD: Tensor) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(prompt)) as aside:
            save_file({_STATES: states_SD.to("cpu", torch.float32).contiguous()}, aside)

    def _known(self, prompt: str) -> Tensor:
        path = self._path(prompt)
        try:
            states_SD = load_file(path)[_STATES]
        except (OSError, SafetensorError, KeyError) as error:
            raise ValueError(f"{path} is damaged: delete it, and the prompt is read again") from error
        shape, most = tuple(states_SD.shape), self.max_tokens
        fits = len(shape) == 2 and shape[0] <= most and shape[1] == self.width
        if not fits or states_SD.dtype != torch.float32 or not bool(states_SD.isfinite().all()):
            raise ValueError(
                f"{path} must hold finite float32 states (up to {most}, {self.width}), not {shape} of "
                f"{states_SD.dtype}: delete it, and the prompt is read again"
            )
        return states_SD
