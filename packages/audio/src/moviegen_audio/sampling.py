"""From noise to the latent of a sound (paper, section 6.1.3 names solver, steps and guidance).

A sound that is longer than what the model is trained on is made in windows that overlap, all of them at every
step (MultiDiffusion, Bar-Tal et al. 2023). The paper compares this with segments that are made one after the
other, prefers it, and prefers triangular weights to uniform ones.

Legend: B batch, C latent channels, T latent frames.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from moviegen_dit import (
    Linear,
    Method,
    StepCallback,
    VelocityFn,
    Windows,
    classifier_free_guidance,
    integrate,
    multidiffusion,
)
from torch import Tensor

from moviegen_audio.conditions import AudioConditions
from moviegen_audio.model import AudioDiT

ConditionsFn = Callable[[slice], AudioConditions]
"""What the model is told of some latent frames of a sound. `AudioConditions.span`, of the conditions of all,
is one; another prepares them when it is asked, each part with a text of its own."""


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
        noise: (B, C, T) standard normal; the paper takes the best of 8 draws. The state keeps its precision,
            which should be single at least: a small step added to a half-precision state would round away.
        guidance: against nothing at all: no text, no video, no sound.
        steps: equal steps of the solver, of which midpoint asks for the velocity twice each.
        on_step: for progress; an exception that it raises ends the sampling and reaches the caller.

    Raises:
        ValueError: sizes differ, or a setting is out of its range.
    """
    nothing = model.null_conditions(conditions.batch, conditions.frames)
    velocity = _guided(model, conditions, nothing, guidance)
    return integrate(velocity, noise, Linear(steps).times(), method=method, on_step=on_step)


@torch.no_grad()
def sample_windows(
    model: AudioDiT,
    conditions: ConditionsFn,
    noise: Tensor,
    windows: Windows,
    *,
    guidance: float = 3.0,
    steps: int = 64,
    method: Method = "midpoint",
    on_step: StepCallback | None = None,
) -> Tensor:
    """Latents (B, C, T), normalised, of sounds that are as long as all windows together.

    One window is `sample`, bit for bit. Memory grows with the sound by its latents, which are small, and by
    what `conditions` keeps.

    Args:
        conditions: asked for each window at every evaluation; what it should not make anew, it keeps.
        noise: (B, C, T) standard normal, as in `sample`.
        windows: of T frames; their length is what the model sees at once.
        guidance: as in `sample`, and so are the others.

    Raises:
        ValueError: sizes differ, or a setting is out of its range.
    """
    nothing = model.null_conditions(noise.shape[0], min(windows.length, windows.frames))

    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        return _guided(model, conditions(frames), nothing, guidance)(x, t)

    averaged = multidiffusion(velocity, windows)
    return integrate(averaged, noise, Linear(steps).times(), method=method, on_step=on_step)


def _guided(
    model: AudioDiT, conditions: AudioConditions, nothing: AudioConditions, guidance: float
) -> VelocityFn:
    """With guidance, and in the precision of the weights, whatever that of the state is."""
    guided, dtype = classifier_free_guidance(model, conditions, nothing, guidance), conditions.context.dtype

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        return guided(x.to(dtype), t).to(x.dtype)

    return velocity
