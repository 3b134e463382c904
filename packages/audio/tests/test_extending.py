"""Segments one after the other: what flows from one to the next, what is chosen, and what stays in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    AudioConditions,
    AudioDiT,
    AudioDiTConfig,
    Search,
    Segment,
    Segmenting,
    extend,
    sample,
    score_sound,
)
from moviegen_core import AudioClip
from moviegen_dit import TextEncoderSpec
from torch import Tensor

CHANNELS = 3
CONFIG = AudioDiTConfig(
    width=8,
    layers=1,
    heads=2,
    mlp_width=8,
    text_encoder=TextEncoderSpec(name="t5", width=4),
    video_width=4,
    latent_channels=CHANNELS,
    frame_rate=1.0,
)


class Known(AudioDiT):
    """Moves straight to a target that follows from the conditions."""

    def __init__(self, target: Callable[[AudioConditions], Tensor]) -> None:
        super().__init__(CONFIG)
        self.target = target
        self.double()

    def forward(self, x: Tensor, t: Tensor, conditions: AudioConditions) -> Tensor:
        return (self.target(conditions) - x) / (1 - t)[:, None, None]


plain = partial(sample, guidance=1.0, steps=3)
"""Without guidance, so that nothing but the conditions counts."""


def by_video(conditions: AudioConditions) -> Tensor:
    """The first channels of what the video adds."""
    return conditions.video[..., :CHANNELS].transpose(1, 2)


def counting(conditions: AudioConditions) -> Tensor:
    """What is given, and from its last value on one more at each frame; from 1 where nothing is given."""
    context = conditions.context
    frames = torch.arange(1, context.shape[2] + 1, dtype=context.dtype)
    given = (context != 0).sum(2, keepdim=True)
    last = context.gather(2, (given - 1).clamp(min=0))
    return torch.where(frames <= given, context, last + frames - given)


def conditions(frames: int, seed: int = 0) -> AudioConditions:
    none = Known(by_video).null_conditions(1, frames)
    random = torch.Generator().manual_seed(seed)
    return replace(none, video=torch.randn(none.video.shape, generator=random, dtype=torch.float64))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def segments(frames: int, length: float = 9.0, context: float = 3.0) -> tuple[Segment, ...]:
    return Segmenting(length, context).cut(0, frames, 1.0)


@pytest.mark.parametrize("frames", [1, 9, 10, 40, 41, 97])
def test_segments_of_a_known_target_are_the_target(frames: int) -> None:
    whole = conditions(frames)
    parts = list(extend(Known(by_video), segments(frames), whole.span, generator(), sampler=plain))
    torch.testing.assert_close(torch.cat(parts, dim=2), by_video(whole), rtol=1e-12, atol=1e-12)


def test_each_segment_goes_on_from_the_last_frames_of_the_one_before() -> None:
    whole = conditions(40)
    parts = list(extend(Known(counting), segments(40), whole.span, generator(), sampler=plain))
    assert len(parts) > 3
    torch.testing.assert_close(
        torch.cat(parts, dim=2), torch.arange(1.0, 41.0, dtype=torch.float64).expand(1, CHANNELS, -1)
    )


def test_given_sound_is_continued_and_joined_by_the_segments_at_its_ends() -> None:
    """Each draw is asked for with the context's frames alone, and scored with them in their places."""
    before = torch.full((1, CHANNELS, 7), 2.0, dtype=torch.float64)
    after = torch.full((1, CHANNELS, 6), 3.0, dtype=torch.float64)
    parts = Segmenting(9.0, 3.0).cut(7, 17, 1.0, before=7, after=6)
    seen, scored = [], []

    def noted(_: AudioDiT, told: AudioConditions, noise: Tensor) -> Tensor:
        seen.append(told.context[0, 0].tolist())
        return torch.ones_like(noise)

    def score(values: Tensor, segment: Segment) -> float:
        scored.append((values[0, 0].tolist(), segment))
        return 0.0

    list(
        extend(
            Known(by_video),
            parts,
            conditions(30).span,
            generator(),
            before=before,
            after=after,
            score=score,
            sampler=noted,
        )
    )
    n = [each.made.stop - each.made.start for each in parts]
    assert seen == [[2.0] * 3 + [0.0] * n[0], [1.0] * 3 + [0.0] * n[1], [1.0] * 3 + [0.0] * n[2] + [3.0] * 3]
    assert [values for values, _ in scored] == [
        [2.0] * 3 + [1.0] * n[0],
        [1.0] * (3 + n[1]),
        [1.0] * (3 + n[2]) + [3.0] * 3,
    ]
    assert [segment for _, segment in scored] == list(parts)


def test_a_half_precision_model_makes_latents_in_single_precision() -> None:
    model = AudioDiT(CONFIG).to(torch.bfloat16)
    told = model.null_conditions(1, 40)
    parts = list(extend(model, segments(40), told.span, generator(), sampler=plain))
    assert {part.dtype for part in parts} == {torch.float32}


@pytest.mark.parametrize("search", [None, Search(1, 1), Search(1, 1, lag=0)])
def test_one_draw_of_one_segment_is_plain_sampling_bit_for_bit(search: Search | None) -> None:
    torch.manual_seed(0)
    model = AudioDiT(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    whole = replace(model.null_conditions(1, 9), video=torch.randn(1, 9, 8))
    noise = torch.randn(1, CHANNELS, 9, generator=generator())
    settings = partial(sample, guidance=2.0, steps=3)
    (given,) = extend(model, segments(9), whole.span, generator(), search=search, sampler=settings)
    assert torch.equal(given, settings(model, whole, noise))


def test_the_best_draw_of_a_segment_is_kept() -> None:
    noise = torch.randn(8, CHANNELS, 9, generator=generator())

    def as_it_is(_: AudioDiT, told: AudioConditions, noise: Tensor) -> Tensor:
        assert told.batch == 8
        return noise

    def loudest(values: Tensor, segment: Segment) -> float:
        del segment
        return float(values.square().mean())

    (given,) = extend(
        Known(by_video),
        segments(9),
        conditions(9).span,
        generator(),
        search=Search(candidates=8),
        score=loudest,
        sampler=as_it_is,
    )
    best = noise.square().mean((1, 2)).argmax()
    torch.testing.assert_close(given[0], noise[best].double())


def draws_of(path: dict[str, float], lag: int, beams: int) -> str:
    """The path that is found, of two draws "a" and "b" a segment; `path` scores what they spell so far.

    A draw is a number in its frames: that of the path so far, then one more binary digit.
    """

    def spelt(values: Tensor) -> str:
        return bin(int(values[0, 0, -1]))[3:].replace("0", "a").replace("1", "b")

    def two(_: AudioDiT, told: AudioConditions, noise: Tensor) -> Tensor:
        so_far = told.context[:, :, :1].clamp(min=1.0)
        return (2 * so_far + torch.arange(2.0)[:, None, None]).expand(noise.shape).clone()

    parts = Segmenting(3.0, 1.0).cut(0, 7, 1.0)
    assert len(parts) == 3
    found = list(
        extend(
            Known(by_video),
            parts,
            conditions(7).span,
            generator(),
            search=Search(2, beams, lag),
            score=lambda values, _: path.get(spelt(values), 0.0),
            sampler=two,
        )
    )
    return "".join(spelt(each)[-1] for each in found)


def test_beams_find_what_is_best_in_the_end_and_one_beam_does_not() -> None:
    """ "a" looks better at first, "bb" is better in the end; a lag of 0 decides too early."""
    path = {"a": 1.0, "aa": 0.5, "bb": 3.0, "bba": 1.0, "aab": 0.1}
    assert draws_of(path, lag=3, beams=1) == "aab"
    assert draws_of(path, lag=0, beams=2) == "aab"
    assert draws_of(path, lag=1, beams=2) == "bba"
    assert draws_of(path, lag=3, beams=2) == "bba"


@pytest.mark.parametrize("search", [Search(), Search(3, 2, lag=2), Search(2, 3, lag=0)])
def test_latents_alive_do_not_grow_with_the_sound(search: Search) -> None:
    """Conditions are asked for as the sound is taken, and no segment stays alive longer than the lag."""
    parts, asked, alive = segments(400), [], []
    random = torch.Generator().manual_seed(0)

    def noted(frames: slice) -> AudioConditions:
        asked.append(frames)
        return conditions(frames.stop - frames.start)

    stream = extend(
        Known(by_video),
        parts,
        noted,
        generator(),
        search=search,
        score=lambda *_: float(torch.rand((), generator=random)),
        sampler=plain,
    )
    for index, part in enumerate(stream):
        assert part.shape[2] == parts[index].made.stop - parts[index].made.start
        assert len(asked) <= index + search.lag + 1
        alive.append(weakref.ref(part))
        del part
        assert sum(each() is not None for each in alive) <= 1
    assert len(alive) == len(asked) == len(parts) > 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_score_of_sounds_hears_what_the_codec_makes(dtype: torch.dtype) -> None:
    sizes = {"rates": (2, 4), "encoder_width": 4, "decoder_width": 8, "hidden_width": 8}
    codec = AudioCodec(AudioCodecConfig(sample_rate=8000, latent_channels=CHANNELS, **sizes)).eval()
    codec = codec.to(dtype)
    heard: list[AudioClip] = []

    def measure(clip: AudioClip, segment: Segment) -> float:
        heard.append(clip)
        return float(segment.made.stop)

    values = torch.randn(1, CHANNELS, 4)
    assert score_sound(codec, measure)(values, Segment(slice(0, 4), slice(1, 4))) == 4.0
    assert (heard[0].samples.shape, heard[0].samples.dtype) == ((1, 1, 32), dtype)
    assert not heard[0].samples.requires_grad


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"segments": ()}, "there must be a segment"),
        ({"segments": segments(40)[::2]}, "segments must follow each other"),
        ({"segments": segments(40)[1:]}, "3 latent frames must be given before what is made, not 0"),
        (
            {"segments": Segmenting(9.0, 3.0).cut(0, 4, 1.0, after=4), "after": torch.zeros(1, CHANNELS, 2)},
            "3 latent frames must be given after what is made, not 2",
        ),
        ({"search": Search(candidates=2)}, "need a score"),
        ({"search": Search(beams=2)}, "need a score"),
        ({"score": lambda *_: float("nan")}, "a score must be a finite number, not nan"),
        ({"conditions": lambda _: conditions(5)}, "of one sample of 9 frames, not of 1 of 5"),
        (
            {"conditions": lambda _: conditions(9).repeated(2)},
            "of one sample of 9 frames, not of 2 of 9",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(changes: dict[str, object], sentence: str) -> None:
    settings = {"segments": segments(9), "conditions": conditions(9).span, "sampler": plain} | changes
    with pytest.raises(ValueError, match=sentence):
        list(extend(Known(by_video), generator=generator(), **settings))


@pytest.mark.parametrize("numbers", [(0, 1, 3), (1, 0, 3), (1, 1, -1)])
def test_a_search_that_cannot_be_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1, and the lag at least 0"):
        Search(*numbers)
