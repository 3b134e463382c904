"""A sound of any length, segment by segment, each the best of several draws (paper, section 6 and Fig. 27).

The paper names beam search over segments and prints neither numbers nor score; both are ours, and so is that
a segment is handed out as soon as it is decided, so that memory does not grow with the sound.

Legend: B draws, C latent channels, T latent frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import torch
from moviegen_core import AudioClip, AudioLatent
from torch import Tensor

from moviegen_audio.codec import AudioCodec
from moviegen_audio.conditions import AudioConditions
from moviegen_audio.model import AudioDiT
from moviegen_audio.sampling import ConditionsFn, sample
from moviegen_audio.segments import Segment


class Score(Protocol):
    """How good a draw of a segment is, for re-ranking."""

    def __call__(self, values: Tensor, segment: Segment) -> float:
        """A finite number, the higher the better.

        Args:
            values: (1, C, T) latents of what the segment sees: what is given stands beside what is made.
        """
        ...


class Sampler(Protocol):
    """From noise to latents, such as `sample`, or a `functools.partial` of it with other settings."""

    def __call__(self, model: AudioDiT, conditions: AudioConditions, noise: Tensor, /) -> Tensor:
        """Latents (B, C, T) of noise (B, C, T)."""
        ...


def score_sound(codec: AudioCodec, measure: Callable[[AudioClip, Segment], float]) -> Score:
    """A score of sounds, for latents of a codec, which decodes them in the precision of its weights.

    Args:
        measure: of the sound of all that the segment sees; the higher the better.
    """

    @torch.no_grad()
    def score(values: Tensor, segment: Segment) -> float:
        samples = values.shape[2] * codec.hop
        values = values.to(next(codec.parameters()).dtype)
        return measure(codec.decode(AudioLatent(values, codec.hop, samples, codec.sample_rate)), segment)

    return score


@dataclass(frozen=True)
class Search:
    """How much is drawn and kept.

    Args:
        candidates: draws of a segment, for each of the beams; 8 in the paper, for one segment.
        beams: best sequences of segments that are kept, by the sum of their scores.
        lag: segments after which the oldest one is decided: beams that do not begin like the best one end.

    Raises:
        ValueError: a number below 1, or a lag below 0.
    """

    candidates: int = 1
    beams: int = 1
    lag: int = 3

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.beams < 1 or self.lag < 0:
            raise ValueError(
                "candidates and beams must be at least 1, and the lag at least 0, "
                f"not {self.candidates}, {self.beams} and {self.lag}"
            )


@dataclass(frozen=True)
class _Beam:
    """A way to go on: its score, segments that are not handed out, and the last frames of all."""

    score: float
    pending: tuple[Tensor, ...]
    last: Tensor


def extend(
    model: AudioDiT,
    segments: Sequence[Segment],
    conditions: ConditionsFn,
    generator: torch.Generator,
    *,
    before: Tensor | None = None,
    after: Tensor | None = None,
    search: Search | None = None,
    score: Score | None = None,
    sampler: Sampler = sample,
) -> Iterator[Tensor]:
    """Latents (1, C, T) of each segment that is made, in order, as soon as they are decided.

    Alive are, besides what the caller keeps, `search.lag + 1` segments a beam and the draws of one at most.

    Args:
        segments: as `Segmenting.cut` gives them.
        conditions: of one sample; asked once a segment, for all that it sees. Given sound in them does not
            count.
        generator: draws the noise, on its own device.
        before: (1, C, T) what the first segment is given before; its last frames are taken.
        after: (1, C, T) what the last segment is given after; its first frames are taken.
        search: None: one draw a segment, and no score.
        score: of draws; needed where there is a choice.
        sampler: guidance, solver and steps; the paper's by default.

    Raises:
        ValueError: no segments, or not in their order, less sound given than they see, a choice without a
            score, conditions of other frames or of more than one sample, or a score that is not finite.
            Raised when the stream gets there.
    """
    search = search or Search()
    _check_order(segments)
    if score is None and search.candidates * search.beams > 1:
        raise ValueError("several candidates or beams need a score to choose by")
    _check_given("before", before, segments[0].before)
    _check_given("after", after, segments[-1].after)
    reach = [each.before for each in segments[1:]] + [0]  # frames that the next segment sees of what is there
    beams = [_Beam(0.0, (), torch.empty(1, 0, 0) if before is None else before)]
    for segment, kept in zip(segments, reach, strict=True):
        told = conditions(segment.seen)
        if (told.batch, told.frames) != (1, segment.frames):
            raise ValueError(
                f"conditions must be of one sample of {segment.frames} frames, "
                f"not of {told.batch} of {told.frames}"
            )
        grown: list[tuple[float, _Beam, Tensor]] = []
        for beam in beams:
            shown = replace(told, context=_context(told.context, segment, beam.last, after))
            draws_BCT = _draw(model, shown, search.candidates, generator, sampler)
            draws_BCT = _given_kept(draws_BCT, shown.context, segment)
            for values in torch.split(draws_BCT, 1):
                gain = 0.0 if score is None else _finite(score(values, segment))
                grown.append((beam.score + gain, beam, values))
            del draws_BCT, values
        grown.sort(key=lambda entry: entry[0], reverse=True)  # stable: of equals, the first drawn
        beams = [_grown(*entry, segment, kept) for entry in grown[: search.beams]]
        del grown, beam, shown, told
        while len(beams[0].pending) > search.lag or _agree(beams):
            oldest = beams[0].pending[0]
            beams = [replace(each, pending=each.pending[1:]) for each in beams if each.pending[0] is oldest]
            yield oldest
            del oldest
    pending = list(beams[0].pending)
    del beams
    while pending:
        yield pending.pop(0)


def _agree(beams: Sequence[_Beam]) -> bool:
    """Whether all begin with the same segment, which then is decided."""
    return bool(beams[0].pending) and all(each.pending[0] is beams[0].pending[0] for each in beams)


def _draw(
    model: AudioDiT, conditions: AudioConditions, count: int, generator: torch.Generator, sampler: Sampler
) -> Tensor:
    like, shape = conditions.context, (count, *conditions.context.shape[1:])
    noise = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32)
    noise = noise.to(like.device, torch.promote_types(like.dtype, torch.float32))
    return sampler(model, conditions.repeated(count) if count > 1 else conditions, noise)


def _context(like: Tensor, segment: Segment, last: Tensor, after: Tensor | None) -> Tensor:
    """(1, C, T) what is given in a segment, and 0 elsewhere."""
    context = torch.zeros_like(like)
    if segment.before:
        context[..., : segment.before] = last[..., -segment.before :]
    if segment.after and after is not None:
        context[..., -segment.after :] = after[..., : segment.after]
    return context


def _given_kept(draws_BCT: Tensor, context: Tensor, segment: Segment) -> Tensor:
    """The draws, with what is given where it is given."""
    values_BCT, end = draws_BCT.clone(), segment.inside.stop
    values_BCT[..., : segment.before] = context[..., : segment.before]
    values_BCT[..., end:] = context[..., end:]
    return values_BCT


def _grown(score: float, beam: _Beam, values: Tensor, segment: Segment, kept: int) -> _Beam:
    # Clones: a view would keep alive what it is cut from.
    made = values[..., segment.inside].clone()
    end = segment.inside.stop
    return _Beam(score, (*beam.pending, made), values[..., end - kept : end].clone())


def _finite(score: float) -> float:
    if not math.isfinite(score):
        raise ValueError(f"a score must be a finite number, not {score}")
    return float(score)


def _check_order(segments: Sequence[Segment]) -> None:
    if not segments:
        raise ValueError("there must be a segment to make")
    for one, other in pairwise(segments):
        if one.after or one.made.stop != other.made.start or one.seen.start > other.seen.start:
            raise ValueError("segments must follow each other, and only the last may see what comes after it")


def _check_given(name: str, values: Tensor | None, frames: int) -> None:
    given = 0 if values is None else values.shape[2]
    if given < frames:
        raise ValueError(f"{frames} latent frames must be given {name} what is made, not {given}")
