"""Drawing a scene: the backdrop, then the actors at their exact places and sizes.

Legend: T frames, H rows, W columns, S side of a sprite, h and w rows and columns of the frame that a sprite
    reaches.

An actor is resampled in one step from its sprite to the frame, as R_y P R_x^T with one row of weights for
each pixel, so any size and any fraction of a pixel is antialiased alike and slow motion does not jitter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.canvas import Floats
from moviegen_miniature.scene import PAN_TRAVEL, Performer, Scene
from moviegen_miniature.sets import paint
from moviegen_miniature.sprites import Sprites


@dataclass(frozen=True)
class Rendered:
    """A clip and the truth about it.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        alpha: (T, H, W) how much of each pixel the lead covers, 0 to 1.
        track: (T, 3) centre x, y and size of the lead's square in the frame, in pixels; x = 0.5 is the
            middle of the leftmost column.
    """

    frames: NDArray[np.uint8]
    alpha: Floats
    track: NDArray[np.float64]


def render(scene: Scene, sprites: Sprites) -> Rendered:
    """Draw a scene."""
    frames = _backdrop(scene)
    alpha = np.zeros(frames.shape[:3], np.float32)
    if scene.second is not None:
        _draw(scene.second, scene, sprites, frames, alpha)
        alpha[:] = 0
    track = _draw(scene.lead, scene, sprites, frames, alpha)
    return Rendered(frames, alpha, track)


def _backdrop(scene: Scene) -> NDArray[np.uint8]:
    """(T, H, W, 3) the set as the camera sees it."""
    spare = int(np.ceil(PAN_TRAVEL / 2 * scene.side)) if scene.pan else 0
    picture = paint(scene.setting, scene.setting_seed, scene.side, scene.side + 2 * spare)
    whole = np.rint(picture).astype(np.uint8).transpose(1, 2, 0)
    return np.stack([whole[:, spare + x : spare + x + scene.side] for x in scene.camera()])


def _draw(
    performer: Performer, scene: Scene, sprites: Sprites, frames: NDArray[np.uint8], alpha: Floats
) -> NDArray[np.float64]:
    """Draw an actor over the frames, write what it covers into alpha, and return its track in pixels."""
    track = performer.track(scene.frames, scene.fps) * scene.side
    track[:, 0] -= scene.camera()
    seconds = performer.start + np.arange(scene.frames) / scene.fps
    pictures_T4SS = sprites.at(performer.actor, seconds, mirrored=performer.mirrored)
    for frame, cover, picture_4SS, (x, y, size) in zip(frames, alpha, pictures_T4SS, track, strict=True):
        rows, down_hS = _weights(y, size, picture_4SS.shape[1], scene.side)
        columns, across_wS = _weights(x, size, picture_4SS.shape[2], scene.side)
        rgba_4hw = down_hS @ (picture_4SS @ across_wS.T)
        cover[rows, columns] = rgba_4hw[3] / 255
        region = frame[rows, columns]
        shown = region * (1 - cover[rows, columns, None]) + rgba_4hw[:3].transpose(1, 2, 0)
        region[:] = np.rint(shown.clip(0, 255)).astype(np.uint8)
    return track


def _weights(centre: float, size: float, side: int, pixels: int) -> tuple[slice, Floats]:
    """The pixels along an axis that a sprite reaches, and their weights on its `side` pixels, one row for
    each.

    A pixel averages the stretch of the sprite that it covers, or a stretch of one sprite pixel where it
    covers less: the mean over an area when the sprite shrinks, linear interpolation when it grows. Inside
    the sprite, weights sum to 1; over its edge to less.
    """
    first = min(max(int(centre - size / 2) - 1, 0), pixels)
    last = max(min(int(centre + size / 2) + 2, pixels), first)
    step = side / size  # sprite pixels per frame pixel
    width = np.float32(max(step, 1.0))
    middle = (np.arange(first, last, dtype=np.float32)[:, None] + np.float32(0.5 - centre)) * np.float32(step)
    start = middle + (side - width) / 2
    cell = np.arange(side, dtype=np.float32)
    overlap = np.minimum(start + width, cell + 1) - np.maximum(start, cell)
    return slice(first, last), np.maximum(overlap, 0) / width
