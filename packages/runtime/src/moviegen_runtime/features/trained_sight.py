"""What `moviegen train` made to see films by, as a frozen encoder of their pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_audio import load_sight, locate_sight
from moviegen_core import weights_hash
from torch import Tensor


class TrainedSight:
    """A `FrozenSight` of cached sounds; pictures one by one: motion is seen later, in training.

    Args:
        source: a folder of its weights.
        device: where it runs.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """

    def __init__(self, source: Path | str, device: str = "cpu") -> None:
        self._model = load_sight(source).to(device)
        self.width, self.size = self._model.width, self._model.size
        self.weights_hash = weights_hash(locate_sight(source))

    @torch.inference_mode()
    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) of pictures (F, 3, H, W) in [-1, 1].

        Raises:
            ValueError: pictures of another size.
        """
        return self._model.encode(pictures)
