"""The samples of a take: length, levels, exact times, sides; and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moviegen_miniature.scene import MOTIONS, Performer, Scene, Timing
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.sound.ambience import ambience
from moviegen_miniature.sound.captions import sound_caption
from moviegen_miniature.sound.casting import take_at
from moviegen_miniature.sound.effects import impact, voice
from moviegen_miniature.sound.events import SOUNDS, VOICE, events
from moviegen_miniature.sound.music import mood_of, music
from moviegen_miniature.sound.soundtrack import Take, soundtrack
from moviegen_miniature.sound.synthesis import HIGHEST, decay, noise, tone

_IMPACTS = tuple(sound for sound in SOUNDS if sound not in VOICE.values())


def bounce(x: float = 0.5, landing: float = 0.7) -> Scene:
    lead = Performer("bus", "bounces", 0.5, x, 0.5, travel=0.3, timing=Timing(begin=landing, period=5.0))
    return Scene(lead, "sky", 0, words=7, frames=16)


def test_a_tone_is_a_sine_and_overtones_above_the_limit_are_left_out() -> None:
    t = np.arange(1, 4_801) / 48_000
    np.testing.assert_allclose(tone(440.0, 4_800, 48_000), np.sin(2 * np.pi * 440 * t), atol=1e-4)
    np.testing.assert_array_equal(tone(HIGHEST * 0.6, 100, 48_000, (1.0, 1.0)), tone(4_500.0, 100, 48_000))


def test_noise_keeps_to_its_band() -> None:
    made = noise(np.random.default_rng(0), 48_000, 48_000, 400, 800)
    power = np.abs(np.fft.rfft(made)) ** 2
    assert power[350:950].sum() > 0.97 * power.sum()
    assert (made**2).mean() == pytest.approx(1)


def test_a_decay_falls_as_it_says() -> None:
    curve = decay(4_800, 48_000, 0.02, attack=0.001)
    assert curve[0] == 0
    assert curve[2_400] / curve[1_440] == pytest.approx(np.exp(-1), rel=1e-4)


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("sound", _IMPACTS)
def test_an_impact_begins_at_once_and_ends_in_silence(sound: str, rate: int) -> None:
    hit = impact(sound, np.random.default_rng(1), rate)
    assert np.abs(hit).max() == pytest.approx(1)
    assert np.abs(hit[: rate // 50]).max() > 0.4  # within 20 ms
    assert hit[-1] == 0
    power = np.abs(np.fft.rfft(hit, rate)) ** 2  # a bin a hertz
    assert power[8_000:].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize("sound", sorted(set(VOICE.values())))
def test_a_voice_calls_and_then_goes_on_softly(sound: str) -> None:
    rate = 16_000
    called = voice(sound, np.random.default_rng(1), rate, 2 * rate, called=True)
    loud, soft = (
        np.sqrt((part**2).mean()) for part in (called[: rate // 10], called[rate : rate * 19 // 10])
    )
    assert 2 < loud / soft < 6
    under_way = voice(sound, np.random.default_rng(1), rate, 2 * rate, called=False)
    first, later = (np.sqrt((part**2).mean()) for part in (under_way[: rate // 5], under_way[rate:-800]))
    assert 0.6 < first / later < 1.7


def test_ambiences_differ_and_have_one_level() -> None:
    spectra = []
    for setting in SETTINGS:
        made = ambience(setting, np.random.default_rng(0), 32_000, 16_000)
        assert (made**2).mean() == pytest.approx(1, rel=1e-3)
        spectrum = np.abs(np.fft.rfft(made)) ** 2
        spectra.append(np.array([part.sum() for part in np.array_split(spectrum, 40)]) / spectrum.sum())
    for place, one in enumerate(spectra):
        assert all(np.abs(one - other).sum() > 0.1 for other in spectra[:place])


def test_each_motion_has_music_that_fades_in_and_out() -> None:
    for motion in MOTIONS:
        made = music(mood_of(motion), np.random.default_rng(0), 64_000, 16_000)
        assert (made[0], made[-1]) == (0, 0)
        assert np.abs(made).max() == pytest.approx(1)
        assert (made[16_000:48_000] ** 2).mean() > 0.005


def test_an_impact_stands_at_its_event_to_the_sample() -> None:
    """What a landing adds to the clip is its impact, from the rounded sample of its time on."""
    for rate in (16_000, 44_100, 48_000):
        scene = bounce(landing=0.7)
        quiet = replace(scene, lead=replace(scene.lead, timing=Timing(begin=4.9, period=5.0)))
        assert not events(quiet)
        added = soundtrack(Take(scene), rate=rate) - soundtrack(Take(quiet), rate=rate)
        heard = np.flatnonzero(np.abs(added[0]) > 1e-6)
        first = round(0.7 * rate)
        assert (added[0, :first] == 0).all()
        assert first <= heard[0] <= first + 2


def test_a_track_is_as_long_as_its_picture_and_a_function_of_the_take() -> None:
    take = take_at(3, split="train", seed=0, seconds=4.0, fps_choices=(12.0,))
    one, other = soundtrack(take, rate=16_000, channels=2), soundtrack(take, rate=16_000, channels=2)
    assert one.shape == (2, 64_000)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(
        one, soundtrack(replace(take, scene=replace(take.scene, words=1)), rate=16_000)[0]
    )


def test_levels_are_sane_and_nothing_clips() -> None:
    for index in range(40):
        take = take_at(index, split="train", seed=1, seconds=4.0, music_probability=0.5)
        track = soundtrack(take, rate=16_000)
        assert np.isfinite(track).all()
        assert np.abs(track).max() <= 0.9
        assert -40 < 10 * np.log10((track**2).mean()) < -12


def test_music_only_adds_music() -> None:
    take = take_at(5, split="train", seed=0, seconds=2.0, music_probability=0.0)
    added = soundtrack(replace(take, music=True), rate=16_000) - soundtrack(take, rate=16_000)
    assert 0.05 < np.abs(added).max() < 0.19


def test_a_poorer_recording_hisses_more() -> None:
    still = Scene(Performer("cow", "still", 0.5, 0.5, 0.5), "sky", 0, frames=16)

    def hiss(quality: float) -> float:
        spectrum = np.abs(np.fft.rfft(soundtrack(Take(still, quality=quality))[0])) ** 2
        return float(spectrum[-len(spectrum) // 3 :].sum())

    # Four decibels for each point.
    assert 10 * np.log10(hiss(3.0) / hiss(8.0)) == pytest.approx(20, abs=0.5)


def test_an_actor_on_the_left_is_heard_on_the_left() -> None:
    def sides(x: float) -> tuple[float, float]:
        scene = bounce(x)
        quiet = replace(scene, lead=replace(scene.lead, timing=Timing(begin=4.9, period=5.0)))
        added = soundtrack(Take(scene), channels=2) - soundtrack(Take(quiet), channels=2)
        left, right = (added.astype(np.float64) ** 2).sum(1)
        return float(left), float(right)

    left, right = sides(0.25)
    assert right / left == pytest.approx(np.tan(np.pi / 8) ** 2, rel=1e-3)
    assert left + right == pytest.approx(sum(sides(0.5)), rel=1e-3)  # equal power


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (48_000, 3), (48_000, 0)])
def test_rates_and_channels_that_there_are_not_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        soundtrack(Take(bounce()), rate=rate, channels=channels)


def test_a_quality_out_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="quality must be from 2"):
        Take(bounce(), quality=10.0)


def test_captions_say_what_is_heard() -> None:
    descriptions = set()
    for index in range(200):
        take = take_at(index, split="train", seed=2, seconds=4.0)
        caption = sound_caption(take)
        assert caption == sound_caption(take)
        assert caption.quality == pytest.approx(take.quality, abs=0.051)
        assert bool(caption.music_description) == take.music == (caption.music > 0.5)
        assert not caption.speech
        assert ("runs into" in caption.description) == any(
            event.kind == "collision" for event in events(take.scene)
        )
        assert ("lands" in caption.description) == any(event.kind == "bounce" for event in events(take.scene))
        assert "{" not in caption.description
        descriptions.add(caption.description)
    assert len(descriptions) > 150
