"""Sounds that come in pieces, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from moviegen_core import AudioClip, AudioLatent
from torch import Tensor

from moviegen_audio.codec import AudioCodec
from moviegen_audio.downmix import downmix


@torch.no_grad()
def _next(stream: Iterator[Tensor]) -> Tensor | None:
    """Without gradients as far as the stream goes; a generator's own block would reach into its caller."""
    return next(stream, None)


def encode_stream(codec: AudioCodec, clips: Iterable[AudioClip]) -> Iterator[AudioLatent]:
    """Latents of a sound that comes in pieces, as soon as what they depend on is there.

    Together they are the latent that `codec.encode` makes of the whole sound.

    Args:
        clips: consecutive pieces of one sound, of any lengths; none make no latents.

    Raises:
        ValueError: a piece differs from the first in batch or sample rate, or `codec.encode` would refuse it.
            Raised when the stream gets there.
    """
    total = 0

    def samples() -> Iterator[Tensor]:
        nonlocal total
        batch = None
        for clip in clips:
            codec.check_rate(clip.sample_rate)
            if batch not in (None, clip.batch):
                raise ValueError(
                    f"pieces of one sound must have one batch size, not {batch} and {clip.batch}"
                )
            batch = clip.batch
            total += clip.num_samples
            yield downmix(clip).samples
            del clip

    parts = (codec.normalise(posterior.mean) for posterior in codec.posterior_stream(samples()))
    frames = 0
    while (values := _next(parts)) is not None:
        start, frames = frames * codec.hop, frames + values.shape[-1]
        # Only at the end do latents stand for more than what has come.
        yield AudioLatent(values, codec.hop, min(frames * codec.hop, total) - start, codec.sample_rate)


def decode_stream(codec: AudioCodec, latents: Iterable[AudioLatent]) -> Iterator[AudioClip]:
    """Pieces of the sound whose latent comes in pieces; together they are what `codec.decode` makes of it.

    Args:
        latents: consecutive pieces of one latent, of any lengths; none make no clips. Only the last may stand
            for fewer samples than its decoder makes.

    Raises:
        ValueError: a piece differs from the first in batch, a piece follows one that stands for fewer
            samples, or `codec.decode` would refuse it. Raised when the stream gets there.
    """
    total = 0

    def values() -> Iterator[Tensor]:
        nonlocal total
        batch, frames = None, 0
        for latent in latents:
            codec.check_latent(latent)
            if batch not in (None, latent.batch):
                raise ValueError(
                    f"pieces of one latent must have one batch size, not {batch} and {latent.batch}"
                )
            if total < frames * codec.hop:
                raise ValueError(
                    "only the last piece of a latent may stand for fewer samples than it has room for"
                )
            batch, frames = latent.batch, frames + latent.values.shape[-1]
            total += latent.num_samples
            yield codec.denormalise(latent.values)
            del latent

    parts = codec.decoder.stream(values())
    made = 0
    while (samples := _next(parts)) is not None:
        # What the last piece lacks is known once the decoder has read it, which it has before it ends.
        kept = samples[..., : max(total - made, 0)]
        made += samples.shape[-1]
        if kept.shape[-1]:
            yield AudioClip(kept, codec.sample_rate)


def decode_values(codec: AudioCodec, pieces: Iterable[Tensor], num_samples: int) -> Iterator[AudioClip]:
    """Pieces of the sound whose latent comes as tensors (B, C, T), such as those of `extend`.

    Args:
        pieces: consecutive pieces of one latent, of any lengths.
        num_samples: length of the sound; what the decoder makes beyond it is dropped.

    Raises:
        ValueError: the latent has more or fewer frames than so many samples need, or `decode_stream` would
            refuse a piece. Raised when the stream gets there.
    """

    def latents() -> Iterator[AudioLatent]:
        rest = num_samples
        for values in pieces:
            room = values.shape[-1] * codec.hop
            if rest <= room - codec.hop:
                raise ValueError(f"a latent of {num_samples} samples must have {needed} frames, not more")
            yield AudioLatent(values, codec.hop, min(room, rest), codec.sample_rate)
            rest -= room
            del values
        if rest > 0:
            raise ValueError(f"a latent of {num_samples} samples must have {needed} frames, not fewer")

    needed = -(-num_samples // codec.hop)
    return decode_stream(codec, latents())
