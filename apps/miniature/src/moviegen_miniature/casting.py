"""Which scenes there are, and which scene stands at an index of a split.

A tenth of the actor x motion x set combinations is held out: shown in no training clip. Actors, motions and
sets are put in an order by a hash of their names, and the combinations whose places sum to a multiple of
ten are held out. So every actor and set lose one motion of ten together, every actor and motion at most one
set, and every pair stays in training.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np

from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.scene import MOTIONS, PAN_TRAVEL, Performer, Scene
from moviegen_miniature.sets import SETTINGS

Split = Literal["train", "seen", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "seen", "held_out")
Combination = tuple[str, str, str]


def check_options(split: str, least: Mapping[str, tuple[int, int]], shares: Mapping[str, float]) -> None:
    """Refuse options that no source of scenes takes.

    Args:
        least: whole numbers by their names, each with the smallest that it may be.
        shares: numbers from 0 to 1, by their names.

    Raises:
        ValueError: an option is out of its range.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
    for name, (value, smallest) in least.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
            raise ValueError(f"{name} must be a whole number of at least {smallest}, not {value!r}")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1, not {share!r}")


def place_of(index: int, num_clips: int) -> int:
    """Which of a source's clips an index is, counted from 0.

    Raises:
        IndexError: there is no such clip.
    """
    place = operator.index(index)
    if not -num_clips <= place < num_clips:
        raise IndexError(f"clip {place} is beyond the {num_clips} clips of this source")
    return place % num_clips


@cache
def combinations(held_out: bool) -> tuple[Combination, ...]:
    """The combinations of actor, motion and set that are held out, or all the others."""
    places = [
        {name: place for place, name in enumerate(_hashed(names))}
        for names in (ACTOR_NAMES, MOTIONS, SETTINGS)
    ]
    return tuple(
        (actor, motion, setting)
        for actor in ACTOR_NAMES
        for motion in MOTIONS
        for setting in SETTINGS
        if ((places[0][actor] + places[1][motion] + places[2][setting]) % 10 == 0) == held_out
    )


@cache
def balanced(held_out: bool) -> tuple[Combination, ...]:
    """The same combinations in an order of which every beginning is balanced."""
    pool = combinations(held_out)
    ranked = sorted(pool, key=lambda combination: _digest("/".join(combination)))
    names = (ACTOR_NAMES, MOTIONS, SETTINGS)
    places = np.array([[names[axis].index(combination[axis]) for axis in range(3)] for combination in ranked])
    used = [np.zeros(len(kind)) for kind in names]
    left = np.ones(len(ranked), dtype=bool)
    order: list[Combination] = []
    for _ in ranked:
        load = sum((used[axis] * len(names[axis]))[places[:, axis]] for axis in range(3))
        chosen = int(np.argmin(np.where(left, load, np.inf)))
        left[chosen] = False
        for axis in range(3):
            used[axis][places[chosen, axis]] += 1
        order.append(ranked[chosen])
    return tuple(order)


def scene_at(
    index: int,
    *,
    split: Split,
    seed: int,
    frames: int = 16,
    side: int = 64,
    fps: float = 8.0,
    pan_probability: float = 0.1,
    two_actors_probability: float = 0.0,
) -> Scene:
    """Scene `index` of a split: a pure function of its arguments.

    "train" draws from the combinations that are not held out. "seen" goes through the same ones in balanced
    order, with other seeds; "held_out" goes through the held-out ones.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    if split == "train":
        pool = combinations(False)
        combination = pool[rng.integers(len(pool))]
    else:
        ordered = balanced(split == "held_out")
        combination = ordered[index % len(ordered)]
    return _staged(rng, combination, frames, side, fps, pan_probability, two_actors_probability)


def scene_of(combination: Combination, seed: int) -> Scene:
    """A scene of one combination before a still camera, its other facts drawn by the seed."""
    rng = np.random.default_rng(seed)
    return _staged(rng, combination, Scene.frames, Scene.side, Scene.fps, 0.0, 0.0)


def _staged(
    rng: np.random.Generator,
    combination: Combination,
    frames: int,
    side: int,
    fps: float,
    pan_probability: float,
    two_actors_probability: float,
) -> Scene:
    actor, motion, setting = combination
    pan = int(rng.choice((-1, 1))) if rng.random() < pan_probability else 0
    second = _bystander(rng, actor, setting) if rng.random() < two_actors_probability else None
    return Scene(
        lead=_performer(rng, actor, "still" if frames == 1 else motion, pan),
        setting=setting,
        setting_seed=int(rng.integers(2**31)),
        pan=pan if frames > 1 else 0,
        second=second,
        words=int(rng.integers(2**31)),
        frames=frames,
        side=side,
        fps=fps,
    )


# Smallest and largest size, shortest and longest path, in pixels of a frame of 64. A path and a size together
# keep most of the actor in the frame; "grows" and "shrinks" reach 28 to 52 at their ends.
_RANGES = {
    "still": (34, 52, 0, 0),
    "left": (30, 42, 28, 34),
    "right": (30, 42, 28, 34),
    "up": (30, 42, 28, 34),
    "down": (30, 42, 28, 34),
    "grows": (36, 38, 0, 0),
    "shrinks": (36, 38, 0, 0),
    "bounces": (30, 40, 20, 24),
    "diagonal": (30, 38, 28, 34),
    "circles": (28, 36, 22, 26),
}


def _performer(rng: np.random.Generator, actor: str, motion: str, pan: int) -> Performer:
    smallest, largest, shortest, longest = _RANGES[motion]
    size, travel = rng.uniform(smallest, largest) / 64, rng.uniform(shortest, longest) / 64
    room_x = _room(size, travel if motion in ("left", "right", "diagonal", "circles") else 0.0)
    room_y = _room(size, travel if motion in ("up", "down", "bounces", "diagonal", "circles") else 0.0)
    if pan:
        room_x = max(0.0, room_x - PAN_TRAVEL / 2)
    return Performer(
        actor=actor,
        motion=motion,
        size=size,
        x=0.5 + rng.uniform(-room_x, room_x),
        y=0.52 + rng.uniform(-room_y, room_y),
        travel=travel,
        turn=int(rng.choice((-1, 1))) if motion in ("diagonal", "circles") else 1,
        climb=int(rng.choice((-1, 1))) if motion == "diagonal" else 1,
        start=float(rng.uniform(0, 3)),
    )


def _room(size: float, travel: float) -> float:
    """How far the middle of a path may lie from that of the frame, so that the path stays inside."""
    return max(0.02, min(0.14, (1 - size - travel) / 2))


def _bystander(rng: np.random.Generator, lead: str, setting: str) -> Performer:
    """Another actor that stands in a corner at the bottom, in a combination that is not held out."""
    others = [name for name, motion, place in combinations(False) if (motion, place) == ("still", setting)]
    others = [name for name in others if name != lead]
    size = rng.uniform(24, 28) / 64
    x = size / 2 if rng.random() < 0.5 else 1 - size / 2
    actor = others[rng.integers(len(others))]
    return Performer(actor, "still", size, x, 1 - size / 2, start=float(rng.uniform(0, 3)))


def _hashed(names: tuple[str, ...]) -> list[str]:
    return sorted(names, key=_digest)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
