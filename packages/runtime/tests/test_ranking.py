"""Cues from a network that foresees sounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from moviegen_audio import Sight, SightConfig
from moviegen_runtime.media.cues import synchrony
from moviegen_runtime.pipelines.ranking import foreseen, foreseen_cues
from torch import Tensor

RATE = 25.0


@pytest.fixture
def sight(monkeypatch: pytest.MonkeyPatch) -> Sight:
    """It foresees what the first of its features says."""
    made = Sight(SightConfig(side=16, channels=(4, 8), width=3, frames=3, bands=2))
    monkeypatch.setattr(made, "watch", lambda features: features)
    torch.nn.init.zeros_(made.foreseen.weight)
    torch.nn.init.zeros_(made.foreseen.bias)
    torch.nn.init.ones_(made.foreseen.weight[0, :1])
    return made


def features(*certain: int) -> Tensor:
    """Of four seconds in which something surely begins in a few frames."""
    values = torch.full((100, 3), -6.0)
    values[list(certain)] = 6.0
    return values


def test_a_sound_that_begins_when_it_is_foreseen_ranks_first(sight: Sight) -> None:
    probable = foreseen(sight, features(30, 70))
    np.testing.assert_allclose(probable[[30, 31]], [1 / (1 + np.exp(-6)), 1 / (1 + np.exp(6))])
    cues = foreseen_cues(probable, RATE)
    moments = np.array([30.5, 70.5]) / RATE
    assert synchrony(cues, moments, 0, 4) == pytest.approx(1, abs=1e-3)
    others = [moments[:1], moments + 0.15, np.array([*moments, 2.2]), np.zeros(0)]
    assert all(synchrony(cues, other, 0, 4) < 0.9 for other in others)


def test_where_nothing_is_foreseen_silence_ranks_first(sight: Sight) -> None:
    cues = foreseen_cues(foreseen(sight, features()), RATE)
    assert synchrony(cues, np.zeros(0), 0, 4) == 1
    assert synchrony(cues, np.array([1.0]), 0, 4) == 0
