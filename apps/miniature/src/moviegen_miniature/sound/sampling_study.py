"""Ways to make the same sounds, compared: what the judges hear, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from moviegen_dit import Method
from moviegen_runtime.pipelines.score import SoundCast

from moviegen_miniature.judge.report import aligned
from moviegen_miniature.sound.classes import ClassJudge
from moviegen_miniature.sound.report import Listened, f1_text, listen, median_error_text, share_text
from moviegen_miniature.sound.soundtrack import Take
from moviegen_miniature.sound.trials import SoundSampling, films, made
from moviegen_miniature.sprites import Sprites


@dataclass(frozen=True)
class SamplingOutcome:
    """What one way gave: what was heard, and seconds a sound, pictures looked at and sound decoded."""

    sampling: SoundSampling
    heard: Sequence[Listened]
    seconds: float


def settings(
    usual: SoundSampling,
    steps: Sequence[int],
    methods: Sequence[Method],
    guidances: Sequence[float],
    candidates: Sequence[int],
) -> list[SoundSampling]:
    """Every number of steps with every solver, then each guidance, then each number of draws; once each."""
    listed = [replace(usual, steps=count, method=method) for method in methods for count in steps]
    listed += [replace(usual, guidance=scale) for scale in guidances]
    listed += [replace(usual, candidates=draws) for draws in candidates]
    return list(dict.fromkeys(listed))


def compared(
    cast: SoundCast,
    takes: Sequence[Take],
    sprites: Sprites,
    classes: ClassJudge,
    listed: Sequence[SoundSampling],
    say: Callable[[str], None],
) -> list[SamplingOutcome]:
    """The same takes, by their pictures alone and from the same noise, made in each way."""
    shown = [films(takes, sprites)(place) for place in range(len(takes))]
    outcomes = []
    for number, sampling in enumerate(listed):
        say(f"way {number + 1} of {len(listed)}")
        begin = time.perf_counter()
        length = takes[0].scene.seconds
        sounds = list(made(cast, len(takes), length, sampling, say, film=shown.__getitem__))
        spent = (time.perf_counter() - begin) / len(takes)
        heard = [
            listen(take, sound, cast.codec.sample_rate, classes)
            for take, sound in zip(takes, sounds, strict=True)
        ]
        outcomes.append(SamplingOutcome(sampling, heard, spent))
    return outcomes


def study_table(outcomes: Sequence[SamplingOutcome]) -> str:
    """A line for each way."""
    head = (
        "solver",
        "steps",
        "guidance",
        "draws",
        "F1",
        "median error, ms",
        "class of clip",
        "seconds a clip",
    )
    return aligned([head, *(_cells(outcome) for outcome in outcomes)])


def _cells(outcome: SamplingOutcome) -> tuple[str, ...]:
    sampling, heard = outcome.sampling, outcome.heard
    loud = [clip for clip in heard if clip.events]
    return (
        sampling.method,
        str(sampling.steps),
        f"{sampling.guidance:g}",
        str(sampling.candidates),
        f1_text([clip.pair for clip in heard]),
        median_error_text([clip.pair for clip in heard]),
        share_text(sum(clip.mostly_of(clip.events) for clip in loud), len(loud)),
        f"{outcome.seconds:.2f}",
    )
