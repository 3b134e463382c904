"""The clip source "clips": cut from films, filmed from pictures, or animations before either.

Clip i of a split and seed is a pure function of its index. Nothing is stored but the material.

Legend: T frames, C channels, H rows, W columns, S side of a clip.
"""

from __future__ import annotations

import operator
from pathlib import Path as FilePath
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from moviegen_runtime.data.source import CaptionedClip
from torch import Tensor

from moviegen_clips.camera import Path, pyramid, seen, wander
from moviegen_clips.material import SPLITS, Shelf, Split, default_cache, open_shelf

Only = Literal["pictures", "animations"]

_FILMS = 0.46  # of what shows no animations: films, and the rest pictures. Our choices, all of these
_PHOTOGRAPH = 0.6  # share of pictures that are photographs and not drawings
_CUT = 0.03  # share of clips with a cut
_FASTEST_CAMERA = 5.0  # pixels a frame


class Clips:
    """Clips of one split, by index: clip i is always the same one.

    Args:
        films, photographs, drawings, animations: the material of the split; without films, none are cut.
        num_clips: length of the source.
        seed: another seed gives other clips.
        frames: length of a clip.
        size: height and width in pixels.
        only: "pictures" or "animations": nothing else is rendered; None: the mixture that is trained on.
        animations_share: of animations in that mixture; the rest are films and pictures.

    Raises:
        ValueError: an option is out of its range.
    """

    fps = 24.0
    """What clips are said to have; the autoencoder does not look at it."""

    def __init__(
        self,
        films: Shelf | None,
        photographs: Shelf,
        drawings: Shelf,
        animations: Shelf,
        *,
        num_clips: int,
        seed: int,
        frames: int,
        size: int,
        only: Only | None = None,
        animations_share: float = 0.35,
    ) -> None:
        if only not in (None, *get_args(Only)):
            raise ValueError(f"only must be one of {', '.join(get_args(Only))}, not {only!r}")
        for name, value, least in (
            ("num_clips", num_clips, 1),
            ("seed", seed, 0),
            ("frames", frames, 1),
            ("size", size, 16),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
        if not 0 <= animations_share <= 1:
            raise ValueError(f"animations_share must be from 0 to 1, not {animations_share!r}")
        self.films, self.animations = films, animations
        self.photographs, self.drawings = photographs, drawings
        self.num_clips, self.seed, self.frames, self.size = num_clips, seed, frames, size
        self.only, self.animations_share = only, animations_share

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> CaptionedClip:
        place = operator.index(index)
        if not -self.num_clips <= place < self.num_clips:
            raise IndexError(f"clip {place} is beyond the {self.num_clips} clips of this source")
        random = np.random.Generator(
            np.random.Philox(np.random.SeedSequence([self.seed, place % self.num_clips]))
        )
        clip = self._shot(random)
        if random.random() < _CUT:
            cut = random.integers(1, self.frames) if self.frames > 1 else 0
            clip = torch.cat([clip[:cut], self._shot(random)[cut:]])
        clip = _graded(clip, random)
        frames = clip.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        return CaptionedClip(frames.numpy(), self.fps, "")

    def _shot(self, random: np.random.Generator) -> Tensor:
        """(T, 3, S, S), 0 to 255."""
        others = 1 - self.animations_share
        films = _FILMS * others
        kind = {"pictures": films, "animations": 1.0, None: random.random()}[self.only]
        if kind < films and self.films is not None:
            return self._film(self.films, random)
        backdrop = self._picture(random)
        if kind < others:
            return backdrop
        if self.films is not None and random.random() < 0.2:
            backdrop = self._film(self.films, random)
        elif random.random() < 0.25:
            backdrop = _gradient(random, self.frames, self.size)
        for _ in range(random.integers(1, 4)):
            backdrop = self._actor(backdrop, random)
        return backdrop

    def _film(self, films: Shelf, random: np.random.Generator) -> Tensor:
        """A part of a film, at its own size or smaller, at its own rate or faster, either way round."""
        index = int(random.integers(len(films.names)))
        T, H, W, _ = films.shapes[index]
        step = int(random.integers(1, 4))
        step = max(1, min(step, (T - 1) // max(1, self.frames - 1)))
        first = int(random.integers(T - step * (self.frames - 1)))
        # At its own size, or smaller: up to the whole of it.
        shrink = random.uniform(0, 1) * (random.random() < 0.6)
        side = min(round(self.size * (min(H, W) / self.size) ** shrink), H, W)
        top, left = int(random.integers(H - side + 1)), int(random.integers(W - side + 1))
        last = first + step * (self.frames - 1) + 1
        piece = films.read(index, slice(first, last), slice(top, top + side), slice(left, left + side))
        clip = torch.from_numpy(np.ascontiguousarray(piece[::step])).permute(0, 3, 1, 2).float()
        if side != self.size:
            clip = F.interpolate(clip, (self.size, self.size), mode="bilinear", antialias=True)
        if random.random() < 0.5:
            clip = clip.flip(3)
        return clip.flip(0) if random.random() < 0.3 else clip

    def _picture(self, random: np.random.Generator) -> Tensor:
        """A picture, filmed by a camera that moves."""
        shelf = self.photographs if random.random() < _PHOTOGRAPH else self.drawings
        picture = shelf.read(int(random.integers(len(shelf.names))))
        H, W = picture.shape[:2]
        # From a part at twice its size to the whole of it.
        scale = np.exp(random.uniform(np.log(0.6), np.log(max(0.7, min(H, W) / self.size))))
        scale = scale * np.exp(wander(random, self.frames, speed=0.02) * (random.random() < 0.5))
        angle = wander(random, self.frames, speed=0.03) * (random.random() < 0.3)
        half = self.size / 2 * scale.max()
        x = random.uniform(min(half, W / 2), max(W - half, W / 2))
        y = random.uniform(min(half, H / 2), max(H - half, H / 2))
        speed = _FASTEST_CAMERA * scale.mean() * random.random() ** 2
        moves = [wander(random, self.frames, speed=speed) for _ in range(2)]
        return seen(pyramid(picture), Path(x + moves[0], y + moves[1], scale, angle), self.size, "reflection")

    def _actor(self, backdrop: Tensor, random: np.random.Generator) -> Tensor:
        """An animation on its way over what is there."""
        index = int(random.integers(len(self.animations.names)))
        pictures = self.animations.read(index)
        side = pictures.shape[1]
        extent = self.size * random.uniform(0.25, 1.0) * np.exp(wander(random, self.frames, speed=0.02))
        scale = side / extent
        angle = wander(random, self.frames, speed=0.05) * (random.random() < 0.3)
        # The middle of the view, seen from the animation: it moves the other way.
        speed = _FASTEST_CAMERA * random.random()
        places = [
            side / 2
            - scale * (random.uniform(-0.4, 0.4) * self.size + wander(random, self.frames, speed=speed))
            for _ in range(2)
        ]
        path = Path(places[0], places[1], scale, angle)
        rate = random.uniform(0.3, 1.5)
        chosen = (random.integers(len(pictures)) + (np.arange(self.frames) * rate).astype(int)) % len(
            pictures
        )
        mirrored = random.random() < 0.5
        drawn = torch.empty(self.frames, 4, self.size, self.size)
        for picture in np.unique(chosen):
            when = np.flatnonzero(chosen == picture)
            part = Path(path.x[when], path.y[when], path.scale[when], path.angle[when])
            sprite = pictures[picture, :, ::-1] if mirrored else pictures[picture]
            drawn[torch.from_numpy(when)] = seen(pyramid(sprite), part, self.size, "zeros")
        return backdrop * (1 - drawn[:, 3:] / 255) + drawn[:, :3]


def _gradient(random: np.random.Generator, frames: int, size: int) -> Tensor:
    """Two colours that run into each other."""
    first, second = (torch.from_numpy(random.uniform(0, 255, 3)).float().view(1, 3, 1, 1) for _ in range(2))
    angle = random.uniform(0, 2 * np.pi)
    axis = torch.linspace(-1, 1, size)
    share = (0.5 + 0.5 * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])).clamp(0, 1)
    picture: Tensor = (first + (second - first) * share).expand(frames, -1, -1, -1).clone()
    return picture


def _graded(clip: Tensor, random: np.random.Generator) -> Tensor:
    """In half of the clips: other brightness, contrast, saturation and balance of colours."""
    if random.random() < 0.5:
        return clip
    grey = clip.mean(dim=1, keepdim=True)
    clip = grey + (clip - grey) * random.uniform(0.0 if random.random() < 0.1 else 0.6, 1.3)
    gains = torch.from_numpy(random.uniform(0.85, 1.15, 3)).float().view(1, 3, 1, 1)
    graded: Tensor = (clip - 128) * gains * random.uniform(0.6, 1.2) + 128 + random.uniform(-30, 30)
    return graded


def open_clips(
    *,
    cache: str | None = None,
    split: Split = "train",
    num_clips: int = 100_000,
    seed: int = 0,
    frames: int = 16,
    size: int = 128,
    only: Only | None = None,
    animations_share: float = 0.35,
) -> Clips:
    """Open the material that was fetched: the clip source "clips". See `Clips` for the options.

    Args:
        cache: folder that `python -m moviegen_clips fetch` built; None: the usual one.
        split: "train", or "held_out": of subjects that training never sees, and no films.

    Raises:
        ValueError: nothing has been fetched, or an option is out of its range.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    folder = default_cache() if cache is None else FilePath(cache).expanduser()
    films = open_shelf(folder, "films", split) if split == "train" else None
    photographs = open_shelf(folder, "photographs", split)
    drawings = open_shelf(folder, "drawings", split)
    animations = open_shelf(folder, "animations", split)
    return Clips(
        films,
        photographs,
        drawings,
        animations,
        num_clips=num_clips,
        seed=seed,
        frames=frames,
        size=size,
        only=only,
        animations_share=animations_share,
    )
