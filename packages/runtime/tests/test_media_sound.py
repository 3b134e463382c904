"""Sound as samples: loudness by the formula of BS.1770, peaks between samples, fades, rates, a file aside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from moviegen_runtime.media.loudness import CEILING, MOST_GAIN, Loudness, gain, limited, measured
from moviegen_runtime.media.sound import RATE, Samples, faded, resampled, stored


def pieces(sound: Samples, size: int) -> Iterator[Samples]:
    for start in range(0, sound.shape[1], size):
        yield sound[:, start : start + size]


def noise(seconds: float, channels: int = 1, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return (0.05 * rng.standard_normal((channels, round(seconds * RATE)))).astype(np.float32)


def lufs(sound: Samples) -> float:
    """BS.1770-4 as it is printed: its filters at 48 kHz in the frequency domain, its two gates."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(sound.shape[1] + RATE))
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    spectrum = np.fft.rfft(sound, sound.shape[1] + RATE) * shelf * high
    squares = np.fft.irfft(spectrum, sound.shape[1] + RATE)[:, : sound.shape[1]] ** 2
    block, step = 2 * RATE // 5, RATE // 10
    starts = range(0, sound.shape[1] - block + 1, step)
    power = np.array([squares[:, start : start + block].mean(axis=1).sum() for start in starts])
    loud = power[-0.691 + 10 * np.log10(power + 1e-20) > -70]
    kept = loud[loud > loud.mean() / 10]
    return float(-0.691 + 10 * np.log10(kept.mean()))


SOUNDS = {
    "noise": noise(3),
    "stereo": noise(2, channels=2),
    "half silent": np.concatenate([noise(1.5), np.zeros((1, 2 * RATE), np.float32), 0.1 * noise(1)], axis=1),
    "odd length": noise(0.777),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_loudness_is_that_of_the_formula_in_pieces_of_any_size(name: str) -> None:
    sound = SOUNDS[name]
    assert measured([sound]).lufs == pytest.approx(lufs(sound), abs=0.05)
    assert measured(pieces(sound, 1777)) == measured([sound])


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("target", [-16.0, -23.0, -31.5])
def test_after_normalisation_it_is_at_the_target(name: str, target: float) -> None:
    sound = SOUNDS[name]
    assert lufs(sound * gain(measured([sound]), target=target)) == pytest.approx(target, abs=0.1)


def test_a_peak_between_samples_is_found() -> None:
    phase = np.pi / 2 * np.arange(RATE) + np.pi / 4  # samples of a full sine that all miss its peaks
    sound = (0.5 * np.hanning(RATE) ** 0.1 * np.sin(phase))[None].astype(np.float32)
    assert np.abs(sound).max() == pytest.approx(0.5 * 0.5**0.5, abs=1e-4)
    assert measured([sound]).peak == pytest.approx(20 * math.log10(0.5), abs=0.05)


@pytest.mark.parametrize("place", [0, 4800, RATE - 3000, RATE - 1])
def test_a_peak_anywhere_stays_under_the_ceiling(place: int) -> None:
    sound = noise(1) * 0.01
    sound[0, place] = 1.0
    before = measured([sound])
    assert before.peak == pytest.approx(0, abs=0.1)
    louder = sound * gain(before, target=-5)
    assert measured([louder]).peak <= CEILING + 0.01
    assert measured([louder]).peak == pytest.approx(CEILING, abs=0.1)


def clicks() -> Samples:
    """Soft noise and a click every half second, 20 dB and more above it, each of its own height."""
    sound = 0.3 * noise(3)
    for index, place in enumerate(range(RATE // 4, 3 * RATE, RATE // 2)):
        sound[0, place : place + 40] += (0.3 + 0.02 * index) * np.hanning(40)
    return sound.astype(np.float32)


@pytest.mark.parametrize("size", [777, 3 * RATE])
def test_flattened_peaks_let_a_sound_be_as_loud_as_asked(size: int) -> None:
    sound = clicks()
    before = measured([sound])
    factor = 10 ** ((CEILING + 5 - before.peak) / 20)  # 5 dB too much
    flat = np.concatenate(list(limited(pieces(sound, size), factor)), axis=1)
    assert flat.shape == sound.shape
    after = measured([flat])
    assert after.peak == pytest.approx(CEILING, abs=0.1)
    assert after.lufs is not None
    assert before.lufs is not None
    assert after.lufs > before.lufs + CEILING - before.peak + 3  # dB louder than unflattened


def test_what_lies_below_the_ceiling_comes_through_a_limiter_as_it_was() -> None:
    sound = np.convolve(clicks()[0], np.hanning(16) / 8, "same")[None].astype(np.float32)
    same = np.concatenate(list(limited(pieces(sound, 4096), 1.5)), axis=1)
    assert np.abs(same - 1.5 * sound).max() < 1e-3


def test_a_limiter_moves_no_moment_and_keeps_the_channels_apart() -> None:
    sound = np.zeros((2, 2 * RATE), np.float32)
    for channel, place in ((0, 30_000), (1, 60_000)):
        sound[channel, place - 20 : place + 21] = np.hanning(41)
    flat = np.concatenate(list(limited([sound], 2.0)), axis=1)
    assert [int(np.abs(channel).argmax()) for channel in flat] == [30_000, 60_000]
    assert np.abs(flat[0, 50_000:]).max() < 1e-3


def test_silence_stays_silence_and_hiss_stays_soft() -> None:
    silence = measured([np.zeros((1, RATE), np.float32)])
    assert silence == Loudness(None, -math.inf)
    assert gain(silence) == 1
    assert gain(measured([noise(1) * 1e-6])) == 1
    assert gain(Loudness(-68.0, -50.0)) == pytest.approx(10 ** (MOST_GAIN / 20))


@pytest.mark.parametrize("count", [1, 50, 4800, 2 * RATE // 5 - 1])
def test_the_shortest_sounds_have_a_loudness(count: int) -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(count) / RATE + 1)[None].astype(np.float32)
    loudness = measured([tone])
    assert loudness.peak > -30
    assert np.isfinite(gain(loudness))
    if count >= 4800:
        assert loudness.lufs == pytest.approx(lufs(np.tile(tone, 10)), abs=0.2)


def test_what_has_no_loudness_is_named() -> None:
    with pytest.raises(ValueError, match="a sound without samples"):
        measured([])


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, RATE])
def test_another_rate_leaves_every_moment_where_it_was(rate: int) -> None:
    sound = np.zeros((1, rate), np.float32)
    for place in (rate // 10, rate // 2, rate - rate // 20):
        sound[0, place] = 1
    given = np.concatenate(list(resampled(pieces(sound, 999), rate)), axis=1)
    assert abs(given.shape[1] - RATE) <= 1
    loudest = np.sort(np.argsort(-np.abs(given[0]))[: 3 * 3])
    for place in (RATE // 10, RATE // 2, RATE - RATE // 20):
        assert np.abs(loudest - place).min() <= 1


def test_a_tone_keeps_its_height_and_level_at_another_rate() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(16_000) / 16_000)[None].astype(np.float32)
    given = np.concatenate(list(resampled(pieces(tone, 640), 16_000)), axis=1)[0, 1000:-1000]
    expected = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(1000, 1000 + len(given)) / RATE)
    assert np.abs(given - expected).max() < 3e-3


def softened(sound: Samples) -> Samples:
    return np.concatenate(list(faded([sound], sound.shape[1])), axis=1)


def test_ends_are_soft_and_the_middle_is_untouched() -> None:
    sound = np.ones((1, RATE), np.float32)
    whole = softened(sound)
    assert whole[0, 0] == whole[0, -1] == 0
    assert np.array_equal(whole[0, 240 : RATE - 2400], sound[0, 240 : RATE - 2400])
    assert (np.diff(whole[0, :240]) > 0).all()
    assert (np.diff(whole[0, -2400:]) < 0).all()
    assert np.abs(np.diff(whole[0])).max() < 0.01  # of a step at most: no click
    assert np.array_equal(np.concatenate(list(faded(pieces(sound, 777), RATE)), axis=1), whole)


@pytest.mark.parametrize("length", [RATE, RATE + 5000, 100])
def test_a_stored_sound_is_the_sound_at_its_length(tmp_path: Path, length: int) -> None:
    sound = noise(1, channels=2)
    kept = stored(pieces(sound, 1234), tmp_path / "sound", length)
    assert (kept.channels, kept.samples) == (2, length)
    expected = np.zeros((2, length), np.float32)
    expected[:, :RATE] = sound[:, :length]
    for _ in range(2):
        given = np.concatenate(list(kept.pieces()), axis=1)
        assert np.array_equal(given, expected)


def test_a_sound_that_cannot_be_stored_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pieces"):
        stored([], tmp_path / "sound", 100)
    broken = noise(1)
    broken[0, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        stored([broken], tmp_path / "sound", 100)
