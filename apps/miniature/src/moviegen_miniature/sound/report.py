"""The table of the sound judges: sounds against what was to be heard, beside the judges' own validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from moviegen_runtime.media.onsets import Times, onsets
from numpy.typing import NDArray

from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.intervals import wilson
from moviegen_miniature.judge.report import aligned
from moviegen_miniature.render import render
from moviegen_miniature.sound.casting import FPS_CHOICES, take_at
from moviegen_miniature.sound.classes import ClassJudge
from moviegen_miniature.sound.events import KINDS, Event, events
from moviegen_miniature.sound.onsets import (
    TOLERANCE,
    Agreement,
    agreement,
    chance_f1,
    f1_interval,
    inner,
    shuffled,
)
from moviegen_miniature.sound.sight import landings
from moviegen_miniature.sound.soundtrack import Take, soundtrack

Pair = tuple[Times, Times]


@dataclass(frozen=True)
class Listened:
    """What the judges heard in one clip.

    Args:
        take: what was to be heard.
        onsets: when something began, in seconds, ends left out.
        events: those of the take that count.
        heard: the class heard at each onset; empty if nobody tells classes.
    """

    take: Take
    onsets: Times
    events: tuple[Event, ...]
    heard: tuple[str, ...] = ()

    @property
    def pair(self) -> Pair:
        """Onsets, and the times of the events."""
        return self.onsets, np.array([event.seconds for event in self.events])

    @property
    def sounds(self) -> tuple[str | None, ...]:
        """The class heard at the onset that is nearest to each event; None: none is within the tolerance."""
        near: list[str | None] = []
        for event in self.events:
            apart = np.abs(self.onsets - event.seconds)
            is_heard = bool(self.heard) and apart.min() <= TOLERANCE
            near.append(self.heard[int(apart.argmin())] if is_heard else None)
        return tuple(near)

    def mostly_of(self, take_events: Sequence[Event]) -> bool:
        """Whether more than half of what begins, and something, is a sound of some events, at any time."""
        asked = {event.sound for event in take_events}
        return 2 * sum(sound in asked for sound in self.heard) > len(self.heard)

    def all_of(self, take_events: Sequence[Event]) -> bool:
        """Whether every sound of some events begins at some time."""
        return {event.sound for event in take_events} <= set(self.heard)


def listen(
    take: Take, samples: NDArray[np.float32], rate: int, classes: ClassJudge | None = None
) -> Listened:
    """Hear one clip.

    Args:
        take: whose events it was to have.
        samples: (C, N) within [-1, 1].
        rate: samples a second.
        classes: tells what is heard; None: nobody does.
    """
    seconds = take.scene.seconds
    found = inner(onsets(samples, rate), seconds)
    asked = tuple(event for event in events(take.scene) if len(inner([event.seconds], seconds)))
    heard = () if classes is None else tuple(classes.heard(samples, rate, found))
    return Listened(take, found, asked, heard)


def listen_to_truth(
    takes: Sequence[Take], rate: int, classes: ClassJudge | None, say: Callable[[str], None]
) -> list[Listened]:
    """Hear the true soundtracks of some takes."""
    heard = []
    for place, take in enumerate(takes):
        heard.append(listen(take, soundtrack(take, rate=rate), rate, classes))
        if (place + 1) % 100 == 0:
            say(f"{place + 1} soundtracks heard")
    return heard


def landings_seen(judge: Judge, num_clips: int, fps: float) -> Agreement:
    """True landings against those on the tracks that the judge finds on true pictures of lone actors.

    Args:
        num_clips: of the split "seen", those in which something else happens left in: no landing is to be
            seen there.
        fps: frames a second.
    """
    length = judge.networks.config.frames
    seconds = 2 * length / min(FPS_CHOICES)
    pairs = []
    for index in range(num_clips):
        take = take_at(index, split="seen", seed=0, seconds=seconds, fps_choices=(fps,), pan_probability=0.0)
        if take.scene.second is not None:
            continue
        frames = render(take.scene, judge.sprites).frames
        parts = [judge.read(frames[first : first + length]) for first in range(0, len(frames), length)]
        seen = landings(np.concatenate([part.track for part in parts]), fps)
        true = [event.seconds for event in events(take.scene) if event.kind == "bounce"]
        pairs.append((inner(seen, seconds), inner(true, seconds)))
    return agreement(pairs)


def table(rows: Sequence[tuple[str, Sequence[Listened]]]) -> str:
    """A line for each named list of clips: F1, its 95 % interval and its value by chance, and the rest.

    "At random": as many onsets, anywhere in their clip. "Of other clips": the events of other clips. The
    median error of each frame rate is in milliseconds. "Class": of the events that have an onset. "Class of
    clip": of the clips in which something is to be heard, those in which more than half of what begins is
    such a sound; "all sounds": those in which each such sound begins. "Quiet": clips in which nothing happens
    and no onset is heard.

    Raises:
        ValueError: a list has fewer than two clips.
    """
    head = (
        "",
        "clips",
        "events",
        "onsets",
        f"F1 within {1000 * TOLERANCE:.0f} ms",
        "at random",
        "of other clips",
        "median error, ms",
        "class",
        "class of clip",
        "all sounds",
        "quiet",
    )
    return aligned([head, *(_cells(name, heard) for name, heard in rows)])


def kinds_table(rows: Sequence[tuple[str, Sequence[Listened]]]) -> str:
    """How many events of each kind have an onset within the tolerance, in percent."""
    lines = [("", *KINDS)]
    for name, heard in rows:
        cells = []
        for kind in KINDS:
            near = [
                bool((np.abs(clip.onsets - event.seconds) <= TOLERANCE).any())
                for clip in heard
                for event in clip.events
                if event.kind == kind
            ]
            cells.append(share_text(sum(near), len(near)))
        lines.append((name, *cells))
    return aligned(lines)


def _cells(name: str, heard: Sequence[Listened]) -> tuple[str, ...]:
    pairs = [clip.pair for clip in heard]
    whole = agreement(pairs)
    seconds = [clip.take.scene.seconds for clip in heard]
    named = [
        (told, event.sound)
        for clip in heard
        for told, event in zip(clip.sounds, clip.events, strict=True)
        if told is not None
    ]
    still = [clip for clip in heard if not events(clip.take.scene)]
    loud = [clip for clip in heard if clip.events]
    return (
        name,
        str(len(heard)),
        str(whole.events),
        str(whole.onsets),
        f1_text(pairs),
        f"{chance_f1(pairs, seconds):.3f}",
        f"{agreement(shuffled(pairs)).f1:.3f}",
        _errors(heard),
        share_text(sum(told == true for told, true in named), len(named)),
        share_text(sum(clip.mostly_of(clip.events) for clip in loud), len(loud)),
        share_text(sum(clip.all_of(clip.events) for clip in loud), len(loud)),
        f"{sum(not len(clip.onsets) for clip in still)} of {len(still)}",
    )


def _errors(heard: Sequence[Listened]) -> str:
    by_fps = {
        fps: [clip.pair for clip in heard if clip.take.scene.fps == fps]
        for fps in sorted({clip.take.scene.fps for clip in heard})
    }
    return ", ".join(f"{median_error_text(pairs)} at {fps:g} fps" for fps, pairs in by_fps.items())


def f1_text(pairs: Sequence[Pair]) -> str:
    """F1 with its 95 % interval."""
    low, high = f1_interval(pairs)
    return f"{agreement(pairs).f1:.3f} [{low:.3f}, {high:.3f}]"


def median_error_text(pairs: Sequence[Pair]) -> str:
    """Median distance of matched onsets from their events, in milliseconds; a dash if none is matched."""
    error = 1000 * agreement(pairs).median_error
    return "-" if np.isnan(error) else f"{error:.1f}"


def share_text(successes: int, trials: int) -> str:
    """A share in percent with its 95 % interval; a dash if there is no trial."""
    if not trials:
        return "-"
    share, low, high = (100 * value for value in wilson(successes, trials))
    return f"{share:.1f} [{low:.1f}, {high:.1f}]"
