"""Identities of the path in float64, the distribution of times, and the loss."""

from __future__ import annotations

import pytest
import torch
from moviegen_dit import FlowPath, flow_matching_loss, logit_normal
from torch import Tensor


@pytest.fixture
def ends() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise, data = (torch.randn(3, 2, 1, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    return noise, data


def test_the_path_begins_in_noise_and_ends_in_barely_noisy_data(ends: tuple[Tensor, Tensor]) -> None:
    noise, data = ends
    path = FlowPath()
    assert torch.equal(path.interpolate(noise, data, torch.zeros(3, dtype=torch.float64)), noise)
    end = path.interpolate(noise, data, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(end, data + 1e-5 * noise, rtol=0, atol=1e-15)


def test_the_velocity_is_the_derivative_of_the_path(ends: tuple[Tensor, Tensor]) -> None:
    noise, data = ends
    path = FlowPath(sigma_min=0.1)
    t = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    _, derivative = torch.autograd.functional.jvp(  # type: ignore[no-untyped-call]
        lambda time: path.interpolate(noise, data, time), t, torch.ones_like(t)
    )
    torch.testing.assert_close(path.velocity(noise, data), derivative, rtol=0, atol=1e-14)


def test_noise_and_data_come_back_from_a_point_and_its_velocity(ends: tuple[Tensor, Tensor]) -> None:
    noise, data = ends
    path = FlowPath()
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    x_t, velocity = path.interpolate(noise, data, t), path.velocity(noise, data)
    recovered = x_t - t.view(-1, 1, 1, 1, 1) * velocity
    torch.testing.assert_close(recovered, noise, rtol=0, atol=1e-14)
    torch.testing.assert_close(velocity + (1 - 1e-5) * recovered, data, rtol=0, atol=1e-14)


def test_a_drawn_sample_lies_on_its_path(ends: tuple[Tensor, Tensor]) -> None:
    _, data = ends
    path = FlowPath()
    sample = path.draw(data, torch.Generator().manual_seed(5))
    noise = sample.x_t - sample.t.view(-1, 1, 1, 1, 1) * sample.target
    torch.testing.assert_close(path.interpolate(noise, data, sample.t), sample.x_t)
    torch.testing.assert_close(path.velocity(noise, data), sample.target)


def test_what_is_drawn_depends_on_the_generator_alone(ends: tuple[Tensor, Tensor]) -> None:
    _, data = ends
    first, again, other = (FlowPath().draw(data, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.x_t, again.x_t)
    assert torch.equal(first.t, again.t)
    assert not torch.equal(first.t, other.t)
    narrow = FlowPath().draw(data.float(), torch.Generator().manual_seed(5))
    torch.testing.assert_close(narrow.x_t, first.x_t.float())


def test_times_are_logit_normal() -> None:
    logits = logit_normal(20_000, torch.Generator().manual_seed(0)).double().logit()
    assert abs(logits.mean().item()) < 0.03  # four standard errors
    assert abs(logits.std().item() - 1) < 0.03
    below_minus_one = (logits < -1).double().mean().item()
    assert abs(below_minus_one - 0.1587) < 0.011


def test_the_loss_is_the_mean_square() -> None:
    velocity, target = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 5.0]])
    assert flow_matching_loss(velocity, target).item() == 4.5
    half = flow_matching_loss(torch.full((1, 4096), 300.0).half(), torch.zeros(1, 4096).half())
    assert half.item() == 90_000.0  # beyond float16


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="must agree"):
        flow_matching_loss(torch.zeros(2, 1), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="sigma_min must be in"):
        FlowPath(sigma_min=1.0)
