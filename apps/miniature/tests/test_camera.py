"""The camera's pan is read from the set, and motions are read relative to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moviegen_miniature.casting import scene_at
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.camera import found_pan
from moviegen_miniature.judge.networks import Place
from moviegen_miniature.render import Rendered, render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.sprites import Sprites
from torch import Tensor


def track(shown: Rendered) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return (shown.track / shown.frames.shape[1]).astype(np.float32)


@pytest.mark.parametrize("frames", [16, 32])
def test_the_pan_that_was_filmed_is_found(sprites: Sprites, frames: int) -> None:
    sets = set()
    for index in range(24):
        scene = scene_at(index, split="seen", seed=5, frames=frames, pan_probability=0)
        sets.add(scene.setting)
        for pan in (-1, 0, 1):
            shown = render(replace(scene, pan=pan), sprites)
            assert found_pan(shown.frames.mean(-1, dtype=np.float32), track(shown)) == pan
    assert sets == set(SETTINGS)


def test_what_the_actor_covers_is_not_looked_at() -> None:
    """A set at rest behind a large actor that moves as a pan would."""
    grey = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (16, 64, 1))
    actor = np.tile([0.5, 0.5, 0.7], (16, 1)).astype(np.float32)
    noise = np.random.default_rng(0).random((44, 60), dtype=np.float32)
    for frame in range(16):
        grey[frame, 10:54, 10:54] = noise[:, frame : frame + 44]
    assert found_pan(grey, actor) == 0


def test_motions_are_read_relative_to_the_set(sprites: Sprites, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = Judge.load(None, sprites)
    right = []
    for index in range(40):
        scene: Scene = scene_at(index, split="seen", seed=3, pan_probability=1)
        shown = render(scene, sprites)
        where = torch.from_numpy(track(shown))

        def find(pixels: Tensor, where: Tensor = where) -> tuple[Tensor, Place]:
            return torch.zeros(len(pixels), len(SETTINGS)), Place(where[:, :2], where[:, 2])

        monkeypatch.setattr(judge.networks, "find", find)
        reading = judge.read(shown.frames)
        assert reading.pan == scene.pan
        right.append(reading.motion == scene.lead.motion)
    assert np.mean(right) > 0.95
