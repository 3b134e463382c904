"""The shipped models of sound on the stage: far above chance, with few steps and few clips."""

from __future__ import annotations

import numpy as np
import pytest
from moviegen_miniature.sound.classes import fit_class_judge
from moviegen_miniature.sound.evaluation import SoundPlan
from moviegen_miniature.sound.onsets import agreement, chance_f1
from moviegen_miniature.sound.report import Listened, listen
from moviegen_miniature.sound.trials import SoundSampling, captions, films, made
from moviegen_miniature.sprites import Sprites
from moviegen_runtime.pipelines.composer import load_composer
from moviegen_runtime.pipelines.score import SoundCast

CLIPS = 12
SAMPLING = SoundSampling(steps=8, guidance=2.0, method="euler", batch=CLIPS)


@pytest.fixture(scope="module")
def cast() -> SoundCast:
    return load_composer(device="cpu").models


def heard(cast: SoundCast, sprites: Sprites | None) -> list[Listened]:
    takes = SoundPlan(CLIPS).takes_with_events()
    film = None if sprites is None else films(takes, sprites)
    sounds = made(cast, CLIPS, 4.0, SAMPLING, lambda _: None, film=film, words=captions(takes))
    judge, rate = fit_class_judge(150), cast.codec.sample_rate
    return [listen(take, sound, rate, judge) for take, sound in zip(takes, sounds, strict=True)]


def test_sounds_begin_when_something_is_seen(cast: SoundCast, sprites: Sprites) -> None:
    """Even of discs, where actors were seen in training."""
    pairs = [clip.pair for clip in heard(cast, sprites)]
    assert agreement(pairs).f1 > 2 * chance_f1(pairs, [4.0] * CLIPS)


def test_sounds_are_those_of_the_caption(cast: SoundCast) -> None:
    clips = heard(cast, None)
    right = np.mean([clip.mostly_of(clip.events) for clip in clips])
    wrong = np.mean([a.mostly_of(b.events) for a, b in zip(clips, clips[1:] + clips[:1], strict=True)])
    assert right > wrong + 0.3
