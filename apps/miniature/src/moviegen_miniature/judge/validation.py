"""The judge before clips whose truth is known: what its figures are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.judge.likeness import like_coloured
from moviegen_miniature.judge.report import Row
from moviegen_miniature.judge.scoring import Judge, Verdict, compare
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites

_PERMUTATIONS = 10


def judged(judge: Judge, name: str, clips: Sequence[NDArray[np.uint8]], scenes: Sequence[Scene]) -> Row:
    """Clips against the scenes that were asked for."""
    verdicts, likenesses = [], []
    for frames, scene in zip(clips, scenes, strict=True):
        reading = judge.read(frames)
        verdicts.append(compare(reading, scene, judge.read(render(scene, judge.sprites).frames)))
        likenesses.append(judge.likeness(frames, reading, scene))
    return Row(name, verdicts, likenesses)


def true_row(judge: Judge, name: str, scenes: Sequence[Scene]) -> Row:
    """True clips of scenes: nearly everything must be right."""
    clips = [render(scene, judge.sprites).frames for scene in scenes]
    return judged(judge, f"true clips, {name}", clips, scenes)


def controls(judge: Judge, scenes: Sequence[Scene]) -> list[Row]:
    """Clips that must not pass.

    True clips against the scenes of other clips: near chance for a judge that reads the clip. A disc of the
    actor's mean colour in its place: near chance for a judge in grey that reads form, and like no actor.
    Another actor of like colour from the middle on: such a clip never stays itself.
    """
    discs = patches(judge.sprites)
    patched = [render(scene, discs).frames for scene in scenes]
    changing = [changed_halfway(scene, judge.sprites) for scene in scenes]
    return [
        _shuffled(judge, scenes),
        judged(judge, "patches of colour", patched, scenes),
        judged(judge, "another actor halfway", changing, scenes),
    ]


def _shuffled(judge: Judge, scenes: Sequence[Scene]) -> Row:
    """Several permutations, since in a single one facts coincide more or less often by luck."""
    rng = np.random.default_rng(0)
    truths = [judge.read(render(scene, judge.sprites).frames) for scene in scenes]
    verdicts: list[Verdict] = []
    for _ in range(_PERMUTATIONS):
        order = rng.permutation(len(scenes))
        verdicts += [
            compare(reading, scenes[place], truths[place])
            for reading, place in zip(truths, order, strict=True)
        ]
    return Row("shuffled captions", verdicts)


def changed_halfway(scene: Scene, sprites: Sprites) -> NDArray[np.uint8]:
    """The true clip up to its middle, then the same with another actor of like colour."""
    other = replace(scene, lead=replace(scene.lead, actor=like_coloured(scene.lead.actor, sprites)))
    half = scene.frames // 2
    return np.concatenate([render(scene, sprites).frames[:half], render(other, sprites).frames[half:]])


def patches(sprites: Sprites) -> Sprites:
    """Sprites that are soft discs of each actor's mean colour."""
    return Sprites(
        {name: _disc(frames.shape[1], sprites.colours[name]) for name, frames in sprites.pictures.items()}
    )


def _disc(side: int, colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    along = (np.arange(side) + 0.5) / side * 2 - 1
    cover = ((0.85 - np.hypot(along, along[:, None])) * 5 + 0.5).clip(0, 1)
    return np.asarray(np.rint(cover[None, :, :, None] * np.append(colour, 255)), dtype=np.uint8)
