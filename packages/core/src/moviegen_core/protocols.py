"""What one package may ask of another, as structural types: nothing here is inherited from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from moviegen_core.shapes import Stride
from moviegen_core.values import AudioClip, AudioLatent, TextContext, VideoClip, VideoLatent


class VideoAutoencoder(Protocol):
    """Maps clips to latents and back."""

    @property
    def stride(self) -> Stride:
        """Clip positions per latent position."""
        ...

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        ...

    def encode(self, clip: VideoClip) -> VideoLatent:
        """The normalised posterior mean of a clip."""
        ...

    def decode(self, latent: VideoLatent) -> VideoClip:
        """The clip of a latent, unclamped, without spurious frames at its end."""
        ...


class AudioAutoencoder(Protocol):
    """Maps sounds to latents and back."""

    @property
    def sample_rate(self) -> int:
        """Samples a second of the sounds that it reads and makes."""
        ...

    @property
    def hop(self) -> int:
        """Samples that a latent frame stands for."""
        ...

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        ...

    def encode(self, clip: AudioClip) -> AudioLatent:
        """The normalised posterior mean of a clip."""
        ...

    def decode(self, latent: AudioLatent) -> AudioClip:
        """The clip of a latent, without spurious samples at its end."""
        ...


class TextEncoder(Protocol):
    """Turns prompts into token states."""

    @property
    def name(self) -> str:
        """Name that models pick their projection by."""
        ...

    @property
    def width(self) -> int:
        """Width of the token states."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest prompt that it reads, in its own tokens, special ones included."""
        ...

    def encode(self, prompts: Sequence[str]) -> TextContext:
        """Token states of the prompts.

        Raises:
            ValueError: a prompt is longer than `max_tokens`.
        """
        ...


class AttentionFn(Protocol):
    """Scaled dot-product attention, bidirectional, with the layout (B, S, N, K): N heads of K channels."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
        """Attend from q (B, S, N, K) to k, v (B, Sk, N, K).

        Args:
            key_lengths: (B,) number of keys of each sample that count, from the first on; None: all.

        Returns:
            (B, S, N, K); 0 for a sample without keys.
        """
        ...
