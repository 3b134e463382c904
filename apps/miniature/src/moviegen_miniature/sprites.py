"""Pictures of the actors, ready to be drawn at any size and place.

The animations have 256 x 256 pixels at about 24 pictures a second. A sprite keeps every third picture,
holds the subject steady (an actor's path is the scene's to decide), fills its square with the subject and
multiplies colour by alpha, so that resampling has no dark fringes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from moviegen_core import replacing
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from moviegen_miniature.actors import ACTORS, Actor

RATE = 8  # kept pictures a second
SIDE = 64  # pixels along a sprite's square
_KEEP_EVERY = 3
_MARGIN = 1 / 32  # of the square, left free around the subject


@dataclass(frozen=True)
class Sprites:
    """Animations by actor.

    Args:
        pictures: actor to (F, S, S, 4) uint8, RGB premultiplied by alpha, F pictures at `RATE` a second in
            a loop.

    Raises:
        ValueError: empty, or an animation of another type or shape.
    """

    pictures: Mapping[str, NDArray[np.uint8]]

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ValueError("sprites must hold at least one actor")
        for name, frames in self.pictures.items():
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 4 or 0 in frames.shape:
                raise ValueError(
                    f"sprite {name!r} must be uint8 (F, S, S, 4), not {frames.dtype} {frames.shape}"
                )

    @cached_property
    def colours(self) -> dict[str, NDArray[np.float64]]:
        """Mean colour (3,) of each actor over all that its pictures cover, 0 to 255."""
        totals = {
            name: frames.reshape(-1, 4).sum(0, dtype=np.float64) for name, frames in self.pictures.items()
        }
        return {name: total[:3] / total[3] * 255 for name, total in totals.items()}

    def at(self, name: str, seconds: NDArray[np.float64], *, mirrored: bool) -> NDArray[np.float32]:
        """Pictures of an actor at some times: (T, 4, S, S), premultiplied, 0 to 255."""
        frames = self.pictures[name]
        chosen = frames[np.floor(seconds * RATE + 1e-6).astype(np.int64) % len(frames)]
        if mirrored:
            chosen = chosen[:, :, ::-1]
        return np.ascontiguousarray(chosen.transpose(0, 3, 1, 2), dtype=np.float32)


def load_sprites(path: Path) -> Sprites:
    """Read the sprites that `fetch` built.

    Raises:
        ValueError: the file is missing, damaged, or lacks an actor.
    """
    try:
        pictures = load_file(path)
    except OSError as error:
        raise ValueError(
            f"there are no sprites at {path}: run `python -m moviegen_miniature fetch` first"
        ) from error
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: run `python -m moviegen_miniature fetch` again") from error
    lacking = [actor.name for actor in ACTORS if actor.name not in pictures]
    if lacking:
        raise ValueError(f"{path} lacks {lacking[0]!r}: run `python -m moviegen_miniature fetch` again")
    return Sprites({actor.name: pictures[actor.name] for actor in ACTORS})


def save_sprites(sprites: Sprites, path: Path) -> None:
    """Write sprites as one safetensors file, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        save_file({name: np.ascontiguousarray(frames) for name, frames in sprites.pictures.items()}, aside)


def sprite_of(actor: Actor, animation: bytes) -> NDArray[np.uint8]:
    """Make one actor's sprite (F, S, S, 4) of its animated WebP file.

    Raises:
        ValueError: the file is not an animation with transparency.
    """
    frames = _steadied(_kept_pictures(actor, animation))
    return np.stack([_shrunk(frame) for frame in _cropped(frames)])


def _kept_pictures(actor: Actor, animation: bytes) -> NDArray[np.float32]:
    """(F, H, W, 4) premultiplied, 0 to 1, in playing order."""
    try:
        image = Image.open(io.BytesIO(animation))
    except UnidentifiedImageError as error:
        raise ValueError(f"the animation of {actor.name!r} is not a picture that Pillow reads") from error
    kept = []
    for index in range(0, getattr(image, "n_frames", 1) - _KEEP_EVERY + 1, _KEEP_EVERY):
        image.seek(index)
        rgba = np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
        kept.append(np.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1))
    if len(kept) < 2:
        raise ValueError(f"the animation of {actor.name!r} has no second picture")
    if actor.span is None:
        return np.stack(kept)
    first, last = actor.span
    there = list(range(first, last + 1))
    return np.stack([kept[index] for index in there + there[-2:0:-1]])


def _steadied(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift each picture by whole pixels so that the subject's centre of mass stays in place."""
    alpha = frames[..., 3]
    mass = alpha.sum((1, 2))
    rows = (alpha.sum(2) * np.arange(alpha.shape[1])).sum(1) / mass
    columns = (alpha.sum(1) * np.arange(alpha.shape[2])).sum(1) / mass
    pad = 64
    padded = np.pad(frames, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return np.stack(
        [
            np.roll(frame, (round(rows.mean() - row), round(columns.mean() - column)), axis=(0, 1))
            for frame, row, column in zip(padded, rows, columns, strict=True)
        ]
    )


def _cropped(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the square out in which the subject moves, with a margin."""
    seen = frames[..., 3].max(0) > 0.1
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    half = int(np.ceil(extent / 2 / (1 - 2 * _MARGIN)))
    row, column = (rows[0] + rows[-1] + 1) // 2, (columns[0] + columns[-1] + 1) // 2
    padded = np.pad(frames, ((0, 0), (half, half), (half, half), (0, 0)))
    return padded[:, row : row + 2 * half, column : column + 2 * half]


def _shrunk(frame: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Reduce one picture to the sprite's side with an antialiasing filter."""
    planes = [
        np.asarray(Image.fromarray(frame[..., channel]).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        for channel in range(4)
    ]
    alpha = planes[3].clip(0, 1)
    rgba = np.stack([*(plane.clip(0, alpha) for plane in planes[:3]), alpha], axis=-1)
    return np.asarray(np.rint(rgba * 255), dtype=np.uint8)
