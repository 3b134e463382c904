"""Values that packages hand to each other, checked once when they are built.

Legend: B batch, C channels, T frames, H rows, W columns, N samples of sound, S tokens, D width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from moviegen_core.shapes import Stride, VideoShape


def _check_video_tensor(name: str, tensor: Tensor) -> None:
    if tensor.ndim != 5 or 0 in tensor.shape:
        raise ValueError(f"{name} must be a non-empty (B, C, T, H, W) tensor, not {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, not {tensor.dtype}")


def _check_fps(fps: float) -> None:
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a positive number, not {fps}")


@dataclass(frozen=True)
class VideoClip:
    """A batch of clips of one shape and frame rate.

    Args:
        frames: (B, 3, T, H, W) RGB in floating point. Nominal range [-1, 1]; it is not enforced, since a
            decoder may overshoot: whoever writes media clamps.
        fps: frames a second. One-frame clips are images; their fps is kept and means nothing.

    Raises:
        ValueError: wrong rank, not three channels, empty, not floating point, or fps not positive.
    """

    frames: Tensor
    fps: float

    def __post_init__(self) -> None:
        _check_video_tensor("frames", self.frames)
        if self.frames.shape[1] != 3:
            raise ValueError(f"frames must have 3 channels (RGB), not {self.frames.shape[1]}")
        _check_fps(self.fps)

    @property
    def batch(self) -> int:
        return self.frames.shape[0]

    @property
    def shape(self) -> VideoShape:
        return VideoShape(*self.frames.shape[2:])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> VideoClip:
        """The same clip on another device, or in another dtype."""
        return replace(self, frames=self.frames.to(device=device, dtype=dtype))


@dataclass(frozen=True)
class VideoLatent:
    """A batch of video latents, with what is needed to get back to a clip of the right length.

    Args:
        values: (B, C, T, H, W), normalised per channel to about mean 0 and deviation 1 or less.
        stride: clip positions per latent position along each axis.
        num_frames: length of the clip in frames; a decoder drops what it makes beyond it.
        fps: frames a second of the clip.

    Raises:
        ValueError: wrong rank, empty, not floating point, or a length that these latents cannot stand for.
    """

    values: Tensor
    stride: Stride
    num_frames: int
    fps: float

    def __post_init__(self) -> None:
        _check_video_tensor("values", self.values)
        _check_fps(self.fps)
        latent_frames = self.values.shape[2]
        if not (latent_frames - 1) * self.stride.time < self.num_frames <= latent_frames * self.stride.time:
            raise ValueError(
                f"{latent_frames} latent frames at stride {self.stride.time} cannot stand for "
                f"{self.num_frames} frames"
            )

    @property
    def batch(self) -> int:
        return self.values.shape[0]

    @property
    def shape(self) -> VideoShape:
        """Latent frames, rows and columns."""
        return VideoShape(*self.values.shape[2:])

    @property
    def clip_shape(self) -> VideoShape:
        """Frames, rows and columns of the clip that these latents stand for."""
        return replace(self.stride.clip(self.shape), frames=self.num_frames)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> VideoLatent:
        """The same latents on another device, or in another dtype."""
        return replace(self, values=self.values.to(device=device, dtype=dtype))


def _check_sound_tensor(name: str, layout: str, tensor: Tensor) -> None:
    if tensor.ndim != 3 or 0 in tensor.shape:
        raise ValueError(f"{name} must be a non-empty {layout} tensor, not {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, not {tensor.dtype}")


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, not {value!r}")


@dataclass(frozen=True)
class AudioClip:
    """A batch of sounds of one length, number of channels and sample rate.

    Args:
        samples: (B, C, N) in floating point. Nominal range [-1, 1]; it is not enforced.
        sample_rate: samples a second of each channel.

    Raises:
        ValueError: wrong rank, empty, not floating point, or a sample rate that is not a positive integer.
    """

    samples: Tensor
    sample_rate: int

    def __post_init__(self) -> None:
        _check_sound_tensor("samples", "(B, C, N)", self.samples)
        _check_count("sample_rate", self.sample_rate)

    @property
    def batch(self) -> int:
        return self.samples.shape[0]

    @property
    def num_samples(self) -> int:
        """Length of each channel."""
        return self.samples.shape[2]

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> AudioClip:
        """The same sounds on another device, or in another dtype."""
        return replace(self, samples=self.samples.to(device=device, dtype=dtype))


@dataclass(frozen=True)
class AudioLatent:
    """A batch of latents of sounds, with what is needed to get back to a clip of the right length.

    Args:
        values: (B, C, T), normalised per channel to about mean 0 and deviation 1.
        hop: samples that a latent frame stands for.
        num_samples: length of the clip in samples; a decoder drops what it makes beyond it.
        sample_rate: samples a second of the clip.

    Raises:
        ValueError: wrong rank, empty, not floating point, or a length that these latents cannot stand for.
    """

    values: Tensor
    hop: int
    num_samples: int
    sample_rate: int

    def __post_init__(self) -> None:
        _check_sound_tensor("values", "(B, C, T)", self.values)
        _check_count("hop", self.hop)
        _check_count("sample_rate", self.sample_rate)
        frames = self.values.shape[2]
        if not (frames - 1) * self.hop < self.num_samples <= frames * self.hop:
            raise ValueError(
                f"{frames} latent frames of {self.hop} samples cannot stand for {self.num_samples} samples"
            )

    @property
    def batch(self) -> int:
        return self.values.shape[0]

    @property
    def frame_rate(self) -> float:
        """Latent frames a second."""
        return self.sample_rate / self.hop

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> AudioLatent:
        """The same latents on another device, or in another dtype."""
        return replace(self, values=self.values.to(device=device, dtype=dtype))


@dataclass(frozen=True)
class TextContext:
    """Token states of one text encoder for a batch of prompts.

    Args:
        embeddings: (B, S, D) token states, as the encoder gives them (not yet projected).
        mask: (B, S) bool, True where a real token stands. Real tokens come first, padding last: attention
            takes lengths, not masks.
        encoder: name of the encoder; a model picks the projection by it.

    Raises:
        ValueError: shapes that disagree, a mask that is not bool, or padding before a real token.
    """

    embeddings: Tensor
    mask: Tensor
    encoder: str

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 3 or 0 in self.embeddings.shape:
            raise ValueError(
                f"embeddings must be a non-empty (B, S, D) tensor, not {tuple(self.embeddings.shape)}"
            )
        if not self.embeddings.is_floating_point():
            raise ValueError(f"embeddings must be floating point, not {self.embeddings.dtype}")
        if self.mask.dtype != torch.bool or self.mask.shape != self.embeddings.shape[:2]:
            raise ValueError(
                f"mask must be bool of shape {tuple(self.embeddings.shape[:2])}, "
                f"not {self.mask.dtype} of shape {tuple(self.mask.shape)}"
            )
        if bool((self.mask[:, 1:] & ~self.mask[:, :-1]).any()):
            raise ValueError("mask must have its real tokens first and its padding last")

    @property
    def batch(self) -> int:
        return self.embeddings.shape[0]

    @property
    def lengths(self) -> Tensor:
        """(B,) int64 number of real tokens of each prompt."""
        return self.mask.sum(dim=1)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> TextContext:
        """The same context on another device, its embeddings in another dtype."""
        return replace(
            self, embeddings=self.embeddings.to(device=device, dtype=dtype), mask=self.mask.to(device)
        )
