"""From noise to the latent of a sound (paper, section 6.1.3 names solver, steps and guidance)."""

from __future__ import annotations

import math

import torch
from moviegen_dit import Linear, Method, StepCallback, VelocityFn, integrate
from torch import Tensor

from moviegen_audio.conditions import AudioConditions
from moviegen_audio.model import AudioDiT


def guided(
    model: AudioDiT, conditions: AudioConditions, unconditional: AudioConditions, scale: float
) -> VelocityFn:
    """Velocity u(none) + scale * (u(all) - u(none)); both come from one pass over a doubled batch.

    Args:
        unconditional: of as many samples and frames, as `AudioDiT.null_conditions` gives them.
        scale: 1 is the conditional model itself, which then runs alone; the paper uses 3.

    Raises:
        ValueError: sizes differ, or the scale is negative or not finite.
    """
    if not (math.isfinite(scale) and scale >= 0):
        raise ValueError(f"guidance scale must be a number from 0 on, not {scale}")
    if conditions.context.shape != unconditional.context.shape:
        raise ValueError(
            "conditions must be of as many samples and frames with and without text and video, "
            f"not {tuple(conditions.context.shape)} and {tuple(unconditional.context.shape)}"
        )
    if scale == 1:
        return lambda x, t: model(x, t, conditions)
    both = unconditional.joined(conditions)

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        without, given = model(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return torch.lerp(without, given, scale)

    return velocity


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
    velocity = guided(model, conditions, nothing, guidance)
    return integrate(velocity, noise, Linear(steps).times(), method=method, on_step=on_step)
