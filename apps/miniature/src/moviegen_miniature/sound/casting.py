"""Scenes in which something happens at a moment: those of the stage, timed anew for sound.

Which actors, motions and sets there are, and which combinations are held out, stays as `scene_at` has it.
No two events of a clip lie closer than `APART`, and none closer to its ends than `MARGIN`, but for those of
the clips that are left as the silent stage has them, which are the ones that a video model imitates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from moviegen_miniature.casting import SPLITS, Split, combinations, scene_at
from moviegen_miniature.scene import Performer, Scene, Timing
from moviegen_miniature.sound.events import collision_time
from moviegen_miniature.sound.soundtrack import BEST, WORST, Take

FPS_CHOICES = (8.0, 12.0, 24.0)
APART = 0.3
MARGIN = 0.25
SHORTEST = 2.0

_UNTIMED_SHARE = 0.1
_PUSH_SHARE = 0.4  # of the leads that move to the left or right
_EMPTY_SHARE = 0.25  # of the leads that stand still: nothing happens at all
_POOR_SHARE = 0.15
_FAIR = 7.0
_CONTACT = 0.8  # of the sum of half the squares' sides: pictures do not fill their squares


def take_at(
    index: int,
    *,
    split: Split,
    seed: int,
    seconds: float,
    side: int = 64,
    fps_choices: tuple[float, ...] = FPS_CHOICES,
    pan_probability: float = 0.1,
    music_probability: float = 0.25,
) -> Take:
    """Take `index` of a split: a pure function of its arguments.

    Its frame rate is one of `fps_choices`; what happens, and when, is the same at any of them.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index, 1])
    fps = fps_choices[rng.integers(len(fps_choices))]
    whole = scene_at(
        index,
        split=split,
        seed=seed,
        frames=round(seconds * fps),
        side=side,
        fps=fps,
        pan_probability=pan_probability,
    )
    poor = rng.random() < _POOR_SHARE
    quality = float(rng.uniform(WORST, _FAIR) if poor else rng.uniform(_FAIR, BEST))
    music = bool(rng.random() < music_probability)
    if rng.random() >= _UNTIMED_SHARE:
        whole = _timed(rng, whole, seconds)
    return Take(whole, music, quality)


def _timed(rng: np.random.Generator, scene: Scene, seconds: float) -> Scene:
    lead = scene.lead
    match lead.motion:
        case "still":
            if rng.random() < _EMPTY_SHARE:
                return scene
            timing = Timing(appears=float(rng.uniform(MARGIN, seconds - MARGIN)))
        case "bounces":
            timing = _landings(rng, seconds)
        case "left" | "right" if rng.random() < _PUSH_SHARE:
            return _push(rng, scene, seconds)
        case _:
            begin = float(rng.uniform(MARGIN, seconds - MARGIN - 0.8))
            lasts = float(rng.uniform(0.6, min(2.0, seconds - MARGIN - begin)))
            timing = Timing(begin=begin, end=begin + lasts)
    return replace(scene, lead=replace(lead, timing=timing))


def _landings(rng: np.random.Generator, seconds: float) -> Timing:
    """Bounces of which none is near either end of the clip."""
    while True:
        period = float(rng.uniform(0.55, 1.2))
        first = float(rng.uniform(MARGIN, period + MARGIN))
        last = first + (seconds - first) // period * period
        if first - period < 0 and last <= seconds - MARGIN:
            return Timing(begin=first, period=period)


def _push(rng: np.random.Generator, scene: Scene, seconds: float) -> Scene:
    """The lead runs into another actor, which moves on in its stead."""
    toward = 1 if scene.lead.motion == "right" else -1
    size, other = float(rng.uniform(0.3, 0.36)), float(rng.uniform(0.26, 0.32))
    run, pushed = float(rng.uniform(0.22, 0.28)), float(rng.uniform(0.14, 0.2))
    meets = float(rng.uniform(MARGIN + APART + 0.2, seconds - MARGIN - APART))
    begin = float(rng.uniform(max(MARGIN, meets - 1.2), meets - APART))
    end = float(rng.uniform(meets + APART, min(meets + 0.9, seconds - MARGIN)))
    reach = (size + other) / 2 * _CONTACT
    # Places along the way, from where the lead stands at the beginning; the whole in the middle of the frame.
    middle = (reach + run + pushed + (other - size) / 2) / 2
    lead_x, second_x = run / 2 - middle, run + reach + pushed / 2 - middle
    ground = float(rng.uniform(0.52, 0.66))
    names = [
        name
        for name, motion, place in combinations(False)
        if (motion, place) == (scene.lead.motion, scene.setting) and name != scene.lead.actor
    ]
    lead = replace(
        scene.lead,
        size=size,
        x=0.5 + toward * lead_x,
        y=ground,
        travel=run,
        timing=Timing(begin=begin, end=meets),
    )
    second = Performer(
        actor=names[rng.integers(len(names))],
        motion=scene.lead.motion,
        size=other,
        x=0.5 + toward * second_x,
        y=ground + (size - other) / 2,
        travel=pushed,
        start=float(rng.uniform(0, 3)),
        timing=Timing(begin=meets, end=end),
    )
    shown = replace(scene, lead=lead, second=second, pan=0)
    assert collision_time(shown) == meets
    return shown
