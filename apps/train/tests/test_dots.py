"""The experiment on latent dots: its scenes, what it counts, and the whole of it at a tiny size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from moviegen_core import VideoClip
from moviegen_runtime.data.source import open_source
from moviegen_tae import TAE, Posterior, outlier_penalty, preset
from moviegen_train.dots import COMPARED, CONTROLS, Dots, distances, dots, measure
from moviegen_train.scenes import FoggyScenes
from PIL import Image

RECIPES = Path(__file__).parent.parent / "recipes"


def test_scenes_depend_on_seed_and_index_alone() -> None:
    scenes = FoggyScenes(side=32, frames=3)
    clip = scenes[5]
    assert clip.frames.shape == (3, 32, 32, 3)
    assert np.array_equal(clip.frames, open_source("foggy-scenes", {"side": 32, "frames": 3})[5].frames)
    assert not np.array_equal(clip.frames, scenes[6].frames)
    assert not np.array_equal(clip.frames, FoggyScenes(seed=1, side=32, frames=3)[5].frames)
    with pytest.raises(IndexError, match="not a number 100000"):
        scenes[100_000]
    with pytest.raises(ValueError, match="at least one"):
        FoggyScenes(frames=0)


def test_fog_takes_contrast_and_leaves_the_scene() -> None:
    """A foggy scene is its clear one, scaled and moved in every channel."""
    for index in range(8):
        foggy, clear = (FoggyScenes(side=32, fog=fog)[index].frames.astype(float) for fog in (True, False))
        for channel in range(3):
            a, b = foggy[..., channel].ravel(), clear[..., channel].ravel()
            slope, offset = np.polyfit(b, a, 1)
            assert 1 / 24 - 0.01 < slope < 1.01
            assert np.abs(slope * b + offset - a).max() < 1.5  # rounding


def test_distances_are_those_of_the_penalty() -> None:
    latent = torch.randn(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    latent[0, :, 1, 2, 2] += 40.0
    far = distances(latent)
    assert far.shape == (6, 8, 8)
    deviation = latent.transpose(1, 2).flatten(0, 1).std(dim=(2, 3), unbiased=False).norm(dim=1)
    penalty = ((far - 3).clamp_min(0) * deviation[:, None, None]).mean()
    assert penalty.item() == pytest.approx(outlier_penalty(latent).item(), rel=1e-9)


def test_a_dot_is_an_outlier_of_the_latent_and_not_of_the_picture() -> None:
    draw = torch.Generator().manual_seed(0)
    latent = torch.rand(1, 4, 1, 8, 8, generator=draw)
    frames = torch.rand(1, 3, 1, 64, 64, generator=draw)
    assert not dots(latent, frames).any()
    latent[0, :, 0, 2, 3] += 20
    assert dots(latent, frames).nonzero().tolist() == [[0, 2, 3]]
    frames[0, :, 0, 16:24, 24:32] += 20  # a lamp at that place
    assert not dots(latent, frames).any()


def test_a_planted_dot_is_counted_in_every_frame() -> None:
    torch.manual_seed(0)
    tae = TAE(preset("miniature"))
    source = FoggyScenes(side=32, num_clips=3)
    before = measure(tae, source)
    posterior = tae.posterior

    def planted(clip: VideoClip) -> Posterior:
        found = posterior(clip)
        mean = found.mean.clone()
        mean[:, :, :, 1, 1] += 100
        return Posterior(mean, found.log_variance)

    tae.posterior = planted  # type: ignore[method-assign]
    after = measure(tae, source)
    assert (before.dots, before.share, before.place) == (0, 0, 0)
    assert (after.dots, after.share, after.place) == (1, 1, 1)
    assert after.farthest == pytest.approx(15**0.5, rel=1e-2)  # the farthest that one of 16 vectors can be
    assert after.penalty > before.penalty == 0


def test_the_whole_experiment_in_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("steps=2", "batch_size=2", "data.options.side=32", "statistics_clips=2")
    Dots(RECIPES, tmp_path / "runs", tmp_path / "norms.png", (0, 3), pictures=6, set=settings).run()
    rows = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.strip().splitlines()[2:]]
    titles = [run.title for run in COMPARED]
    assert [row[1] for row in rows] == titles + titles + [run.title for run in CONTROLS]
    assert [row[0] for row in rows] == ["0"] * 3 + ["3"] * 3 + ["0"] * 2
    assert [row[2] for row in rows] == ["2", "4", "4"] * 2 + ["2", "2"]
    with Image.open(tmp_path / "norms.png") as image:
        assert image.size == (4 * 32 + 3 * 4, 4 * 32 + 3 * 4)
    log = (tmp_path / "runs" / "with-3" / "log.jsonl").read_text()
    assert f'"from": "{tmp_path / "runs" / "base-3" / "weights"}"' in log
    seeds = [
        yaml.safe_load((tmp_path / "runs" / f"{name}-3" / "recipe.yaml").read_text())["seed"]
        for name in ("base", "with", "without")
    ]
    assert seeds == [6, 7, 7]
