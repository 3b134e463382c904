"""What is drawn agrees with what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moviegen_miniature.casting import scene_at
from moviegen_miniature.render import render
from moviegen_miniature.scene import Performer, Scene
from moviegen_miniature.sets import SETTINGS, paint
from moviegen_miniature.sprites import Sprites


def test_track_is_the_centre_of_what_is_drawn(sprites: Sprites) -> None:
    for index in range(60):
        scene = scene_at(index, split="train", seed=0, pan_probability=0.5)
        shown = render(scene, sprites)
        whole = (shown.track[:, :2] - shown.track[:, 2:] / 2 > 0) & (
            shown.track[:, :2] + shown.track[:, 2:] / 2 < scene.side
        )
        pixel = np.arange(scene.side) + 0.5
        for frame in np.flatnonzero(whole.all(1)):
            alpha, (x, y, size) = shown.alpha[frame], shown.track[frame]
            mass = alpha.sum()
            assert (alpha.sum(0) * pixel).sum() / mass == pytest.approx(x, abs=0.02)
            assert (alpha.sum(1) * pixel).sum() / mass == pytest.approx(y, abs=0.02)
            assert mass == pytest.approx(np.pi / 4 * (0.9 * size) ** 2, rel=0.02)


def test_area_does_not_depend_on_the_fraction_of_a_pixel(sprites: Sprites) -> None:
    """Slow motion must not jitter: an actor's covered area is the same wherever it stands."""
    areas = [
        render(Scene(Performer("cow", "still", 0.5, 0.5 + step / 640, 0.5), "sky", 0), sprites).alpha[0].sum()
        for step in range(10)
    ]
    assert max(areas) - min(areas) < 1e-3 * areas[0]


def test_a_uniform_sprite_is_drawn_uniformly() -> None:
    flat = Sprites({"cow": np.full((1, 64, 64, 4), 200, np.uint8) | np.array([0, 0, 0, 255], np.uint8)})
    for size in (0.4, 0.55, 0.9):
        shown = render(Scene(Performer("cow", "still", size, 0.51, 0.49), "night", 0), flat)
        inside = shown.alpha[0] > 0.999
        assert inside.sum() > (size * 64 - 2) ** 2 * 0.9
        assert set(np.unique(shown.frames[0][inside])) == {200}


def test_what_is_not_covered_is_the_set(sprites: Sprites) -> None:
    scene = scene_at(3, split="train", seed=0, pan_probability=0)
    shown = render(scene, sprites)
    backdrop = np.rint(paint(scene.setting, scene.setting_seed, 64, 64)).transpose(1, 2, 0)
    bare = shown.alpha == 0
    expected = np.broadcast_to(backdrop, shown.frames.shape)
    np.testing.assert_array_equal(shown.frames[bare], expected[bare])


@pytest.mark.parametrize("pan", [-1, 1])
def test_a_pan_moves_set_and_actor_alike(sprites: Sprites, pan: int) -> None:
    still = Scene(Performer("cow", "still", 0.5, 0.5, 0.5), "field", 0)
    panned = replace(still, pan=pan)
    shift = panned.camera() - panned.camera()[0]
    assert abs(shift[-1]) >= 12
    assert np.sign(shift[-1]) == pan
    frames, track = render(panned, sprites).frames, render(panned, sprites).track
    np.testing.assert_allclose(track[:, 0] - track[0, 0], -shift)
    # The rightmost or leftmost columns show the set alone; the set has moved by as much as the actor.
    width = 64 - abs(int(shift[-1]))
    first = frames[0][:, shift[-1] :] if pan > 0 else frames[0][:, :width]
    last = frames[-1][:, :width] if pan > 0 else frames[-1][:, -shift[-1] :]
    rows = slice(0, 12)
    np.testing.assert_array_equal(first[rows], last[rows])


def test_a_second_actor_is_behind_the_lead(sprites: Sprites) -> None:
    lead = Performer("cow", "still", 0.5, 0.5, 0.6)
    alone = render(Scene(lead, "sky", 0), sprites)
    both = render(Scene(lead, "sky", 0, second=Performer("duck", "still", 0.5, 0.3, 0.6)), sprites)
    np.testing.assert_array_equal(alone.alpha, both.alpha)
    covered = alone.alpha == 1
    np.testing.assert_array_equal(alone.frames[covered], both.frames[covered])
    assert (alone.frames != both.frames).any()


@pytest.mark.parametrize(("frames", "side", "fps"), [(1, 64, 8.0), (32, 64, 8.0), (16, 96, 12.0)])
def test_other_lengths_and_sizes(sprites: Sprites, frames: int, side: int, fps: float) -> None:
    for index in range(10):
        scene = scene_at(index, split="train", seed=0, frames=frames, side=side, fps=fps, pan_probability=0.5)
        shown = render(scene, sprites)
        assert shown.frames.shape == (frames, side, side, 3)
        assert shown.alpha.max() > 0.99


def test_sizes_show_the_same_scene(sprites: Sprites) -> None:
    small = scene_at(11, split="train", seed=0, pan_probability=0)
    large = scene_at(11, split="train", seed=0, pan_probability=0, side=128)
    reduced = render(large, sprites).frames.astype(float).reshape(16, 64, 2, 64, 2, 3).mean((2, 4))
    assert np.abs(reduced - render(small, sprites).frames).mean() < 4


@pytest.mark.parametrize("setting", SETTINGS)
def test_sets_vary_with_their_seed_and_stay_themselves(setting: str) -> None:
    pictures = [paint(setting, seed, 64, 64) for seed in range(6)]
    np.testing.assert_array_equal(pictures[0], paint(setting, 0, 64, 64))
    own = [np.abs(pictures[0] - other).mean() for other in pictures[1:]]
    others = [np.abs(pictures[0] - paint(name, 0, 64, 64)).mean() for name in SETTINGS if name != setting]
    assert min(own) > 0.5
    assert np.mean(own) < min(others)
