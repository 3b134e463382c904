"""Perceptual features: the published network, read with care, and a distance that can be trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_runtime.features.efficientnet_lite import (
    EfficientNetLite,
    PerceptualDistance,
    load_efficientnet_lite,
)
from torch import Tensor


@pytest.fixture(scope="module")
def features() -> EfficientNetLite:
    return load_efficientnet_lite()


@pytest.fixture(scope="module")
def distance(features: EfficientNetLite) -> PerceptualDistance:
    return PerceptualDistance(features)


def waves(height: int, width: int) -> Tensor:
    """A frame of smooth waves, (1, 3, H, W)."""
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)[None]
    return torch.stack([torch.sin(7 * x + 3 * y), torch.cos(5 * x * y), torch.sin(9 * y * y - 4 * x)])[None]


def noise(batch: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_is_the_published_network(features: EfficientNetLite) -> None:
    """Mean magnitudes after the same blocks of another implementation, which has the published layout."""
    expected = {16: 6.649103, 24: 9.246829, 40: 8.191063, 112: 5.565897}
    maps = features(waves(64, 64))
    assert [tuple(each.shape) for each in maps] == [
        (1, 16, 32, 32),
        (1, 24, 16, 16),
        (1, 40, 8, 8),
        (1, 112, 4, 4),
    ]
    for each in maps:
        assert each.abs().mean().item() == pytest.approx(expected[each.shape[1]], rel=1e-5)


@pytest.mark.parametrize(("height", "width"), [(33, 47), (17, 100), (1, 1)])
def test_odd_frames_round_up(features: EfficientNetLite, height: int, width: int) -> None:
    for stride, each in zip((2, 4, 8, 16), features(waves(height, width)), strict=True):
        assert each.shape[2:] == (-(-height // stride), -(-width // stride))
        assert each.isfinite().all()


def test_a_frame_does_not_depend_on_its_batch(features: EfficientNetLite) -> None:
    batch = noise(5)
    for together, alone in zip(features(batch), features(batch[3:4]), strict=True):
        torch.testing.assert_close(together[3:4], alone, rtol=1e-4, atol=1e-4)


def test_training_mode_changes_nothing_and_nothing_is_trained(features: EfficientNetLite) -> None:
    before = features(noise(1))
    after = features.train()(noise(1))
    features.eval()
    assert all(map(torch.equal, before, after))
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_equal_frames_are_at_distance_zero_and_others_are_not(distance: PerceptualDistance) -> None:
    frames = noise(2)
    assert distance(frames, frames).item() == 0
    small, large = (distance(frames + size * noise(2, seed=1), frames).item() for size in (0.1, 0.5))
    assert 0 < small < large


def test_the_gradient_reaches_the_prediction_alone(distance: PerceptualDistance) -> None:
    prediction, target = noise(2).requires_grad_(), noise(2, seed=1).requires_grad_()
    distance(prediction, target).backward()
    assert target.grad is None
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert (prediction.grad.flatten(1).abs().amax(dim=1) > 0).all()


def test_a_step_along_the_gradient_brings_frames_closer(distance: PerceptualDistance) -> None:
    prediction, target = noise(1).requires_grad_(), noise(1, seed=1)
    before = distance(prediction, target)
    (gradient,) = torch.autograd.grad(before, prediction)
    step = 0.1 * before.detach() / gradient.square().sum()
    assert distance(prediction.detach() - step * gradient, target) < before


def test_a_damaged_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    damaged = tmp_path / "weights.pth"
    damaged.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ValueError, match="damaged or not the published weights"):
        load_efficientnet_lite(damaged)
    with pytest.raises(ValueError, match="No such file"):
        load_efficientnet_lite(tmp_path / "absent.pth")


def test_frames_of_another_shape_are_refused(
    features: EfficientNetLite, distance: PerceptualDistance
) -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\)"):
        features(torch.zeros(1, 4, 8, 8))
    with pytest.raises(ValueError, match="must agree"):
        distance(noise(1), noise(2))
