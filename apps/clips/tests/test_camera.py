"""What the camera sees, against what must be there."""

from __future__ import annotations

import numpy as np
import torch
from moviegen_clips.camera import Path, pyramid, seen, wander


def steady(x: float, y: float, scale: float = 1.0, angle: float = 0.0, frames: int = 1) -> Path:
    return Path(*(np.full(frames, value) for value in (x, y, scale, angle)))


def picture(height: int = 40, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_steady_camera_at_full_scale_cuts_out_what_is_there() -> None:
    whole = picture()
    view = seen(pyramid(whole), steady(x=30, y=20), 16, "zeros")[0]
    cut = torch.from_numpy(whole[12:28, 22:38].astype(np.float32)).permute(2, 0, 1)
    torch.testing.assert_close(view, cut, rtol=0, atol=1e-2)


def test_a_quarter_turn_is_a_rotation_of_the_view() -> None:
    levels = pyramid(picture())
    straight = seen(levels, steady(32, 20), 16, "zeros")[0]
    turned = seen(levels, steady(32, 20, angle=np.pi / 2), 16, "zeros")[0]
    torch.testing.assert_close(turned, torch.rot90(straight, 1, (1, 2)), rtol=0, atol=1e-1)


def test_half_scale_sees_means_of_four() -> None:
    whole = picture()
    view = seen(pyramid(whole), steady(32, 20, scale=2.0), 8, "zeros")[0]
    cut = torch.from_numpy(whole[12:28, 24:40].astype(np.float32)).permute(2, 0, 1)
    torch.testing.assert_close(view, torch.nn.functional.avg_pool2d(cut, 2), rtol=0, atol=1e-2)


def test_beyond_a_sprite_there_is_nothing() -> None:
    view = seen(pyramid(np.full((16, 16, 4), 255, np.uint8)), steady(100, 8), 16, "zeros")
    assert float(view.abs().max()) == 0


def test_courses_begin_at_the_start_and_keep_to_their_speed() -> None:
    random = np.random.default_rng(0)
    courses = [wander(random, 16, speed=3.0) for _ in range(200)]
    assert all(course[0] == 0 for course in courses)
    assert max(float(np.abs(np.diff(course)).max()) for course in courses) <= 3.0 + 1e-9
    assert sum(bool((course == 0).all()) for course in courses) > 20  # some stand still
    assert sum(bool((course != 0).any()) for course in courses) > 100
