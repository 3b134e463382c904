"""The ways from noise to a clip that are compared.

The paper's linear-quadratic schedule (section 3.4.2) has no printed formula, and two readings: the *smooth*
one, whose quadratic half goes on with the slope of the linear half (`LinearQuadratic`), and the *literal*
one, whose second half is a square that starts from standstill. Each for 250 and for 1,000 emulated steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from moviegen_dit import ALL_TIMES, Linear, LinearQuadratic, Quadratic
from torch import Tensor

_EMULATED = (250, 1000)  # in practice, and in the paper's motivation


@dataclass(frozen=True)
class Solver:
    """Euler steps between given times, and the shortcuts taken.

    Args:
        name: of the schedule, or of the shortcuts.
        times: (steps + 1,) float64 from 0 to 1.
        interval: of guidance.
        reuse: the middle blocks run at every so many steps.
    """

    name: str
    times: Tensor
    interval: tuple[float, float] = ALL_TIMES
    reuse: int = 1

    @property
    def steps(self) -> int:
        return len(self.times) - 1


def literal(steps: int, emulate: int) -> Tensor:
    """(steps + 1,) float64: floor(steps / 2) steps of the emulated schedule, then a square from standstill.

    Raises:
        ValueError: fewer steps emulated than taken.
    """
    if emulate < steps:
        raise ValueError(f"emulate must be at least the {steps} steps taken, not {emulate}")
    linear = steps // 2
    start = linear / emulate
    beyond = torch.arange(1, steps - linear + 1, dtype=torch.float64) / (steps - linear)
    times = torch.cat(
        [torch.arange(linear + 1, dtype=torch.float64) / emulate, start + (1 - start) * beyond.square()]
    )
    times[-1] = 1.0  # the two summands may round
    return times


def schedules(counts: Sequence[int]) -> list[Solver]:
    """Every schedule at every number of steps.

    Raises:
        ValueError: more steps than are emulated.
    """
    made = []
    for steps in counts:
        made.append(Solver("linear", Linear(steps).times()))
        for emulate in _EMULATED:
            smooth = LinearQuadratic(steps, emulate).times()
            made.append(Solver(f"linear-quadratic of {emulate}, smooth", smooth))
            made.append(Solver(f"linear-quadratic of {emulate}, literal", literal(steps, emulate)))
        made.append(Solver("quadratic", Quadratic(steps).times()))
    return made


def shortcuts(plain: Solver) -> list[Solver]:
    """What may be left out of a plain solver, which comes first."""
    made = [replace(plain, name="nothing")]
    intervals = ((0.0, 0.5), (0.0, 0.8), (0.1, 1.0), (0.1, 0.8))
    for first, last in intervals:
        made.append(replace(plain, name=f"guidance outside {first:g} to {last:g}", interval=(first, last)))
    for reuse in (2, 3, 5):
        made.append(replace(plain, name=f"middle blocks in {reuse - 1} of {reuse} steps", reuse=reuse))
    both = "guidance outside 0 to 0.8, middle blocks in 1 of 2 steps"
    made.append(replace(plain, name=both, interval=(0.0, 0.8), reuse=2))
    return made
