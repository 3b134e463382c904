"""A sound whose windows are sampled together, and the conditions of a part of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from moviegen_audio import AudioConditions, AudioDiT, AudioDiTConfig, FrameFeatures, sample, sample_windows
from moviegen_core import TextContext
from moviegen_dit import Blend, TextEncoderSpec, Windows
from torch import Tensor

CHANNELS = 3
CONFIG = AudioDiTConfig(
    width=8,
    layers=2,
    heads=2,
    mlp_width=8,
    text_encoder=TextEncoderSpec(name="t5", width=4),
    video_width=5,
    latent_channels=CHANNELS,
)


class Known(AudioDiT):
    """Moves straight to the first channels of what the video adds."""

    def forward(self, x: Tensor, t: Tensor, conditions: AudioConditions) -> Tensor:
        target = conditions.video[..., :CHANNELS].transpose(1, 2)
        return (target - x) / (1 - t)[:, None, None]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def model() -> AudioDiT:
    torch.manual_seed(0)
    made = AudioDiT(CONFIG).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def prepared(model: AudioDiT, frames: int, batch: int = 1) -> AudioConditions:
    text = TextContext(randn(batch, 4, 4), torch.ones(batch, 4, dtype=torch.bool), "t5")
    return model.prepare(frames, text=text, video=FrameFeatures(randn(batch, 7, 5), fps=8.0))


@pytest.mark.parametrize("blend", ["triangle", "uniform"])
@pytest.mark.parametrize("length", [12, 30])
def test_one_window_is_plain_sampling_bit_for_bit(model: AudioDiT, blend: Blend, length: int) -> None:
    whole, noise = prepared(model, 12, 2), randn(2, CHANNELS, 12)
    windows = Windows(12, length, 4, blend)
    given = sample_windows(model, whole.span, noise, windows, steps=3)
    assert torch.equal(given, sample(model, whole, noise, steps=3))


@pytest.mark.parametrize("blend", ["triangle", "uniform"])
@pytest.mark.parametrize("frames", [1, 9, 10, 23, 60])
def test_windows_that_know_the_target_make_it(frames: int, blend: Blend) -> None:
    model = Known(CONFIG).double()
    whole = replace(model.null_conditions(1, frames), video=randn(1, frames, 8))
    windows = Windows(frames, 9, 4, blend)
    given = sample_windows(model, whole.span, randn(1, CHANNELS, frames), windows, guidance=1.0, steps=3)
    expected = whole.video[..., :CHANNELS].transpose(1, 2)
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("blend", "jump"), [("triangle", 1 / 5), ("uniform", 1 / 2)])
def test_windows_that_disagree_are_blended_by_their_weights(blend: Blend, jump: float) -> None:
    """Each window goes to its own number; where they overlap, it turns into the next one's, step by step."""
    model, windows = Known(CONFIG).double(), Windows(29, 9, 4, blend)
    numbers = {span.start: float(index) for index, span in enumerate(windows.spans)}

    def told(frames: slice) -> AudioConditions:
        none = model.null_conditions(1, 9)
        return replace(none, video=torch.full_like(none.video, numbers[frames.start]))

    given = sample_windows(model, told, randn(1, CHANNELS, 29), windows, guidance=1.0, steps=2)
    expected = torch.zeros(29, dtype=torch.float64)
    for index, (span, weights) in enumerate(zip(windows.spans, windows.weights(), strict=True)):
        expected[span] += index * weights
    torch.testing.assert_close(given[0, 0], expected, rtol=1e-12, atol=1e-12)
    assert given[0, 0].diff().abs().max().item() == pytest.approx(jump)


def test_all_windows_are_asked_at_every_evaluation(model: AudioDiT) -> None:
    """Together, and not one after the other: 2 steps of midpoint, 4 times."""
    whole, windows, asked = prepared(model, 24), Windows(24, 9, 4), []

    def told(frames: slice) -> AudioConditions:
        asked.append(frames)
        return whole.span(frames)

    sample_windows(model, told, randn(1, CHANNELS, 24), windows, steps=2)
    assert asked == 4 * list(windows.spans)


def test_what_does_not_fit_the_windows_is_refused(model: AudioDiT) -> None:
    whole, windows = prepared(model, 24), Windows(24, 9, 4)
    with pytest.raises(ValueError, match="cut 24 latent frames, not 23"):
        sample_windows(model, whole.span, randn(1, CHANNELS, 23), windows)
    with pytest.raises(ValueError, match="as many frames, not of 9 and 24"):
        sample_windows(model, lambda _: whole, randn(1, CHANNELS, 24), windows)
    with pytest.raises(ValueError, match="of as many samples"):
        sample_windows(model, whole.span, randn(2, CHANNELS, 24), windows)


def test_conditions_of_a_part_are_those_of_its_video(model: AudioDiT) -> None:
    """At a frame rate that does not divide that of the sound, from any frame on."""
    video = FrameFeatures(randn(1, 40, 5), fps=11.0)
    whole = model.prepare(80, video=video)
    for frames in (slice(0, 80), slice(7, 31), slice(33, 34), slice(70, 80)):
        length, shown = frames.stop - frames.start, video.span(frames, 25.0)
        assert torch.equal(shown.resampled(length, 25.0), video.resampled(80, 25.0)[:, frames])
        part = model.prepare(length, video=shown)
        torch.testing.assert_close(part.video, whole.span(frames).video, rtol=1e-12, atol=1e-12)
        assert part.context.shape == whole.span(frames).context.shape


@pytest.mark.parametrize("frames", [slice(-1, 4), slice(4, 4), slice(0, 25), slice(5, 2)])
def test_a_part_that_is_not_there_is_refused(model: AudioDiT, frames: slice) -> None:
    with pytest.raises(ValueError, match="these conditions are of 24 frames: there are none from"):
        prepared(model, 24).span(frames)


def test_repeated_conditions_are_those_of_each_sample_in_a_row(model: AudioDiT) -> None:
    whole, x, t = prepared(model, 6, 2), randn(2, CHANNELS, 6), torch.tensor([0.2, 0.7], dtype=torch.float64)
    once = model(x, t, whole)
    thrice = model(x.repeat_interleave(3, 0), t.repeat_interleave(3), whole.repeated(3))
    torch.testing.assert_close(thrice, once.repeat_interleave(3, 0), rtol=1e-12, atol=1e-12)
