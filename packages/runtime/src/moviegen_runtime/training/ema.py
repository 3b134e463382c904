"""Moving average of a model's weights: what is validated and exported."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

ModelT = TypeVar("ModelT", bound=nn.Module)


class MovingAverage(nn.Module, Generic[ModelT]):
    """Exponential moving average with a warm-up, so that the first weights are soon forgotten.

    Update n (from 0 on) keeps min(decay, (1 + n) / (10 + n)) of the old average. The count is a buffer, so a
    checkpoint of the enclosing module holds all of it.

    Args:
        model: copied; the copy is frozen and in evaluation mode.
        decay: in [0, 1); 0: the average is the model.
    """

    updates: Tensor

    def __init__(self, model: ModelT, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.model: ModelT = copy.deepcopy(model).requires_grad_(False).eval()
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self._count: int | None = None

    def train(self, mode: bool = True) -> MovingAverage[ModelT]:
        """Stays in evaluation mode, whatever the enclosing module does."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards a model's parameters, and copy its buffers."""
        if self._count is None:  # read once: `item` would make a GPU wait at every step
            self._count = int(self.updates.item())
        kept = min(self.decay, (1 + self._count) / (10 + self._count)) if self.decay > 0 else 0.0
        averages: list[Tensor] = list(self.model.parameters())
        values: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(averages, values, 1.0 - kept)
        for average, value in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(value)
        self._count += 1
        self.updates += 1
