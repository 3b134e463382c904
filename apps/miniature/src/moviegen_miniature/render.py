"""Drawing a scene: the backdrop, then the actors at their exact places and sizes.

Legend: T frames, H rows, W columns, S side of a sprite.

An actor is resampled in one step from its sprite to the frame, as R_y P R_x^T with one row of weights for each pixel,
so any size and any fraction of a pixel is antialiased alike and slow motion does not jitter.
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
        track: (T, 3) centre x, y and size of the lead's square in the frame, in pixels; x = 0.5 is the middle of
            the leftmost column.
    """

    frames: NDArray[np.uint8]
    alpha: Floats
    track: NDArray[np.float64]


def render(scene: Scene, sprites: Sprites) -> Rendered:
    """Draw a scene."""
    frames_TCHW = _backdrop(scene)
    if scene.second is not None:
        rgba, _ = _drawn(scene.second, scene, sprites)
        _compose(frames_TCHW, rgba)
    rgba, track = _drawn(scene.lead, scene, sprites)
    _compose(frames_TCHW, rgba)
    np.rint(frames_TCHW, out=frames_TCHW)
    frames = frames_TCHW.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return Rendered(np.ascontiguousarray(frames), rgba[:, 3] / 255, track)


def _backdrop(scene: Scene) -> Floats:
    """(T, 3, H, W) the set as the camera sees it."""
    spare = int(np.ceil(PAN_TRAVEL / 2 * scene.side)) if scene.pan else 0
    picture = paint(scene.setting, scene.setting_seed, scene.side, scene.side + 2 * spare)
    return np.stack([picture[:, :, spare + x : spare + x + scene.side] for x in scene.camera()])


def _drawn(
    performer: Performer, scene: Scene, sprites: Sprites
) -> tuple[Floats, NDArray[np.float64]]:
    """An actor on a transparent frame, (T, 4, H, W) premultiplied, and its track in pixels of the frame."""
    track = performer.track(scene.frames, scene.fps) * scene.side
    track[:, 0] -= scene.camera()
    seconds = performer.start + np.arange(scene.frames) / scene.fps
    picture_T4SS = sprites.at(performer.actor, seconds, mirrored=performer.mirrored)
    side = picture_T4SS.shape[-1]
    across = _weights(track[:, 0], track[:, 2], side, scene.side)
    down = _weights(track[:, 1], track[:, 2], side, scene.side)
    return down[:, None] @ picture_T4SS @ across.transpose(0, 2, 1)[:, None], track


def _weights(centre: NDArray[np.float64], size: NDArray[np.float64], side: int, pixels: int) -> Floats:
    """Rows that resample `side` sprite pixels, laid from centre - size/2 on, to the frame: (T, pixels, side).

    A triangle as wide as two pixels of the coarser of both grids: linear interpolation when it enlarges, an
    antialiasing filter when it shrinks. Weights of one pixel sum to 1 inside the sprite, to less over its edge.
    """
    step = (side / size)[:, None, None]  # sprite pixels per frame pixel
    frame = (np.arange(pixels) + 0.5)[None, :, None]
    place = (frame - centre[:, None, None]) * step + side / 2
    reach = np.maximum(step, 1.0)
    distance = np.abs(place - (np.arange(side) + 0.5)) / reach
    return (np.maximum(1 - distance, 0) / reach).astype(np.float32)


def _compose(frames_TCHW: Floats, rgba_T4HW: Floats) -> None:
    frames_TCHW *= 1 - rgba_T4HW[:, 3:] / 255
    frames_TCHW += rgba_T4HW[:, :3]
