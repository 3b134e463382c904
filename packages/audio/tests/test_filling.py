"""Gaps filled and sounds continued: what is given stays, and meets what is made without a click."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    AudioDiT,
    AudioDiTConfig,
    Segment,
    Segmenting,
    continue_sound,
    decode_values,
    extend,
    fill_gap,
    sample,
)
from moviegen_core import AudioClip, AudioLatent
from moviegen_dit import TextEncoderSpec
from torch import Tensor

RATE, HOP = 8000, 8
CONFIG = AudioCodecConfig(
    sample_rate=RATE, rates=(2, 4), encoder_width=4, decoder_width=8, hidden_width=8, latent_channels=3
)
SHORT = Segmenting(length=0.03, context=0.01)  # 30 latent frames of 1 ms, of which 10 are given
FADE = 0.002  # 16 samples


@pytest.fixture(scope="module")
def codec() -> AudioCodec:
    torch.manual_seed(0)
    return AudioCodec(CONFIG).double().eval()


def sound(samples: int = 400, channels: int = 2) -> AudioClip:
    random = torch.Generator().manual_seed(1)
    noise = torch.rand(1, channels, samples, generator=random, dtype=torch.float64)
    return AudioClip(noise / 5 + 0.7, RATE)


def numbers(segments: Sequence[Segment], before: Tensor | None, after: Tensor | None) -> Iterator[Tensor]:
    """Latents of noise, the same at the same frames however they are cut."""
    del before, after
    noise = torch.randn(1, 3, 4000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for segment in segments:
        yield noise[..., segment.made]


def whole(clips: Iterator[AudioClip]) -> Tensor:
    return torch.cat([clip.samples for clip in clips], dim=-1)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("start", "stop"), [(83, 301), (160, 240), (0, 100), (250, 400), (123, 124), (5, 398), (0, 400)]
)
def test_a_gap_is_filled_and_the_rest_is_as_it_was(
    codec: AudioCodec, start: int, stop: int, channels: int
) -> None:
    """What stood in the gap is not read: here nothing did."""
    given = sound(channels=channels)
    broken = given.samples.clone()
    broken[..., start:stop] = math.nan
    filled = fill_gap(
        codec, AudioClip(broken, RATE), start / RATE, stop / RATE, numbers, segmenting=SHORT, fade=FADE
    )
    made = whole(filled)
    assert torch.equal(made[..., :start], given.samples[..., :start])
    assert torch.equal(made[..., stop:], given.samples[..., stop:])
    assert made.shape == given.samples.shape
    assert bool(made.isfinite().all())
    assert not torch.equal(made, given.samples)


def test_inside_of_the_fades_stands_what_the_codec_makes_of_given_and_made_latents(codec: AudioCodec) -> None:
    given, start, stop = sound(), 83, 301
    first, last = 10, 38  # frames that lie in the gap, or by a part
    before = codec.encode(AudioClip(given.samples[..., : first * HOP], RATE)).values
    after = codec.encode(AudioClip(given.samples[..., last * HOP : (last + 10) * HOP], RATE)).values
    made = torch.cat(list(numbers([Segment(slice(0, 48), slice(first, last))], None, None)), dim=2)
    latent = torch.cat([before, made, after], dim=2)
    expected = codec.decode(AudioLatent(latent, HOP, 48 * HOP, RATE)).samples[..., start + 16 : stop - 16]
    found = whole(fill_gap(codec, given, start / RATE, stop / RATE, numbers, segmenting=SHORT, fade=FADE))
    torch.testing.assert_close(
        found[..., start + 16 : stop - 16], expected.expand(1, 2, -1), rtol=1e-9, atol=1e-9
    )


def test_sounds_meet_without_a_click(codec: AudioCodec) -> None:
    """A slow wave, and latents that sound of nothing like it: a jump without fades, none with them."""
    wave = 0.9 * torch.sin(torch.arange(400, dtype=torch.float64) / 60 + 1)
    clip, steps = AudioClip(wave.expand(1, 1, -1), RATE), {}
    for fade in (0.0, 0.004):
        made = whole(fill_gap(codec, clip, 0.0125, 0.0375, numbers, segmenting=SHORT, fade=fade)).flatten()
        steps[fade] = max((made[100] - made[99]).abs().item(), (made[300] - made[299]).abs().item())
    assert steps[0.0] > 0.3
    assert steps[0.004] < 0.04  # the wave itself moves by 0.015 a sample


def test_a_gap_filled_in_small_pieces_is_the_same(codec: AudioCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces may end within a fade."""
    made = []
    for values in (2**18, 1):
        monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", values)
        made.append(list(fill_gap(codec, sound(), 0.0125, 0.0375, numbers, segmenting=SHORT, fade=0.004)))
    assert len(made[1]) > len(made[0])
    torch.testing.assert_close(whole(iter(made[1])), whole(iter(made[0])), rtol=1e-9, atol=1e-9)


def test_segments_see_the_given_sound_at_both_ends(codec: AudioCodec) -> None:
    """All the way through a model: its first and last segments are given the latents of what is there."""
    given, seen = sound(), []
    torch.manual_seed(0)
    model = AudioDiT(
        AudioDiTConfig(
            width=8,
            layers=1,
            heads=2,
            mlp_width=8,
            text_encoder=TextEncoderSpec(name="t5", width=4),
            video_width=4,
            latent_channels=3,
            frame_rate=1000.0,
        )
    ).double()

    def watched(model: AudioDiT, conditions: object, noise: Tensor) -> Tensor:
        seen.append(conditions.context)
        return sample(model, conditions, noise, steps=1)

    make = partial(
        extend,
        model,
        conditions=model.null_conditions(1, 50).span,
        generator=torch.Generator().manual_seed(0),
        sampler=watched,
    )
    pieces = list(fill_gap(codec, given, 0.0125, 0.0375, make, segmenting=SHORT, fade=FADE))
    assert sum(piece.num_samples for piece in pieces) == 400
    before = codec.encode(AudioClip(given.samples[..., 16:96], RATE)).values
    after = codec.encode(AudioClip(given.samples[..., 304:384], RATE)).values
    assert len(seen) == 2
    torch.testing.assert_close(seen[0][..., :10], before)
    assert not seen[0][..., 10:].any()
    torch.testing.assert_close(seen[1][..., -10:], after)


def test_a_continued_sound_begins_with_it(codec: AudioCodec) -> None:
    given = sound(401)
    made = whole(continue_sound(codec, given, 0.05, numbers, segmenting=SHORT, fade=FADE))
    assert made.shape == (1, 2, 801)
    assert torch.equal(made[..., :401], given.samples)
    assert bool((made[..., 401:].abs() < 1).all())


def test_a_sound_is_continued_as_it_is_asked_for(codec: AudioCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour is promised, and no more of it made than is taken."""
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", 64)
    made = []

    def noted(segments: Sequence[Segment], before: Tensor | None, after: Tensor | None) -> Iterator[Tensor]:
        del before, after
        for segment in segments:
            made.append(segment)
            yield torch.zeros(1, 3, segment.made.stop - segment.made.start, dtype=torch.float64)

    stream = continue_sound(codec, sound(), 3600.0, noted, segmenting=Segmenting(10.0, 0.01), fade=FADE)
    assert sum(piece.num_samples for piece in islice(stream, 3)) > 400
    assert len(made) == 1


def test_values_of_any_pieces_are_the_sound_of_the_whole(codec: AudioCodec) -> None:
    values = torch.randn(1, 3, 20, dtype=torch.float64)
    for samples in (153, 160):
        expected = codec.decode(AudioLatent(values, HOP, samples, RATE)).samples
        pieces = torch.split(values, [1, 12, 7], dim=2)
        torch.testing.assert_close(
            whole(decode_values(codec, pieces, samples)), expected, rtol=1e-9, atol=1e-9
        )
    for samples, count in ((152, "not more"), (161, "not fewer")):
        with pytest.raises(
            ValueError, match=f"{samples} samples must have {-(-samples // 8)} frames, {count}"
        ):
            whole(decode_values(codec, torch.split(values, 1, dim=2), samples))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start": -0.01}, "within the sound, from 0 to 0.05 s, not from -0.01 to 0.04 s"),
        ({"start": 0.04}, "must have a length"),
        ({"start": 0.045}, "must have a length"),
        ({"start": 0.06, "stop": 0.07}, "lie within the sound"),
        ({"stop": 0.051}, "lie within the sound"),
        ({"start": math.nan}, "not from nan"),
        ({"start": 0.01, "stop": 0.01001}, "a sample long at least"),
        ({"segmenting": None}, "the context of 5 s is longer than the sound of 0.05 s"),
        ({"fade": -0.1}, "a fade must be of seconds from 0 on, not -0.1"),
        ({"fade": math.inf}, "a fade must be of seconds from 0 on, not inf"),
        ({"clip": AudioClip(torch.zeros(2, 1, 400), RATE)}, "one sound must be given, not 2"),
        ({"clip": AudioClip(torch.zeros(1, 1, 800), 16_000)}, "resample"),
        ({"clip": AudioClip(torch.zeros(1, 3, 400).double(), RATE)}, "must have 1 channel, 2"),
    ],
)
def test_gaps_that_cannot_be_are_refused(
    codec: AudioCodec, changes: dict[str, object], sentence: str
) -> None:
    settings = {"clip": sound(), "start": 0.01, "stop": 0.04, "segmenting": SHORT} | changes
    with pytest.raises(ValueError, match=sentence):
        fill_gap(codec, make=numbers, **settings)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_continuation_of_no_length_is_refused(codec: AudioCodec, seconds: float) -> None:
    with pytest.raises(ValueError, match="by a positive number of seconds"):
        continue_sound(codec, sound(), seconds, numbers, segmenting=SHORT)
