"""Likeness against numpy's correlation, and that it tells drawings apart that share their colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.judge.likeness import correlation, like_coloured, likeness
from moviegen_miniature.render import render
from moviegen_miniature.scene import Performer, Scene
from moviegen_miniature.sprites import SIDE, Sprites


def test_correlation_is_that_of_numpy_at_every_place() -> None:
    rng = np.random.default_rng(0)
    seen, true, weights = rng.random((2, 1, 7, 8)), rng.random((3, 1, 5, 4)), rng.random((3, 1, 5, 4))
    found = correlation(*(torch.from_numpy(each).float() for each in (seen, true, weights))).numpy()
    assert found.shape == (2, 3, 3, 5)
    for b, k, row, column in np.ndindex(*found.shape):
        pair = np.stack([seen[b, 0, row : row + 5, column : column + 4], true[k, 0]]).reshape(2, -1)
        covariance = np.cov(pair, aweights=weights[k].ravel())
        expected = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert found[b, k, row, column] == pytest.approx(expected, abs=1e-5)


def test_correlation_finds_a_picture_where_it_stands_and_ignores_brightness() -> None:
    picture = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    scene = torch.full((3, 1, 12, 12), 0.5)
    scene[0, :, 4:10, 2:8] = picture
    scene[1, :, 1:7, 5:11] = 0.2 + 0.3 * picture
    scene[2, :, 1:7, 5:11] = 1 - picture
    found = correlation(scene, picture, torch.ones(1, 1, 6, 6))[:, 0]
    assert found[0, 4, 2] == pytest.approx(1, abs=1e-5)
    assert found[1, 1, 5] == pytest.approx(1, abs=1e-5)
    assert found[2, 1, 5] == pytest.approx(-1, abs=1e-5)
    assert (found[0] > 0.99).sum() == 1


def test_one_brightness_is_like_nothing() -> None:
    flat, drawn = torch.full((1, 1, 8, 8), 0.7), torch.rand(1, 1, 4, 4)
    assert (correlation(flat, drawn, torch.ones(1, 1, 4, 4)) == 0).all()
    assert (correlation(torch.rand(1, 1, 8, 8), flat[..., :4, :4], torch.ones(1, 1, 4, 4)) == 0).all()
    assert (correlation(torch.rand(1, 1, 8, 8), drawn, torch.zeros(1, 1, 4, 4)) == 0).all()


@pytest.fixture(scope="module")
def drawn() -> Sprites:
    """Discs with a soft pattern of their own each, the cow's and the bus's of one colour."""
    along = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    cover = (np.hypot(along, along[:, None]) < 0.9)[..., None]
    pictures = {}
    for place, name in enumerate(ACTOR_NAMES):
        phases = np.random.default_rng(place).uniform(0, 2 * np.pi, 4)
        waves = np.sin(7 * along + phases[0]) * np.sin(6 * along[:, None] + phases[1])
        waves += np.sin(4 * (along + along[:, None]) + phases[2])
        hue = np.array([0.9, 0.5, 0.3]) if name in ("cow", "bus") else np.array([0.2, 0.2 + place / 40, 0.9])
        shade = (150 + 45 * waves)[..., None] * hue
        pictures[name] = np.concatenate([shade * cover, 255 * cover], -1)[None].astype(np.uint8)
    return Sprites(pictures)


def test_the_nearest_colour_is_found(drawn: Sprites) -> None:
    assert like_coloured("cow", drawn) == "bus"
    assert like_coloured("bus", drawn) == "cow"


@pytest.mark.parametrize("motion", ["right", "grows"])
def test_a_true_actor_is_like_itself_and_less_like_another(drawn: Sprites, motion: str) -> None:
    scene = Scene(Performer("cow", motion, 0.6, 0.5, 0.5, travel=0.2), "sky", 1)
    shown = render(scene, drawn)
    # As a judge finds it: a little beside the actor, and a little too large.
    track = (shown.track / scene.side * [1.02, 1.0, 1.1]).astype(np.float32)
    right = likeness(shown.frames, track, "cow", drawn)
    assert right > 0.95
    assert likeness(shown.frames, track, "bus", drawn) < right - 0.2
