"""What the trainings of all models share, as a Lightning module: moving average, optimizer, rates, noise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as L
import torch
from torch import Tensor, nn

from moviegen_runtime.training.batches import StepBatch
from moviegen_runtime.training.ema import MovingAverage
from moviegen_runtime.training.optimizer import MuonWithAdamW, build_optimizer
from moviegen_runtime.training.randomness import generator
from moviegen_runtime.training.recipes import AnyRecipe
from moviegen_runtime.training.schedule import rate_factor

ModelT = TypeVar("ModelT", bound=nn.Module)


class TrainingModule(L.LightningModule, Generic[ModelT]):
    """A model in training, with the moving average of its weights.

    Everything random is drawn from the recipe's seed and the number of the step, so a step's outcome
    depends on the state before it and on nothing else.

    Args:
        model: what is trained.
        recipe: how.
    """

    def __init__(self, model: ModelT, recipe: AnyRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = model
        self.ema = MovingAverage(model, recipe.ema_decay)
        self.last_terms: dict[str, Tensor] = {}

    @abstractmethod
    def is_inner(self, name: str) -> bool:
        """Whether a parameter lies inside the model; see `build_optimizer`."""

    @abstractmethod
    def loss(self, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised, and the terms to be logged, for the batch of a step."""

    @abstractmethod
    def validate(self, preview: Path) -> dict[str, float]:
        """Figures of the averaged weights on held-out data; writes a picture, if it has one, to `preview`."""

    def prepare(self) -> None:
        """What the model takes from its data before the first step of a training that starts from nothing."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the averaged weights in the weights format."""

    def noise(self, step: int, purpose: str) -> torch.Generator:
        """The generator of one purpose in one step."""
        return generator(self.recipe.seed, step, purpose)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; if the recipe asks for it, compiled anew for each of its few shapes."""
        return torch.compile(function, dynamic=False) if self.recipe.compile else function

    def configure_optimizers(self) -> MuonWithAdamW:
        # Whoever trains in bfloat16 has a machine that is fast at it.
        mixed = self.trainer.precision == "bf16-mixed"
        dtype = torch.bfloat16 if mixed else torch.float32
        return build_optimizer(self.model, self.recipe.optimizer, self.is_inner, dtype)

    def transfer_batch_to_device(
        self, batch: StepBatch[Any], device: torch.device, dataloader_idx: int
    ) -> StepBatch[Any]:
        del dataloader_idx
        return StepBatch(batch.step, batch.content.to(device))

    def on_train_batch_start(self, batch: StepBatch[Any], batch_idx: int) -> None:
        del batch_idx
        factor = rate_factor(self.recipe.optimizer, batch.step, self.recipe.steps)
        for group in self.trainer.optimizers[0].param_groups:
            group["factor"] = factor

    def training_step(self, batch: StepBatch[Any], batch_idx: int) -> Tensor:
        del batch_idx
        total, terms = self.loss(batch.content, batch.step)
        self.last_terms = {name: term.detach() for name, term in terms.items()}
        return total

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        # Not in a hook after the batch: checkpoints are written there and must contain this average.
        super().optimizer_step(*args, **kwargs)
        self.ema.update(self.model)
