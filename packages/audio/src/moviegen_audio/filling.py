"""A gap in a sound filled, and a sound continued, by what is before and after it (paper, section 6).

What is given stays as it is, sample by sample. The sound that is made does not meet it exactly, for a codec
does not either; so the first moments of what is made fade in from the given sound's reflection at the border,
and the last ones fade out into it. The paper is silent on this; our choice.

Legend: C channels of sound, N samples, F samples of a fade.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from moviegen_core import AudioClip
from torch import Tensor

from moviegen_audio.codec import AudioCodec, reflection
from moviegen_audio.segments import Segment, Segmenting
from moviegen_audio.streaming import decode_values


class Maker(Protocol):
    """What makes the latents: `functools.partial` of `extend`, with model, conditions and generator."""

    def __call__(
        self, *, segments: Sequence[Segment], before: Tensor | None, after: Tensor | None
    ) -> Iterator[Tensor]:
        """Latents (1, C, T) of what each segment makes; see `extend`."""
        ...


def fill_gap(
    codec: AudioCodec,
    clip: AudioClip,
    start: float,
    stop: float,
    make: Maker,
    *,
    segmenting: Segmenting | None = None,
    fade: float = 0.01,
) -> Iterator[AudioClip]:
    """The same sound with other samples from second `start` to second `stop`, in pieces.

    What stood in the gap is not read. Latent frames that lie in it by a part are made whole.

    Args:
        clip: one sound, of any channels that `downmix` reads; what is made is the same in all of them.
        make: is told of latent frames counted from the beginning of the sound.
        segmenting: how much is shown on either side, and made at once; None: the paper's.
        fade: seconds at both ends of the gap in which given and made sound are mixed.

    Raises:
        ValueError: a gap that is empty or not within the sound, a context that is longer than the sound, a
            negative fade, several sounds, or what codec and `make` refuse.
    """
    if not 0 <= start < stop <= clip.seconds:
        raise ValueError(
            f"a gap must have a length and lie within the sound, from 0 to {clip.seconds:g} s, "
            f"not from {start:g} to {stop:g} s"
        )
    begin, end = (round(second * clip.sample_rate) for second in (start, stop))
    return _filled(codec, clip, slice(begin, end), make, segmenting or Segmenting(), fade)


def continue_sound(
    codec: AudioCodec,
    clip: AudioClip,
    seconds: float,
    make: Maker,
    *,
    segmenting: Segmenting | None = None,
    fade: float = 0.01,
) -> Iterator[AudioClip]:
    """A sound, and as many seconds after it, in pieces; the rest is as in `fill_gap`.

    Raises:
        ValueError: as there, or seconds that are not positive.
    """
    if not 0 < seconds < math.inf:
        raise ValueError(f"a sound must be continued by a positive number of seconds, not {seconds:g}")
    end = clip.num_samples + round(seconds * clip.sample_rate)
    return _filled(codec, clip, slice(clip.num_samples, end), make, segmenting or Segmenting(), fade)


def _filled(
    codec: AudioCodec, clip: AudioClip, gap: slice, make: Maker, segmenting: Segmenting, fade: float
) -> Iterator[AudioClip]:
    codec.check_rate(clip.sample_rate)
    if clip.batch != 1:
        raise ValueError(f"one sound must be given, not {clip.batch}")
    if not (math.isfinite(fade) and fade >= 0):
        raise ValueError(f"a fade must be of seconds from 0 on, not {fade}")
    if gap.start == gap.stop:
        raise ValueError("a gap must be a sample long at least")
    frame_rate = codec.sample_rate / codec.hop
    context = segmenting.context_frames(frame_rate)
    if context * codec.hop > clip.num_samples:
        raise ValueError(
            f"the context of {segmenting.context:g} s is longer than the sound of {clip.seconds:g} s"
        )
    first, last = gap.start // codec.hop, -(-gap.stop // codec.hop)
    shown = max(first - context, 0)
    before = _encoded(codec, clip, slice(shown, first))
    after = _encoded(codec, clip, slice(last, last + context))
    segments = segmenting.cut(first, last, frame_rate, before=_frames(before), after=_frames(after))
    made = make(segments=segments, before=before, after=after)
    latents = chain([] if before is None else [before], made, [] if after is None else [after])
    total = (last + _frames(after) - shown) * codec.hop
    sound = _part(decode_values(codec, latents, total), gap.start - shown * codec.hop, gap.stop - gap.start)
    return _joined(clip, gap, sound, round(fade * clip.sample_rate))


def _encoded(codec: AudioCodec, clip: AudioClip, frames: slice) -> Tensor | None:
    """Latents of some frames of a sound, coded as if they were all of it; None if it has none of them."""
    samples = clip.samples[..., frames.start * codec.hop : frames.stop * codec.hop]
    if samples.shape[-1] == 0:
        return None
    with torch.no_grad():
        return codec.encode(AudioClip(samples, clip.sample_rate)).values


def _frames(values: Tensor | None) -> int:
    return 0 if values is None else values.shape[2]


def _part(clips: Iterator[AudioClip], start: int, length: int) -> Iterator[Tensor]:
    """Samples of a sound that comes in pieces, from `start` on."""
    at = -start
    for clip in clips:
        samples = clip.samples[..., max(-at, 0) : max(length - at, 0)]
        at += clip.num_samples
        if samples.shape[-1]:
            yield samples
        if at >= length:
            return


@dataclass(frozen=True)
class _Side:
    """A given sound's reflection into the gap: (1, C, F) from sample `at` on, and its weights (F,)."""

    at: int
    samples: Tensor
    weights: Tensor


def _joined(clip: AudioClip, gap: slice, sound: Iterator[Tensor], fade: int) -> Iterator[AudioClip]:
    """The given sound up to the gap, what is made, and the given sound after it."""
    rate, length = clip.sample_rate, gap.stop - gap.start
    if gap.start:
        yield AudioClip(clip.samples[..., : gap.start], rate)
    sides, at = _sides(clip.samples, gap, min(fade, length // 2)), 0
    for piece in sound:
        samples = piece.to(clip.samples).repeat(1, clip.samples.shape[1], 1)
        for side in sides:
            low, high = max(at, side.at), min(at + samples.shape[-1], side.at + len(side.weights))
            if low < high:
                own, others = slice(low - at, high - at), slice(low - side.at, high - side.at)
                samples[..., own] = torch.lerp(
                    samples[..., own], side.samples[..., others], side.weights[others]
                )
        at += samples.shape[-1]
        yield AudioClip(samples, rate)
    if gap.stop < clip.num_samples:
        yield AudioClip(clip.samples[..., gap.stop :], rate)


def _sides(given_1CN: Tensor, gap: slice, fade: int) -> list[_Side]:
    sides = []
    turns = torch.arange(1, fade + 1, dtype=torch.float64, device=given_1CN.device) * (math.pi / (fade + 1))
    falling = (0.5 + 0.5 * turns.cos()).to(given_1CN.dtype)
    before = given_1CN[..., max(gap.start - fade - 1, 0) : gap.start]
    after = given_1CN[..., gap.stop : gap.stop + fade + 1]
    if before.shape[-1] and fade:
        sides.append(_Side(0, reflection(before, fade), falling))
    if after.shape[-1] and fade:
        turned = reflection(after.flip(-1), fade).flip(-1)
        sides.append(_Side(gap.stop - gap.start - fade, turned, falling.flip(0)))
    return sides
