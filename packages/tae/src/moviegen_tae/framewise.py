"""Videos coded frame by frame, each as an image of its own (paper, section 3.1.5, Fig. 7).

The spatial upsampler works on such latents: they keep what the compression along time would smooth.

Legend: B batch, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from einops import rearrange
from moviegen_core import Stride, VideoAutoencoder, VideoClip, VideoLatent
from torch import Tensor

_PIXELS = 2**20  # of frames that are coded together: memory must not grow with the video's length


class FrameWise:
    """A `VideoAutoencoder` that gives every frame to another one as a clip of one frame.

    Its stride along time is 1. For a TAE one frame is one latent frame, whose decoder makes 8 of which 7 are
    dropped (Fig. 4).

    Args:
        autoencoder: takes the frames.
    """

    def __init__(self, autoencoder: VideoAutoencoder) -> None:
        self.autoencoder = autoencoder

    @property
    def stride(self) -> Stride:
        """Clip positions per latent position."""
        return replace(self.autoencoder.stride, time=1)

    @property
    def latent_channels(self) -> int:
        """Channels of the latent."""
        return self.autoencoder.latent_channels

    def encode(self, clip: VideoClip) -> VideoLatent:
        """The latent of each frame, one after the other along time.

        Raises:
            ValueError: height or width is not a multiple of the stride.
        """
        values = [
            self.autoencoder.encode(VideoClip(part, clip.fps)).values
            for part in _images(clip.frames, clip.shape.height * clip.shape.width)
        ]
        return VideoLatent(_video(values, clip.batch), self.stride, clip.shape.frames, clip.fps)

    def decode(self, latent: VideoLatent) -> VideoClip:
        """The clip of such a latent, unclamped.

        Raises:
            ValueError: the latent has another stride or number of channels than this model's.
        """
        if latent.stride != self.stride or latent.values.shape[1] != self.latent_channels:
            raise ValueError(
                f"this autoencoder decodes {self.latent_channels} channels at {self.stride}, "
                f"not {latent.values.shape[1]} at {latent.stride}"
            )
        pixels = latent.clip_shape.height * latent.clip_shape.width
        frames = [
            self.autoencoder.decode(VideoLatent(part, self.autoencoder.stride, 1, latent.fps)).frames
            for part in _images(latent.values, pixels)
        ]
        return VideoClip(_video(frames, latent.batch), latent.fps)


def _images(x: Tensor, pixels: int) -> tuple[Tensor, ...]:
    """(B, C, T, H, W) as batches of (N, C, 1, H, W), each of which stands for a bounded number of pixels."""
    return torch.split(rearrange(x, "b c t h w -> (b t) c 1 h w"), max(_PIXELS // pixels, 1))


def _video(parts: list[Tensor], batch: int) -> Tensor:
    """The inverse: (B, C, T, H, W)."""
    return rearrange(torch.cat(parts), "(b t) c 1 h w -> b c t h w", b=batch)
