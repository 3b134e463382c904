"""Cues from a network that foresees sounds, and how well sounds go with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moviegen_audio import Sight, SightConfig
from moviegen_runtime.media.cues import Cues, fitness, joined, synchrony, timbre_error
from moviegen_runtime.media.onsets import TIMBRE_BANDS, onsets, timbre_after
from moviegen_runtime.pipelines.ranking import foreseen_cues
from torch import Tensor

RATE = 25.0
SOUND_RATE = 16_000


@pytest.fixture
def sight(monkeypatch: pytest.MonkeyPatch) -> Sight:
    """It foresees what the first of its features says, and that the second is how loud each band is."""
    made = Sight(SightConfig(side=16, channels=(4, 8), width=3, frames=3, bands=TIMBRE_BANDS))
    monkeypatch.setattr(made, "watch", lambda features: features)
    torch.nn.init.zeros_(made.foreseen.weight)
    torch.nn.init.zeros_(made.foreseen.bias)
    torch.nn.init.ones_(made.foreseen.weight[0, :1])
    torch.nn.init.ones_(made.foreseen.weight[1:, 1])
    return made


def features(*certain: int) -> Tensor:
    """Of four seconds in which something surely begins in a few frames."""
    values = torch.full((100, 3), -6.0)
    values[list(certain)] = 6.0
    values[:, 1] = torch.arange(100) / 100
    return values


def beeps(*hertz: float, seconds: float = 4.0) -> np.ndarray:
    """(1, N): a decaying tone at 1 s, 2 s, ..."""
    t = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    whole = np.zeros(len(t), np.float32)
    for place, frequency in enumerate(hertz, start=1):
        after = np.maximum(t - place, 0)
        whole += np.where(t >= place, 0.4 * np.exp(-after / 0.1) * np.sin(2 * np.pi * frequency * after), 0)
    return whole[None].astype(np.float32)


def test_a_sound_that_begins_when_it_is_foreseen_ranks_first(sight: Sight) -> None:
    cues = foreseen_cues(sight, features(30, 70), RATE)
    moments = np.array([30.5, 70.5]) / RATE
    np.testing.assert_allclose(cues.moments, moments)
    np.testing.assert_allclose(cues.strengths, 1 / (1 + np.exp(-6)))
    assert cues.timbres is not None
    np.testing.assert_allclose(cues.timbres, np.repeat([[0.3], [0.7]], TIMBRE_BANDS, axis=1))
    assert synchrony(cues, moments, 0, 4) == pytest.approx(1, abs=1e-3)
    others = [moments[:1], moments + 0.15, np.array([*moments, 2.2]), np.zeros(0)]
    assert all(synchrony(cues, other, 0, 4) < 0.9 for other in others)


def test_where_nothing_is_foreseen_silence_ranks_first(sight: Sight) -> None:
    cues = foreseen_cues(sight, features(), RATE)
    assert synchrony(cues, np.zeros(0), 0, 4) == 1
    assert synchrony(cues, np.array([1.0]), 0, 4) == 0
    assert fitness(cues, np.zeros((1, 4 * SOUND_RATE), np.float32), SOUND_RATE) == 1


def test_parts_of_a_film_have_its_cues(sight: Sight) -> None:
    values = features(3, 30, 70)
    whole = foreseen_cues(sight, values, RATE)
    parts = [
        foreseen_cues(sight, values[:45], RATE, inner=slice(0, 40)),
        foreseen_cues(sight, values[35:], RATE, first=40, inner=slice(5, 65)),
    ]
    again = joined(parts)
    for one, other in zip(vars(whole).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_of_sounds_in_time_the_one_of_the_foreseen_timbre_ranks_first() -> None:
    right, half, wrong = beeps(500, 4_000), beeps(500, 500), beeps(4_000, 500)
    heard = onsets(right, SOUND_RATE)
    np.testing.assert_allclose(heard, [1, 2], atol=0.02)
    timbres = timbre_after(right, SOUND_RATE, heard)
    cues = Cues(heard + 0.05, np.ones(2), 1 / RATE, timbres)
    assert timbre_error(cues, heard, timbres) == 0
    assert timbre_error(cues, heard + 0.5, timbres + 1) == 0  # no cue is near
    assert timbre_error(cues, heard, timbres + 1) == pytest.approx(1)
    assert timbre_error(Cues(heard, np.ones(2), 1 / RATE), heard, timbres) == 0
    blind = Cues(cues.moments, cues.strengths, cues.apart)
    scores = [fitness(cues, sound, SOUND_RATE) for sound in (right, half, wrong)]
    in_time = [fitness(blind, sound, SOUND_RATE) for sound in (right, half, wrong)]
    assert scores[0] == pytest.approx(in_time[0], abs=1e-9)
    assert scores[0] > scores[1] + 0.05 > scores[2] + 0.1
    silence = np.zeros_like(right)
    assert fitness(cues, silence, SOUND_RATE) == 0 < scores[2]
    assert fitness(cues, beeps(0, 0, 4_000), SOUND_RATE) < 0  # at another time
    assert in_time == pytest.approx([in_time[0]] * 3, abs=0.05)
    # The film's own time begins where the sound does.
    later = Cues(cues.moments + 10, cues.strengths, cues.apart, timbres)
    assert fitness(later, right, SOUND_RATE, begin=10.0) == pytest.approx(scores[0])


def test_the_strongest_cue_near_an_onset_tells_its_timbre() -> None:
    timbres = np.arange(3, dtype=np.float32)[:, None].repeat(TIMBRE_BANDS, 1)
    cues = Cues(np.array([0.95, 1.0, 1.05]), np.array([0.3, 0.2, 0.9]), 1 / RATE, timbres)
    assert timbre_error(cues, np.array([1.0]), timbres[2:]) == 0
    assert timbre_error(cues, np.array([0.92]), timbres[:1]) == 0  # the third is too far


def test_timbre_is_the_loudness_of_bands_after_an_onset() -> None:
    """A low tone, a high one, and the same twice as loud."""
    seconds = np.arange(SOUND_RATE) / SOUND_RATE
    tones = 0.2 * np.sin(np.where(seconds < 0.3, 600, 12_000) * seconds) * np.where(seconds < 0.6, 1, 2)
    low, high, louder = timbre_after(tones[None].astype(np.float32), SOUND_RATE, np.array([0.05, 0.35, 0.65]))
    assert low.argmax() < 8 < high.argmax()
    assert np.expm1(louder.max()) == pytest.approx(2 * np.expm1(high.max()), rel=0.01)
    assert timbre_after(np.zeros((1, SOUND_RATE), np.float32), SOUND_RATE, np.zeros(0)).shape == (0, 21)
