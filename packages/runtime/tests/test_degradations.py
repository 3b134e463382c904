"""Second-order degradation: each part against what it should be, and the whole by its generator."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from moviegen_runtime.training.degradations import blurred, compressed, degraded
from moviegen_runtime.training.upsampler_recipe import Degradation
from PIL import Image
from torch import Tensor

CLEAN = {"blur": (0, 0), "scale": (1, 1), "noise": (0, 0), "quality": (100, 100)}


def picture(height: int, width: int) -> Tensor:
    """(1, 3, H, W) something smooth with edges, in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    channels = torch.stack([torch.sin(9 * x * y), (x > 0.6) * 1.4 - 0.7, torch.cos(7 * y)])
    return channels[None].clamp(-1, 1)


def clips(count: int, frames: int = 3) -> Tensor:
    return picture(24, 32)[:, :, None].expand(count, 3, frames, 24, 32)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("quality", [10, 40, 60, 90, 100])
@pytest.mark.parametrize("size", [(64, 64), (61, 83)])
def test_compression_is_that_of_a_jpeg_library(quality: int, size: tuple[int, int]) -> None:
    coarse = torch.rand(1, 3, 9, 9, generator=draw()) * 255
    smooth = F.interpolate(coarse, size, mode="bicubic")[0] + 10 * torch.randn(3, *size, generator=draw())
    pixels = smooth.clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    theirs = np.asarray(Image.open(file)).astype(float)
    given = torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 127.5 - 1
    ours = ((compressed(given, quality) + 1) * 127.5)[0].permute(1, 2, 0).clamp(0, 255).numpy()
    lost, ours_lost = (np.abs(made - pixels).mean() for made in (theirs, ours))
    # Theirs rounds at every stage, which moves values by a level and some coefficients by a step; two
    # pictures whose losses have nothing in common would be apart by more than either has lost.
    assert np.abs(ours - theirs).mean() < 0.75 + 0.25 * lost
    assert lost == pytest.approx(ours_lost, abs=0.3, rel=0.02)


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_blur_spreads_a_point_by_its_deviations_along_its_axes(angle: float) -> None:
    point = torch.zeros(1, 3, 41, 41, dtype=torch.float64)
    point[:, :, 20, 20] = 1
    spread = blurred(point, 2.0, 1.0, angle)[0, 0]
    assert spread.sum() == pytest.approx(1)
    y, x = torch.meshgrid(*[torch.arange(-20.0, 21.0).double()] * 2, indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    assert (spread * along**2).sum().sqrt() == pytest.approx(2.0, rel=0.03)
    assert (spread * across**2).sum().sqrt() == pytest.approx(1.0, rel=0.03)


def test_a_blur_of_nothing_leaves_the_picture() -> None:
    assert torch.equal(blurred(picture(9, 7), 0.0, 0.0, 0.3), picture(9, 7))


def test_rounds_that_do_nothing_leave_the_clip() -> None:
    plan = Degradation.model_validate({"first": CLEAN, "second": CLEAN, "second_share": 1})
    kept = degraded(clips(2), (24, 32), plan, draw())
    torch.testing.assert_close(kept, clips(2), atol=0.03, rtol=0)  # JPEG of quality 100 rounds


def test_a_clip_has_one_degradation_and_noise_of_every_frame() -> None:
    noisy = {**CLEAN, "noise": (0.1, 0.1)}
    still = Degradation.model_validate({"first": {**CLEAN, "blur": (1, 2)}, "second_share": 0})
    moving = Degradation.model_validate({"first": noisy, "second_share": 0})
    frames = degraded(clips(2), (12, 16), still, draw())
    assert frames.shape == (2, 3, 3, 12, 16)
    assert torch.equal(frames[:, :, 0], frames[:, :, 2])
    assert not torch.equal(frames[0], frames[1])
    grain = degraded(torch.zeros(8, 3, 2, 16, 16), (16, 16), moving, draw())
    assert grain.std() == pytest.approx(0.2, rel=0.1)
    assert not torch.equal(grain[:, :, 0], grain[:, :, 1])
    grey = [torch.allclose(clip[0], clip[1], atol=0.03) for clip in grain]
    assert set(grey) == {True, False}


def test_the_generator_decides_everything() -> None:
    first, again, other = (degraded(clips(3), (12, 16), Degradation(), draw(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.abs().max() <= 1


def test_two_rounds_lose_more_than_one() -> None:
    def lost(share: float) -> float:
        plan = Degradation.model_validate({"second_share": share})
        small = degraded(clips(24, frames=1), (24, 32), plan, draw())
        return float((small - clips(24, frames=1)).square().mean())

    assert lost(1) > 1.1 * lost(0)


@pytest.mark.parametrize("changes", [{"blur": (2, 1)}, {"quality": (0, 5)}, {"scale": (0, 1)}])
def test_spans_that_cannot_be_are_refused(changes: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Degradation.model_validate({"first": {**CLEAN, **changes}})
