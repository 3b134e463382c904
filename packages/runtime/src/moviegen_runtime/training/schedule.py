"""Learning rate over the steps of a training: a pure function of the step, so nothing of it is saved."""

from __future__ import annotations

import math

from moviegen_runtime.training.recipe import OptimizerRecipe


def rate_factor(recipe: OptimizerRecipe, step: int, steps: int) -> float:
    """What the peak rates are multiplied by.

    Rises linearly to 1 over the warm-up, then stays, or falls to 0 just after the last step.

    Args:
        step: from 0 on.
        steps: of the whole training.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return 1.0
    done = min(1.0, (step - recipe.warmup_steps) / max(1, steps - recipe.warmup_steps))
    return 1.0 - done if recipe.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
