"""Tracks in closed form, and that each motion can be told from its track alone."""

from __future__ import annotations

import numpy as np
import pytest
from moviegen_miniature.casting import scene_at
from moviegen_miniature.scene import MOTIONS, Performer
from numpy.typing import NDArray

# Of the frame: what counts as having moved.
_MOVED = 0.1


def named(track: NDArray[np.float64]) -> str:
    """The motion of a track, by plain rules on it."""
    x, y, size = track.T
    growth = size[-1] / size[0]
    if growth > 1.3:
        return "grows"
    if growth < 0.75:
        return "shrinks"
    if np.ptp(x) > _MOVED and np.ptp(y) > _MOVED:
        turned = np.abs(np.diff(np.sign(np.diff(x)))).sum() > 0
        return "circles" if turned else "diagonal"
    if np.ptp(x) > _MOVED:
        return "right" if x[-1] > x[0] else "left"
    if np.ptp(y) > _MOVED:
        if np.abs(np.diff(np.sign(np.diff(y)))).sum() > 0:
            return "bounces"
        return "down" if y[-1] > y[0] else "up"
    return "still"


@pytest.mark.parametrize("frames", [16, 32])
def test_every_motion_is_told_from_its_track(frames: int) -> None:
    for index in range(600):
        scene = scene_at(index, split="seen", seed=1, frames=frames)
        assert named(scene.lead.track(frames, 8.0)) == scene.lead.motion


def test_lines_are_straight_and_of_the_given_length() -> None:
    track = Performer("cow", "diagonal", 0.5, 0.5, 0.6, travel=0.4, turn=-1, climb=-1).track(9, 8.0)
    np.testing.assert_allclose(track[0], (0.7, 0.8, 0.5))
    np.testing.assert_allclose(track[4], (0.5, 0.6, 0.5))
    np.testing.assert_allclose(np.diff(track, axis=0), np.tile((-0.05, -0.05, 0.0), (8, 1)), atol=1e-12)


def test_growth_is_exponential() -> None:
    size = Performer("cow", "grows", 0.5, 0.5, 0.5).track(16, 8.0)[:, 2]
    np.testing.assert_allclose(size[1:] / size[:-1], size[1] / size[0])
    np.testing.assert_allclose(size[0] * size[-1], 0.25)
    shrinking = Performer("cow", "shrinks", 0.5, 0.5, 0.5).track(16, 8.0)[:, 2]
    np.testing.assert_allclose(shrinking, size[::-1])


def test_a_bounce_is_a_parabola_of_one_second() -> None:
    y = Performer("cow", "bounces", 0.5, 0.5, 0.5, travel=0.3).track(17, 8.0)[:, 1]
    np.testing.assert_allclose(y[[0, 8, 16]], 0.65)
    np.testing.assert_allclose(y[[4, 12]], 0.35)
    np.testing.assert_allclose(np.diff(y[:9], 2), np.diff(y[:9], 2)[0])


@pytest.mark.parametrize("turn", [-1, 1])
def test_a_circle_has_one_radius_and_takes_two_seconds(turn: int) -> None:
    lead = Performer("cow", "circles", 0.5, 0.4, 0.5, travel=0.3, turn=turn, start=0.2)
    x, y, _ = lead.track(17, 8.0).T
    np.testing.assert_allclose(np.hypot(x - 0.4, y - 0.5), 0.15)
    np.testing.assert_allclose((x[0], y[0]), (x[16], y[16]))
    # Rows count downwards, so turning clockwise on the screen is a positive cross product.
    assert np.sign((x[0] - 0.4) * (y[1] - 0.5) - (y[0] - 0.5) * (x[1] - 0.4)) == turn


def test_actors_stay_mostly_in_the_frame() -> None:
    for index in range(500):
        scene = scene_at(index, split="train", seed=2, pan_probability=0.5)
        track = scene.lead.track(16, 8.0)
        track[:, 0] -= scene.camera() / scene.side
        low, high = track[:, :2] - track[:, 2:] / 2, track[:, :2] + track[:, 2:] / 2
        inside = (np.minimum(high, 1) - np.maximum(low, 0)).clip(0) / track[:, 2:]
        assert inside.prod(1).min() > 0.55
        assert inside.prod(1).mean() > 0.75


def test_actors_look_where_they_go() -> None:
    def mirrored(actor: str, motion: str) -> bool:
        return Performer(actor, motion, 0.5, 0.5, 0.5).mirrored

    assert mirrored("bus", "right")
    assert not mirrored("bus", "left")
    assert mirrored("rocket", "left")
    assert not any(mirrored("ghost", motion) for motion in MOTIONS)
    assert not mirrored("bus", "up")


def test_an_unknown_motion_is_refused() -> None:
    with pytest.raises(ValueError, match="motion must be one of still"):
        Performer("cow", "flies", 0.5, 0.5, 0.5)
