"""The onset judge and the class judge: on sounds whose truth is known by construction."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from moviegen_miniature.sound.casting import take_at
from moviegen_miniature.sound.classes import ClassJudge, fit_class_judge
from moviegen_miniature.sound.events import events
from moviegen_miniature.sound.onsets import (
    EDGE,
    TOLERANCE,
    Agreement,
    agreement,
    chance_f1,
    f1_interval,
    inner,
    shuffled,
)
from moviegen_miniature.sound.report import kinds_table, listen, listen_to_truth, table
from moviegen_miniature.sound.sight import landings
from moviegen_miniature.sound.soundtrack import Take, soundtrack
from moviegen_runtime.media.onsets import onsets
from numpy.typing import NDArray

_RATE = 16_000


def bursts(moments: list[float], rate: int, seconds: float = 3.0) -> NDArray[np.float32]:
    """Tones of falling loudness over soft noise: (1, N)."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * rate)) / rate
    sound = 0.003 * rng.standard_normal(len(t))
    for moment in moments:
        since = t - moment
        sound += np.where(since >= 0, 0.4 * np.exp(-since.clip(0) / 0.1) * np.sin(2 * np.pi * 700 * since), 0)
    return sound[None].astype(np.float32)


@pytest.fixture(scope="module")
def classes() -> ClassJudge:
    return fit_class_judge(250)


@pytest.fixture(scope="module")
def takes() -> list[Take]:
    return [take_at(index, split="seen", seed=9, seconds=3.0, music_probability=0.0) for index in range(60)]


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_bursts_are_heard_when_they_begin(rate: int) -> None:
    moments = [0.31, 0.62, 1.403, 2.5]
    np.testing.assert_allclose(onsets(bursts(moments, rate), rate), moments, atol=0.01)


def test_nothing_is_heard_in_silence_noise_or_a_steady_tone() -> None:
    t = np.arange(3 * _RATE) / _RATE
    rng = np.random.default_rng(0)
    fade = np.minimum(t / 0.5, 1)
    for sound in (0 * t, 0.02 * rng.standard_normal(len(t)), 0.3 * fade * np.sin(2 * np.pi * 440 * t)):
        heard = onsets(sound[None].astype(np.float32), _RATE)
        assert len(inner(heard, 3.0)) == 0
    assert len(onsets(np.zeros((1, 0), np.float32), _RATE)) == 0


def test_channels_are_averaged() -> None:
    sound = bursts([0.5, 1.5], _RATE)
    one_sided = np.concatenate([2 * sound, np.zeros_like(sound)])
    np.testing.assert_array_equal(onsets(one_sided, _RATE), onsets(sound, _RATE))


def test_damaged_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="finite and of shape"):
        onsets(np.full((1, 100), np.nan, np.float32), _RATE)
    with pytest.raises(ValueError, match="finite and of shape"):
        onsets(np.zeros(100, np.float32), _RATE)


def test_what_counts_is_away_from_the_ends() -> None:
    np.testing.assert_array_equal(inner([0.0, EDGE, 1.0, 1.95], 2.0), [EDGE, 1.0])


def test_f1_by_hand() -> None:
    heard, true = np.array([0.5, 0.6, 1.9]), np.array([0.55, 1.0, 2.0])
    result = agreement([(heard, true), (np.zeros(0), np.array([1.0]))])
    assert (result.events, result.onsets, len(result.errors)) == (4, 3, 2)
    np.testing.assert_allclose(result.errors, [-0.05, -0.1])
    assert result.f1 == pytest.approx(2 * 2 / 7)
    assert result.median_error == pytest.approx(0.075)
    assert Agreement(0, 0, np.zeros(0)).f1 == 1
    assert math.isnan(Agreement(3, 0, np.zeros(0)).median_error)


def test_the_matching_is_a_largest_one() -> None:
    """Against all matchings of small random cases."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        heard, true = (np.sort(rng.uniform(0, 1, rng.integers(5))) for _ in range(2))
        near = np.abs(heard[:, None] - true) <= TOLERANCE
        few = near if len(heard) <= len(true) else near.T
        best = max(
            sum(bool(few[row, column]) for row, column in enumerate(chosen))
            for chosen in itertools.permutations(range(few.shape[1]), few.shape[0])
        )
        assert len(agreement([(heard, true)]).errors) == best


def test_chance_is_what_its_formula_says() -> None:
    """One onset and one event: they meet with the probability that two points of a line are near."""
    spread = 3.0 - 2 * EDGE
    pairs = [(np.array([1.5]), np.array([1.5]))] * 200
    assert chance_f1(pairs, [3.0] * 200) == pytest.approx(2 * TOLERANCE / spread, abs=0.01)


def test_an_interval_holds_its_value_and_shrinks_with_more_clips() -> None:
    rng = np.random.default_rng(0)
    pairs = [(np.array([1.0]), np.array([1.0 if rng.random() < 0.7 else 2.0])) for _ in range(400)]
    low, high = f1_interval(pairs)
    assert low < agreement(pairs).f1 < high
    few_low, few_high = f1_interval(pairs[:50])
    assert high - low < few_high - few_low
    with pytest.raises(ValueError, match="at least one clip"):
        f1_interval([])


def test_shuffled_clips_never_keep_their_own_events() -> None:
    pairs = [(np.array([float(place)]), np.array([float(place)])) for place in range(7)]
    assert all(heard[0] != true[0] for heard, true in shuffled(pairs))
    with pytest.raises(ValueError, match="at least two"):
        shuffled(pairs[:1])


def test_true_soundtracks_are_heard_right_and_others_by_chance(
    takes: list[Take], classes: ClassJudge
) -> None:
    heard = listen_to_truth(takes, _RATE, classes, lambda _: None)
    pairs = [clip.pair for clip in heard]
    assert agreement(pairs).f1 >= 0.95
    assert agreement(pairs).median_error < 0.01
    chance = chance_f1(pairs, [3.0] * len(pairs))
    assert chance < 0.35
    assert agreement(shuffled(pairs)).f1 < chance + 0.1
    told = [
        sound == event.sound
        for clip in heard
        for sound, event in zip(clip.sounds, clip.events, strict=True)
        if sound is not None
    ]
    assert np.mean(told) > 0.95
    cells = [cell.strip() for cell in table([("true", heard)]).splitlines()[2].split("|")]
    assert cells[1:4] == ["true", "60", str(agreement(pairs).events)]
    assert cells[5].startswith(f"{agreement(pairs).f1:.3f} [")
    assert kinds_table([("true", heard)]).count("100.0 [") >= 3


def test_a_late_or_silent_soundtrack_scores_nothing(takes: list[Take]) -> None:
    with_events = [take for take in takes if events(take.scene)]
    late, silent = [], []
    for take in with_events:
        sound = soundtrack(take, rate=_RATE)
        shift = round(0.2 * _RATE)
        late.append(listen(take, np.pad(sound, ((0, 0), (shift, 0)))[:, : sound.shape[1]], _RATE))
        silent.append(listen(take, np.zeros_like(sound), _RATE))
    assert agreement([clip.pair for clip in late]).f1 < 0.3
    assert agreement([clip.pair for clip in silent]).f1 == 0
    assert all(set(clip.sounds) <= {None} for clip in silent)


def test_sounds_of_the_wrong_class_are_told(classes: ClassJudge) -> None:
    take = next(
        take
        for index in range(100)
        if (take := take_at(index, split="seen", seed=4, seconds=3.0)).scene.lead.motion == "bounces"
        and events(take.scene)
    )
    moments = [event.seconds for event in events(take.scene)]
    true = events(take.scene)[0].sound
    assert classes.heard(soundtrack(take, rate=48_000), 48_000, moments) == [true] * len(moments)
    assert true not in classes.heard(bursts(moments, 48_000), 48_000, moments)


@pytest.mark.parametrize("fps", [8.0, 12.0, 24.0])
def test_landings_are_seen_on_tracks_and_nothing_else_is(fps: float) -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for index in range(200):
        scene = take_at(
            index, split="seen", seed=5, seconds=4.0, fps_choices=(fps,), pan_probability=0.0
        ).scene
        track = scene.lead.track(scene.frames, fps)
        found = landings(track + rng.normal(0, 0.003, track.shape), fps)
        true = [event.seconds for event in events(scene) if event.kind == "bounce"]
        pairs.append((inner(found, 4.0), inner(true, 4.0)))
    result = agreement(pairs)
    assert result.events > 50
    assert result.f1 > 0.99
    assert result.median_error < 0.01
    with pytest.raises(ValueError, match="finite and of shape"):
        landings(np.zeros((4, 2)), fps)
