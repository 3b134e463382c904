"""What happens in a scene and can be heard, at exact times: they come from the closed forms of the motions,
not from frames, so a clip's frame rate has no part in them.

| motion | without a timing | with one |
|---|---|---|
| still | nothing | appearing |
| bounces | a bounce at each whole second | a bounce at each landing |
| all others | nothing: it moves all the time | start and stop |
| a push (two actors) | - | start, collision, stop |

In a push the lead runs into the second actor and stays there, and the second moves on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from moviegen_miniature.scene import Performer, Scene

Kind = Literal["bounce", "start", "stop", "collision", "appearing"]
KINDS: tuple[Kind, ...] = ("bounce", "start", "stop", "collision", "appearing")

# What each actor sounds like as it lands, and as it moves. The choice is ours.
_BODIES = {
    "thud": ("sailboat", "cow", "elephant", "tiger", "dinosaur", "penguin", "duck", "turtle", "snail"),
    "knock": ("crab", "frog", "dolphin", "fish", "octopus", "bee", "butterfly", "parrot", "pumpkin"),
    "clang": ("helicopter", "airplane", "rocket", "saucer", "bus", "tractor", "train", "robot"),
    "boing": ("ghost", "star", "heart", "snowman"),
}
_VOICES = {
    "engine": ("helicopter", "airplane", "rocket", "bus", "tractor", "train"),
    "hum": ("saucer", "robot", "ghost"),
    "growl": ("cow", "elephant", "tiger", "dinosaur"),
    "chirp": ("penguin", "duck", "parrot", "frog"),
    "buzz": ("bee", "butterfly"),
    "bubbles": ("sailboat", "dolphin", "fish", "octopus"),
    "twinkle": ("star", "heart"),
    "rumble": ("pumpkin", "snowman"),
    "rustle": ("turtle", "snail", "crab"),
}
BODY = {actor: sound for sound, actors in _BODIES.items() for actor in actors}
VOICE = {actor: sound for sound, actors in _VOICES.items() for actor in actors}
SOUNDS = (*_BODIES, *_VOICES, "squeal", "scuff", "crash", "chime")
"""Every class of sound that an event can have."""

_SLOW, _FAST = 0.1, 1.6  # heights of the frame a second: the softest sound and the loudest


@dataclass(frozen=True)
class Event:
    """Something that happens at a moment.

    Args:
        seconds: since the first frame.
        kind: what happens.
        sound: which of `SOUNDS` it makes.
        strength: how hard it is, 0 to 1.
        x: where in the frame, 0 at its left edge to 1 at its right.
        actor: who does it.
    """

    seconds: float
    kind: Kind
    sound: str
    strength: float
    x: float
    actor: str


@dataclass(frozen=True)
class Voice:
    """A sound that an actor makes all the while it moves.

    Args:
        performer: who makes it.
        sound: which of `SOUNDS`.
        begin: seconds since the first frame; 0 or less if it moves from the start on.
        end: seconds since the first frame.
        strength: as that of the event that it begins with.
    """

    performer: Performer
    sound: str
    begin: float
    end: float
    strength: float


def events(scene: Scene) -> tuple[Event, ...]:
    """What happens from the first frame to the end of the last, in order of time."""
    meeting = collision_time(scene)
    found = [*_performed(scene, scene.lead)]
    if scene.second is not None:
        found += _performed(scene, scene.second)
    if meeting is not None:
        hit = _event(scene, scene.lead, meeting, "collision", "crash", _speed(scene.lead))
        found = [event for event in found if event.seconds != meeting] + [hit]
    return tuple(sorted((event for event in found if event.seconds < scene.seconds), key=_seconds))


def voices(scene: Scene) -> tuple[Voice, ...]:
    """Who is heard moving, and from when to when."""
    cast = [scene.lead] if scene.second is None else [scene.lead, scene.second]
    found = []
    for performer in cast:
        if performer.motion in ("still", "bounces"):
            continue
        timing = performer.timing
        begin, end = (0.0, scene.seconds) if timing is None else (timing.begin, timing.end)
        strength = _strength(_speed(performer, scene.seconds))
        found.append(Voice(performer, VOICE[performer.actor], begin, min(end, scene.seconds), strength))
    return tuple(voice for voice in found if voice.begin < voice.end)


def collision_time(scene: Scene) -> float | None:
    """When the lead runs into the second actor: it stops just as the other starts. None: it does not."""
    if scene.second is None or scene.second.motion == "still":
        return None
    lead, second = scene.lead.timing, scene.second.timing
    if lead is None or second is None or lead.end != second.begin:
        return None
    return lead.end


def _performed(scene: Scene, performer: Performer) -> Iterator[Event]:
    """What one actor does, in order of time."""
    timing, actor = performer.timing, performer.actor
    match performer.motion:
        case "still":
            if timing is not None and timing.appears > 0:
                yield _event(scene, performer, timing.appears, "appearing", "chime", performer.size)
        case "bounces":
            first, period = (0.0, 1.0) if timing is None else (timing.begin % timing.period, timing.period)
            for landing in range(max(0, math.ceil((scene.seconds - first) / period))):
                seconds = first + landing * period
                yield _event(scene, performer, seconds, "bounce", BODY[actor], 4 * performer.travel / period)
        case _:
            if timing is not None:
                stop = "squeal" if BODY[actor] == "clang" else "scuff"
                yield _event(scene, performer, timing.begin, "start", VOICE[actor], _speed(performer))
                yield _event(scene, performer, timing.end, "stop", stop, _speed(performer))


def _event(scene: Scene, performer: Performer, seconds: float, kind: Kind, sound: str, speed: float) -> Event:
    x = float(scene.seen(performer, np.array([seconds]))[0, 0])
    return Event(seconds, kind, sound, _strength(speed), min(max(x, 0.0), 1.0), performer.actor)


def _seconds(event: Event) -> float:
    return event.seconds


def _speed(performer: Performer, lasts: float = 1.0) -> float:
    """Along its path, in heights of the frame a second; growth counts as what its edges travel.

    Args:
        lasts: seconds that the motion takes if the performer has no timing.
    """
    if performer.timing is not None:
        lasts = performer.timing.end - performer.timing.begin
    match performer.motion:
        case "grows" | "shrinks":
            return performer.size / lasts
        case "diagonal":
            return performer.travel * math.sqrt(2) / lasts
        case "circles":
            return performer.travel * math.pi / 2
    return performer.travel / lasts


def _strength(speed: float) -> float:
    return min(max((speed - _SLOW) / (_FAST - _SLOW), 0.0), 1.0)
