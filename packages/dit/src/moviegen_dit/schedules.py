"""Where the solver stops on its way from noise (t = 0) to data (t = 1) (paper, section 3.4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_MAX_STEPS = 10_000


class Schedule(Protocol):
    """Places the times of a solver."""

    def times(self) -> Tensor:
        """(steps + 1,) float64, strictly increasing from 0 to 1."""
        ...


def _check_steps(steps: int) -> None:
    if not 1 <= steps <= _MAX_STEPS:
        raise ValueError(f"steps must be from 1 to {_MAX_STEPS}, not {steps}")


@dataclass(frozen=True)
class Linear:
    """Steps of one size.

    Raises:
        ValueError: steps not in 1 to 10000.
    """

    steps: int

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def times(self) -> Tensor:
        """(steps + 1,) float64 from 0 to 1."""
        return torch.arange(self.steps + 1, dtype=torch.float64) / self.steps


@dataclass(frozen=True)
class Quadratic:
    """Squares of a linear schedule: steps that grow from the first one on. Not from the paper.

    Raises:
        ValueError: steps not in 1 to 10000.
    """

    steps: int

    def __post_init__(self) -> None:
        _check_steps(self.steps)

    def times(self) -> Tensor:
        """(steps + 1,) float64 from 0 to 1."""
        return Linear(self.steps).times().square()


@dataclass(frozen=True)
class LinearQuadratic:
    """The first half of the steps are those of a longer linear schedule, the rest grow quadratically.

    The paper prints no formula. In this reading the two parts meet with the same slope; the literal one,
    quadratic from standstill, would begin its second half with smaller steps than the linear ones.

    Args:
        steps: number of steps; the first floor(steps / 2) are linear.
        emulate: steps of the linear schedule that is emulated; 250 in practice (section 3.4.2).

    Raises:
        ValueError: steps not in 1 to 10000, or fewer steps emulated than taken.
    """

    steps: int
    emulate: int = 250

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        if self.emulate < self.steps:
            raise ValueError(f"emulate must be at least the {self.steps} steps taken, not {self.emulate}")

    def times(self) -> Tensor:
        """(steps + 1,) float64 from 0 to 1."""
        linear_steps = self.steps // 2
        step = torch.arange(self.steps + 1, dtype=torch.float64)
        # The linear schedule goes on with slope 1 / emulate; what is missing to 1 comes in as a square.
        beyond = (step - linear_steps).clamp(min=0) / (self.steps - linear_steps)
        times = step / self.emulate + (1 - self.steps / self.emulate) * beyond.square()
        times[-1] = 1.0  # the two summands may round
        return times
