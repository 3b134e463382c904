"""What the audio transformer is told: a video, and sound that is there already; and what it makes of them.

Legend: B batch, C latent channels, T latent frames of sound, F video frames, E width of their features,
D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from moviegen_dit import PreparedConditions
from torch import Tensor


@dataclass(frozen=True)
class FrameFeatures:
    """Features of every frame of a video.

    Args:
        values: (B, F, E), as the encoder gives them.
        fps: frames a second.

    Raises:
        ValueError: wrong rank, empty, not floating point, or fps not positive.
    """

    values: Tensor
    fps: float

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape or not self.values.is_floating_point():
            raise ValueError(
                "features must be a non-empty floating-point (B, F, E) tensor, "
                f"not {self.values.dtype} {tuple(self.values.shape)}"
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a positive number, not {self.fps}")

    @property
    def batch(self) -> int:
        return self.values.shape[0]

    def resampled(self, frames: int, frame_rate: float, first: int = 0) -> Tensor:
        """(B, T, E): for each frame of sound, the frame that is seen at its middle; the last one stays.

        Our choice: the paper says that features are resampled, and not how.

        Args:
            frames: of sound.
            frame_rate: latent frames of sound a second.
            first: which of them is the first, counted from the beginning of the video.
        """
        middles = (torch.arange(first, first + frames, dtype=torch.float64) + 0.5) / frame_rate
        seen = (middles * self.fps).long().clamp(max=self.values.shape[1] - 1)
        return self.values[:, seen.to(self.values.device)]

    def span(self, frames: slice, frame_rate: float) -> FrameFeatures:
        """What is seen during some frames of the sound, one feature a frame: the video of a segment."""
        part = self.resampled(frames.stop - frames.start, frame_rate, frames.start)
        return FrameFeatures(part, frame_rate)


@dataclass(frozen=True)
class AudioContext:
    """Sound that is there already, as latents, and where.

    Args:
        values: (B, C, T) normalised latents; what is not given may hold anything.
        given: (B, T) bool, True where sound is there and is to be continued or joined.

    Raises:
        ValueError: shapes that disagree, or a mask that is not bool.
    """

    values: Tensor
    given: Tensor

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or 0 in self.values.shape or not self.values.is_floating_point():
            raise ValueError(
                "values must be a non-empty floating-point (B, C, T) tensor, "
                f"not {self.values.dtype} {tuple(self.values.shape)}"
            )
        expected = (self.values.shape[0], self.values.shape[2])
        if self.given.dtype != torch.bool or self.given.shape != expected:
            raise ValueError(
                f"given must be bool of shape {expected}, not {self.given.dtype} {tuple(self.given.shape)}"
            )

    @property
    def batch(self) -> int:
        return self.values.shape[0]

    @property
    def masked(self) -> Tensor:
        """(B, C, T): the latents, and 0 where nothing is given."""
        return self.values.masked_fill(~self.given[:, None], 0.0)


@dataclass(frozen=True)
class AudioConditions:
    """All that is computed once a sample, and used at every solver step.

    `AudioDiT.prepare` makes it; it belongs to the weights that made it.

    Args:
        text: keys and values of the text in every layer.
        video: (B, T, D) what the video adds to each frame of sound.
        context: (B, C, T) latents that are given, and 0 elsewhere.
    """

    text: PreparedConditions
    video: Tensor
    context: Tensor

    @property
    def batch(self) -> int:
        return self.text.batch

    @property
    def frames(self) -> int:
        """Length of the sound, in latent frames."""
        return self.context.shape[2]

    def joined(self, other: AudioConditions) -> AudioConditions:
        """One batch of this one's samples, then the other's.

        Raises:
            ValueError: the other is of more frames, or of fewer.
        """
        if self.frames != other.frames:
            raise ValueError(f"conditions must be of as many frames, not of {self.frames} and {other.frames}")
        return AudioConditions(
            self.text.joined(other.text),
            torch.cat([self.video, other.video]),
            torch.cat([self.context, other.context]),
        )

    def span(self, frames: slice) -> AudioConditions:
        """What is told of some frames: the same text, and their part of video and given sound.

        Raises:
            ValueError: frames that are not there.
        """
        if not 0 <= frames.start < frames.stop <= self.frames:
            raise ValueError(
                f"these conditions are of {self.frames} frames: "
                f"there are none from {frames.start} to {frames.stop}"
            )
        return AudioConditions(self.text, self.video[:, frames], self.context[:, :, frames])

    def repeated(self, count: int) -> AudioConditions:
        """Each sample `count` times in a row, for several draws of it."""
        text = self.text
        return AudioConditions(
            PreparedConditions(
                tuple(each.repeat_interleave(count, 0) for each in text.keys),
                tuple(each.repeat_interleave(count, 0) for each in text.values),
                text.key_lengths.repeat_interleave(count),
            ),
            self.video.repeat_interleave(count, 0),
            self.context.repeat_interleave(count, 0),
        )
