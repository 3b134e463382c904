"""Actors that are drawn here, so that no test needs the published animations."""

from __future__ import annotations

import numpy as np
import pytest
from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.sprites import SIDE, Sprites


@pytest.fixture(scope="session")
def sprites() -> Sprites:
    """For each actor a disc of a colour of its own, in four slightly different pictures."""
    along = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    cover = ((0.9 - np.hypot(along, along[:, None])) * SIDE / 2 + 0.5).clip(0, 1)
    pictures = {}
    for place, name in enumerate(ACTOR_NAMES):
        shade = np.array([(37 * place) % 200 + 55, (91 * place) % 200 + 55, (151 * place) % 200 + 55, 255])
        light = np.array([1.0, 0.95, 0.9, 0.95])[:, None] * np.array([[1, 1, 1, 0]]) + [[0, 0, 0, 1]]
        pictures[name] = np.rint(cover[None, :, :, None] * (shade * light)[:, None, None]).astype(np.uint8)
    return Sprites(pictures)
