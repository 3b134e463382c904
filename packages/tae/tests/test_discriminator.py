"""The discriminator against its definition, and the loss terms that come of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from moviegen_tae import PatchDiscriminator, adaptive_weight, hinge_loss
from torch import Tensor


def frames(count: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_has_the_published_sizes() -> None:
    """Kernels of 4, widths 64 to 512; batch norm's two vectors a layer are group norm's too."""
    widths = [3, 64, 128, 256, 512, 1]
    kernels = sum(16 * a * b for a, b in pairwise(widths))
    expected = kernels + 64 + 1 + 2 * (128 + 256 + 512)
    assert sum(p.numel() for p in PatchDiscriminator().parameters()) == expected == 2_765_633


@pytest.mark.parametrize(("layers", "seen"), [(1, 16), (2, 34), (3, 70)])
def test_a_verdict_sees_its_patch(layers: int, seen: int) -> None:
    """The reach of one verdict by gradients. Group norm looks at the whole frame, so it is taken out."""
    discriminator = PatchDiscriminator(channels=4, layers=layers)
    for i, module in enumerate(discriminator.layers):
        if isinstance(module, torch.nn.GroupNorm):
            discriminator.layers[i] = torch.nn.Identity()
    image = frames(1, 128).requires_grad_()
    verdicts = discriminator(image)
    middle = verdicts.shape[2] // 2
    (gradient,) = torch.autograd.grad(verdicts[0, 0, middle, middle], image)
    rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == seen


def test_a_verdict_depends_on_its_frame_alone() -> None:
    discriminator = PatchDiscriminator(channels=8, layers=2)
    batch = frames(4, 32)
    torch.testing.assert_close(discriminator(batch)[2:3], discriminator(batch[2:3]), rtol=1e-4, atol=1e-6)
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    discriminator.train()(batch)
    assert all(torch.equal(value, before[name]) for name, value in discriminator.state_dict().items())


def test_the_smallest_frame_gives_one_verdict_and_a_smaller_one_is_refused() -> None:
    for layers in (1, 2, 3):
        discriminator = PatchDiscriminator(channels=4, layers=layers)
        side = discriminator.smallest_side
        assert discriminator(frames(1, side)).shape == (1, 1, 1, 1)
        with pytest.raises(ValueError, match=f"needs {side} rows and columns"):
            discriminator(frames(1, side - 1))


def test_hinge_loss_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert hinge_loss(real, fake).item() == pytest.approx(0.5 * ((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3))


def test_the_discriminator_learns_to_tell_two_kinds_of_frames_apart() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(channels=8, layers=1)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    sharp = frames(8, 16)
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = hinge_loss(discriminator(sharp), discriminator(blurred))
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    assert discriminator(frames(8, 16, seed=1)).mean() > discriminator(blurred).mean()


def test_adaptive_weight_is_the_ratio_of_gradients_and_gives_no_gradient() -> None:
    weight = torch.tensor([1.0, 2.0, 2.0], requires_grad=True)
    others, adversarial = 3.0 * weight.square().sum(), weight @ torch.tensor([0.0, 4.0, 3.0])
    ratio = adaptive_weight(others, adversarial, weight)
    assert ratio.item() == pytest.approx(6 * 3 / (5 + 1e-4))  # |6 w| with |w| = 3, over |(0, 4, 3)|
    assert not ratio.requires_grad
    (others + adversarial).backward()  # the graph is still there
    assert adaptive_weight(others_of(weight), 0.0 * weight.sum(), weight).item() == 1e4


def others_of(weight: Tensor) -> Tensor:
    """A loss whose gradient is large."""
    return 100.0 * weight.square().sum()
