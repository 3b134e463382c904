"""From noise to data: solvers of dx/dt = velocity(x, t), and guidance (paper, sections 3.1.2 and 3.4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, Protocol, Self, TypeVar, get_args

import torch
from torch import Tensor

Method = Literal["euler", "midpoint", "heun"]
"""Solvers: Euler asks for the velocity once a step (the paper's choice for video), the others twice."""

ALL_TIMES = (0.0, 1.0)
"""Interval of guidance that leaves no time out."""

StepCallback = Callable[[int, Tensor], None]
"""Called after each step with the number of steps done and the state there."""


class VelocityFn(Protocol):
    """The right-hand side of the equation."""

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity (B, ...) of states x (B, ...) at times t (B,)."""
        ...


class Conditions(Protocol):
    """What a model is told of a batch of samples, such as `PreparedConditions`."""

    @property
    def batch(self) -> int:
        """Number of samples."""
        ...

    def joined(self, other: Self) -> Self:
        """One batch of this one's samples, then the other's."""
        ...


_C = TypeVar("_C", bound=Conditions)
_Told = TypeVar("_Told", bound=Conditions, contravariant=True)


class ConditionalVelocity(Protocol[_Told]):
    """A model of velocities under conditions, such as `VideoDiT`."""

    def __call__(self, x: Tensor, t: Tensor, conditions: _Told) -> Tensor:
        """Velocity (B, ...) of states x (B, ...) at times t (B,)."""
        ...


@torch.no_grad()
def integrate(
    velocity: VelocityFn,
    x: Tensor,
    times: Tensor,
    *,
    method: Method = "euler",
    on_step: StepCallback | None = None,
) -> Tensor:
    """Follow the velocity from state x at times[0] to times[-1].

    Args:
        x: (B, ...) state at the first time; it is not changed.
        times: (steps + 1,) strictly increasing, as a schedule gives them.
        on_step: for progress; an exception that it raises ends the integration and reaches the caller.

    Returns:
        (B, ...) state at the last time, without gradient.

    Raises:
        ValueError: an unknown method, or times that do not increase.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, not {method!r}")
    if times.ndim != 1 or len(times) < 2 or not bool((times.diff() > 0).all()):
        raise ValueError("times must be at least two numbers, each larger than the one before")
    stops = times.tolist()  # Python floats: the step size keeps float64 whatever the state's type
    for index, (start, end) in enumerate(pairwise(stops)):
        x = _step(velocity, x, start, end, method)
        if on_step is not None:
            on_step(index + 1, x)
    return x


def _step(velocity: VelocityFn, x: Tensor, start: float, end: float, method: Method) -> Tensor:
    size = end - start
    slope = velocity(x, _at(x, start))
    if method == "midpoint":
        slope = velocity(x + size / 2 * slope, _at(x, start + size / 2))
    elif method == "heun":
        slope = (slope + velocity(x + size * slope, _at(x, end))) / 2
    return x + size * slope


def _at(x: Tensor, time: float) -> Tensor:
    """(B,) one time for all samples, never narrower than float32."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    return torch.full((x.shape[0],), time, dtype=dtype, device=x.device)


def classifier_free_guidance(
    model: ConditionalVelocity[_C],
    conditions: _C,
    unconditional: _C,
    scale: float,
    interval: tuple[float, float] = ALL_TIMES,
) -> VelocityFn:
    """Velocity u(none) + scale * (u(prompt) - u(none)); both come from one pass over a doubled batch.

    Args:
        unconditional: of as many samples, as the model's `null_conditions` gives them.
        scale: 1 is the conditional model itself, which then runs alone; the paper uses 7.5 (sound: 3).
        interval: first and last time that are guided; outside it the conditional model runs alone, at half
            the cost (Kynkaanniemi et al. 2024). Not from the paper. Times are then looked at on the host,
            which waits for the device once a call.

    Raises:
        ValueError: batch sizes differ, the scale is negative or not finite, or the interval is empty or
            leaves [0, 1].
    """
    if not (math.isfinite(scale) and scale >= 0):
        raise ValueError(f"guidance scale must be a number from 0 on, not {scale}")
    first, last = interval
    if not 0 <= first < last <= 1:
        raise ValueError(f"guidance interval must be two rising times from 0 to 1, not {first} and {last}")
    if conditions.batch != unconditional.batch:
        raise ValueError(
            "conditions must be of as many samples with and without prompt, "
            f"not {conditions.batch} and {unconditional.batch}"
        )
    if scale == 1:
        return lambda x, t: model(x, t, conditions)
    both = unconditional.joined(conditions)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        without, given = model(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return torch.lerp(without, given, scale)

    def guided_inside(x: Tensor, t: Tensor) -> Tensor:
        inside_B = (t >= first) & (t <= last)
        if not bool(inside_B.any()):
            return model(x, t, conditions)
        without, given = model(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        inside = inside_B.reshape(-1, *[1] * (x.ndim - 1))
        return torch.where(inside, torch.lerp(without, given, scale), given)

    return guided if interval == ALL_TIMES else guided_inside
