"""Trainings against a discriminator: one optimizer for both players, each clipped by its own norm."""

from __future__ import annotations

import torch
from torch import nn

from moviegen_runtime.training.audio_recipe import CodecRecipe
from moviegen_runtime.training.module import ModelT, TrainingModule
from moviegen_runtime.training.optimizer import MuonWithAdamW
from moviegen_runtime.training.recipe import TAERecipe


class AdversarialModule(TrainingModule[ModelT]):
    """A model in training, perhaps against a discriminator that AdamW moves in the same steps.

    Args:
        model: what is trained.
        recipe: how, and against what.
    """

    discriminator: nn.Module | None
    """Set by the subclass: None where the recipe has none."""

    def __init__(self, model: ModelT, recipe: TAERecipe | CodecRecipe) -> None:
        super().__init__(model, recipe)
        self.opponent = recipe.discriminator

    def configure_optimizers(self) -> MuonWithAdamW:
        optimizer = super().configure_optimizers()
        if self.discriminator is not None and self.opponent is not None:
            # One optimizer for both, so that a checkpoint has one state.
            plan, eps = self.opponent, self.recipe.optimizer.eps
            rule = {"rule": "adamw", "lr": plan.lr, "betas": plan.betas, "weight_decay": 0.0, "eps": eps}
            optimizer.add_param_group({**rule, "params": list(self.discriminator.parameters())})
        return optimizer

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if self.discriminator is None or gradient_clip_val is None:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:  # neither's gradient makes the other's step small
            for player in (self.model, self.discriminator):
                nn.utils.clip_grad_norm_(player.parameters(), gradient_clip_val)
