"""When motion changes, and what is in time with it: on pictures whose truth is known by construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioConditions,
    AudioDiT,
    Search,
    Segment,
    codec_preset,
    dit_preset,
    extend,
)
from moviegen_core import AudioClip, AudioLatent
from moviegen_runtime.media.cues import Cues, synchrony
from moviegen_runtime.media.motion import motion_changes
from moviegen_runtime.pipelines.ranking import rank_by_cues
from numpy.typing import NDArray
from torch import Tensor

SECONDS = 4.0
Place = Callable[[float], tuple[float, float]]
RATES = [8.0, 12.0, 24.0, 60.0]


def square(row: float, column: float, size: int = 12) -> NDArray[np.uint8]:
    """A light square on a dark field of 48 by 64, its edges between pixels."""

    def cover(first: float, length: int) -> NDArray[np.float64]:
        return np.clip(np.minimum(np.arange(length) + 1 - first, first + size - np.arange(length)), 0, 1)

    light = 30 + 200 * cover(row, 48)[:, None] * cover(column, 64)
    return np.repeat(light.round().astype(np.uint8)[..., None], 3, axis=2)


def film(
    fps: float, place: Callable[[float], tuple[float, float]]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    return ((index / fps, square(*place(index / fps))) for index in range(round(SECONDS * fps)))


def travel(time: float, begin: float, end: float) -> tuple[float, float]:
    return 20.0, 2 + 44 * min(max((time - begin) / (end - begin), 0), 1)


def bounce(time: float, first: float, period: float) -> tuple[float, float]:
    along = (time - first) / period % 1
    return 34 - 4 * 28 * along * (1 - along), 25.0


def strongest(changes: Cues, count: int) -> NDArray[np.float64]:
    """Peaks of strength, blurred as they are compared."""
    grid = np.arange(0, SECONDS, 0.01)
    curve = sum(
        strength * np.exp(-0.5 * ((grid - moment) / max(0.06, changes.apart / 2)) ** 2)
        for moment, strength in zip(changes.moments, changes.strengths, strict=True)
    )
    peaks = [i for i in range(1, len(grid) - 1) if curve[i - 1] < curve[i] >= curve[i + 1]]
    return np.sort(grid[sorted(peaks, key=lambda i: -curve[i])[:count]])


@pytest.mark.parametrize("fps", RATES)
def test_starts_and_stops_are_seen_when_they_are(fps: float) -> None:
    found = strongest(motion_changes(film(fps, partial(travel, begin=1.03, end=2.41))), 2)
    np.testing.assert_allclose(found, [1.03, 2.41], atol=max(0.05, 0.75 / fps))


@pytest.mark.parametrize("fps", RATES[1:])  # at 8 a second, three pairs of frames last half a bounce
def test_landings_are_in_time_with_themselves(fps: float) -> None:
    changes = motion_changes(film(fps, partial(bounce, first=0.63, period=0.9)))
    landings = np.array([0.63, 1.53, 2.43, 3.33])
    in_time = synchrony(changes, landings, 0, SECONDS)
    assert in_time > 0.5
    for shift in (-0.45, -0.25, 0.25, 0.45):
        assert synchrony(changes, landings + shift, 0, SECONDS) < in_time - 0.4


@pytest.mark.parametrize("fps", RATES)
def test_what_appears_is_one_moment(fps: float) -> None:
    frames = (
        (index / fps, square(20, 20) if index / fps >= 2.2 else square(20, 200))
        for index in range(round(SECONDS * fps))
    )
    changes = motion_changes(frames)
    assert strongest(changes, 1) == pytest.approx([2.2], abs=max(0.05, 0.75 / fps))
    assert changes.strengths[np.abs(changes.moments - 2.2) > 0.3].max() == 0


def test_a_later_soundtrack_is_less_in_time() -> None:
    changes = motion_changes(film(24, partial(travel, begin=1.0, end=2.4)))
    in_time = synchrony(changes, np.array([1.0, 2.4]), 0, SECONDS)
    late = [synchrony(changes, np.array([1.0, 2.4]) + shift, 0, SECONDS) for shift in (0.1, 0.2, 0.4)]
    assert in_time > 0.8
    assert in_time > late[0] > late[1] > late[2]
    assert in_time > synchrony(changes, np.array([1.0]), 0, SECONDS) > 0.4
    assert in_time > synchrony(changes, np.array([1.0, 1.6, 2.0, 2.4]), 0, SECONDS)


def test_only_what_lies_in_a_part_of_the_film_counts() -> None:
    changes = motion_changes(film(24, partial(travel, begin=1.0, end=3.0)))
    assert synchrony(changes, np.array([1.0, 3.7]), 0, 2) == pytest.approx(
        synchrony(changes, np.array([1.0]), 0, 2)
    )
    with pytest.raises(ValueError, match="must end after it begins"):
        synchrony(changes, np.zeros(0), 2, 2)


def test_a_still_film_asks_for_silence() -> None:
    for frames in (film(24, lambda _: (20, 20)), [(0.0, square(20, 20))], []):
        changes = motion_changes(frames)
        assert synchrony(changes, np.zeros(0), 0, SECONDS) == 1
        assert synchrony(changes, np.array([1.0]), 0, SECONDS) == 0


def test_of_several_draws_the_one_that_clicks_at_the_flash_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the search over draws; the codec's sound is a click when the latent says."""
    frames = np.zeros((96, 48, 64, 3), np.uint8)
    frames[36:] = 220  # at 1.5 s
    changes = motion_changes((place / 24, frame) for place, frame in enumerate(frames))
    assert strongest(changes, 1) == pytest.approx([1.5], abs=0.05)
    codec = AudioCodec(codec_preset("miniature").model_copy(update={"encoder_width": 2, "decoder_width": 16}))
    dit = AudioDiT(
        dit_preset("miniature").model_copy(update={"width": 8, "layers": 1, "heads": 2, "mlp_width": 8})
    )

    def clicking(latent: AudioLatent) -> AudioClip:
        samples = torch.zeros(1, 1, latent.num_samples)
        first = round(float(latent.values[0, 0, 0]) * latent.sample_rate)
        samples[..., first : first + 400] = torch.sin(torch.arange(400) * 0.3)
        return AudioClip(samples, latent.sample_rate)

    monkeypatch.setattr(codec, "decode", clicking)
    rank = rank_by_cues(codec, changes)
    whole = Segment(slice(0, 100), slice(0, 100))
    moments = [0.4, 1.5, 2.6]

    def draws(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model, conditions
        return torch.tensor(moments)[:, None, None].expand_as(noise)

    (kept,) = extend(
        dit,
        [whole],
        lambda frames: dit.null_conditions(1, frames.stop - frames.start),
        torch.Generator(),
        search=Search(candidates=3),
        score=rank,
        sampler=draws,
    )
    assert float(kept[0, 0, 0]) == pytest.approx(1.5)
    # A segment's own time begins where it does in the film.
    later = Segment(slice(25, 100), slice(25, 100))
    assert rank(torch.full((1, 32, 75), 0.5), later) > 0.8
