"""From noise to the latent of a sound (paper, section 6.1.3 names solver, steps and guidance)."""

from __future__ import annotations

import torch
from moviegen_dit import Linear, Method, StepCallback, classifier_free_guidance, integrate
from torch import Tensor

from moviegen_audio.conditions import AudioConditions
from moviegen_audio.model import AudioDiT


@torch.no_grad()
def sample(
    model: AudioDiT,
    conditions: AudioConditions,
    noise: Tensor,
    *,
    guidance: float = 3.0,
    steps: int = 64,
    method: Method = "midpoint",
    on_step: StepCallback | None = None,
) -> Tensor:
    """Latents (B, C, T), normalised, of sounds under conditions; the defaults are the paper's.

    Args:
        noise: (B, C, T) standard normal; the paper takes the best of 8 draws.
        guidance: against nothing at all: no text, no video, no sound.
        steps: equal steps of the solver, of which midpoint asks for the velocity twice each.
        on_step: for progress; an exception that it raises ends the sampling and reaches the caller.

    Raises:
        ValueError: sizes differ, or a setting is out of its range.
    """
    nothing = model.null_conditions(conditions.batch, conditions.context.shape[2])
    velocity = classifier_free_guidance(model, conditions, nothing, guidance)
    return integrate(velocity, noise, Linear(steps).times(), method=method, on_step=on_step)
