"""Schedules against vectors worked out by hand (paper, section 3.4.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from moviegen_dit import Linear, LinearQuadratic, Quadratic, Schedule


@pytest.mark.parametrize(
    ("emulate", "joint", "end"),
    [
        (250, [0.096, 0.1, 0.10528, 0.11312], [0.8691, 0.9333, 1.0]),
        (1000, [0.024, 0.025, 0.02752, 0.03308], [0.8521, 0.9245, 1.0]),
    ],
)
def test_fifty_steps(emulate: int, joint: list[float], end: list[float]) -> None:
    times = LinearQuadratic(50, emulate).times()
    assert times.shape == (51,)
    assert times.dtype == torch.float64
    torch.testing.assert_close(times[24:28], torch.tensor(joint, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(times[-3:], torch.tensor(end, dtype=torch.float64), rtol=0, atol=5e-5)
    steps = times.diff()[:25]
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / emulate), rtol=0, atol=1e-15)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 25, 50, 249, 250])
def test_times_rise_from_zero_to_one_with_growing_steps(steps: int) -> None:
    for schedule in (Linear(steps), LinearQuadratic(steps), Quadratic(steps)):
        times = schedule.times()
        assert times[0] == 0
        assert times[-1] == 1
        assert (times.diff() > 0).all()
        assert (times.diff().diff() > -1e-12).all()


def test_emulating_as_many_steps_as_taken_is_linear() -> None:
    torch.testing.assert_close(LinearQuadratic(40, 40).times(), Linear(40).times(), rtol=0, atol=1e-15)


def test_quadratic_times_are_squares() -> None:
    assert Quadratic(4).times().tolist() == [0, 1 / 16, 1 / 4, 9 / 16, 1]


def test_the_second_half_continues_with_the_slope_of_the_first() -> None:
    """A quadratic's first step is its slope at the joint and half of what the next step has more."""
    times = LinearQuadratic(50).times()
    first, second = times[26] - times[25], times[27] - times[26]
    slope_at_joint = first - (second - first) / 2
    assert abs(slope_at_joint.item() - 1 / 250) < 1e-12


@pytest.mark.parametrize("schedule", [Linear, LinearQuadratic, Quadratic])
@pytest.mark.parametrize("steps", [0, -1, 10_001])
def test_a_senseless_number_of_steps_is_refused(schedule: Callable[[int], Schedule], steps: int) -> None:
    with pytest.raises(ValueError, match=f"steps must be from 1 to 10000, not {steps}"):
        schedule(steps)


def test_fewer_steps_cannot_be_emulated_by_more() -> None:
    with pytest.raises(ValueError, match="emulate must be at least the 300 steps taken, not 250"):
        LinearQuadratic(300)
