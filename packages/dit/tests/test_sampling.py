"""Solvers against an equation with a known solution, and guidance."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from moviegen_core import TextContext
from moviegen_dit import (
    Linear,
    LinearQuadratic,
    Method,
    PreparedConditions,
    VideoDiT,
    classifier_free_guidance,
    integrate,
)
from torch import Tensor

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


def swell(x: Tensor, t: Tensor) -> Tensor:
    """Its solution is x(t) = x(0) exp(sin(3 t))."""
    return 3 * torch.cos(3 * t)[:, None] * x


def error(method: Method, steps: int) -> float:
    start = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    end = integrate(swell, start, Linear(steps).times(), method=method)
    return (end - start * math.exp(math.sin(3.0))).abs().max().item()


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2)])
def test_the_error_falls_with_the_order_of_the_method(method: Method, order: int) -> None:
    coarse, fine = error(method, 400), error(method, 800)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun"])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_constant_velocity_is_followed_exactly(method: Method, steps: int) -> None:
    """Flow matching's own paths are straight lines."""
    start, slope = torch.zeros(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    end = integrate(lambda *_: slope, start, LinearQuadratic(steps).times(), method=method)
    torch.testing.assert_close(end, slope)
    assert not start.any()


def test_times_have_one_value_a_sample_and_stay_precise_for_narrow_states() -> None:
    seen: list[Tensor] = []

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        seen.append(t)
        return torch.zeros_like(x)

    integrate(velocity, torch.zeros(3, 1, dtype=torch.bfloat16), LinearQuadratic(50).times())
    assert all(t.shape == (3,) and t.dtype == torch.float32 for t in seen)
    torch.testing.assert_close(torch.stack(seen)[:, 0], LinearQuadratic(50).times()[:-1].float())


def test_each_step_is_reported_and_can_end_the_integration() -> None:
    class StoppedError(Exception):
        pass

    reported: list[int] = []

    def on_step(step: int, x: Tensor) -> None:
        reported.append(step)
        torch.testing.assert_close(x, torch.full((1,), step / 4))
        if step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        integrate(lambda x, _: torch.ones_like(x), torch.zeros(1), Linear(4).times(), on_step=on_step)
    assert reported == [1, 2, 3]


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.5, 0.5], [1.0, 0.0], [0.0, math.nan, 1.0], [[0.0, 1.0]]])
def test_times_that_do_not_increase_are_refused(times: list[float]) -> None:
    with pytest.raises(ValueError, match="each larger than the one before"):
        integrate(swell, torch.zeros(1, 1), torch.tensor(times))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="one of euler, midpoint, heun, not 'rk9'"):
        integrate(swell, torch.zeros(1, 1), Linear(1).times(), method="rk9")  # type: ignore[arg-type]


@pytest.fixture
def latent() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, 4, 2, 4, 4, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0.2, 0.7], dtype=torch.float64)


@pytest.fixture
def prompts(contexts: MakeContexts) -> list[TextContext]:
    return contexts([[3, 1], [2, 4]])


def test_guidance_of_one_is_the_conditional_model_and_runs_nothing_else(
    model: VideoDiT, prompts: list[TextContext], latent: tuple[Tensor, Tensor]
) -> None:
    batches: list[int] = []

    def counted(x: Tensor, t: Tensor, conditions: PreparedConditions) -> Tensor:
        batches.append(len(x))
        velocity: Tensor = model(x, t, conditions)
        return velocity

    conditions = model.prepare(prompts)
    guided = classifier_free_guidance(counted, conditions, model.null_conditions(2), 1.0)(*latent)
    assert batches == [2]
    assert torch.equal(guided, model(*latent, conditions))


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0, 7.5])
def test_guidance_goes_from_without_to_with_prompt_and_beyond(
    model: VideoDiT, prompts: list[TextContext], latent: tuple[Tensor, Tensor], scale: float
) -> None:
    conditions, nothing = model.prepare(prompts), model.null_conditions(2)
    given, without = model(*latent, conditions), model(*latent, nothing)
    assert (given - without).abs().max() > 1e-3
    guided = classifier_free_guidance(model, conditions, nothing, scale)(*latent)
    torch.testing.assert_close(guided, without + scale * (given - without), rtol=1e-10, atol=1e-10)


def test_guidance_refuses_what_has_no_meaning(model: VideoDiT, prompts: list[TextContext]) -> None:
    conditions = model.prepare(prompts)
    with pytest.raises(ValueError, match="guidance scale must be a number from 0 on, not nan"):
        classifier_free_guidance(model, conditions, model.null_conditions(2), math.nan)
    with pytest.raises(ValueError, match="not 2 and 3"):
        classifier_free_guidance(model, conditions, model.null_conditions(3), 2.0)
