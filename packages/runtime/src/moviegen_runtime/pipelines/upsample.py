"""A sharper, larger video from a video (paper, section 3.1.5, Fig. 7): bilinear enlargement, frame-wise
coding, transformer, frame-wise decoding.

Legend: B batch, C channels, T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from moviegen_core import VideoAutoencoder, VideoClip, VideoLatent, VideoShape
from moviegen_dit import Linear, SpatialUpsampler, StepCallback, Windows, integrate, multidiffusion
from moviegen_tae import FrameWise
from torch import Tensor

from moviegen_runtime.pipelines.noise import noise

_OVERLAP = 4


@dataclass(frozen=True)
class Upsampling:
    """How a video is upsampled.

    Args:
        steps: of the solver; 20 in the paper. They are of one size, which it does not print.
        overlap: latent frames that two neighbouring windows share; None: the paper's 4, or all but one of a
            shorter window. A window is as long as the upsampler's.
    """

    steps: int = 20
    overlap: int | None = None

    def windows(self, frames: int, length: int) -> Windows:
        """Windows of a length over a latent of so many frames.

        Raises:
            ValueError: the overlap is not shorter than a window.
        """
        return Windows(frames, length, min(_OVERLAP, length - 1) if self.overlap is None else self.overlap)


@torch.inference_mode()
def upsample(
    clip: VideoClip,
    tae: VideoAutoencoder,
    upsampler: SpatialUpsampler,
    *,
    seed: int = 0,
    settings: Upsampling | None = None,
    on_step: StepCallback | None = None,
) -> VideoClip:
    """A video `factor` times as high and wide.

    Args:
        clip: on the models' device; values beyond [-1, 1] are clamped, as in the upsampler's training. Sides
            whose enlargement the models cannot cut into patches are continued for them by their last row or
            column.
        tae: codes frame by frame, as in the upsampler's training.
        seed: of the noise of the first sample; the next has seed + 1, and so on.

    Returns:
        Of the same length and rate, unclamped, in float32.

    Raises:
        ValueError: the models do not fit each other, or the enlarged video is beyond the position tables.
    """
    check_upsampling(clip.shape, tae, upsampler)
    settings = settings or Upsampling()
    coder, config = FrameWise(tae), upsampler.config
    large = enlarged(clip.frames.clamp(-1, 1), config.factor)
    height, width = large.shape[3:]
    padded = _padded(large, *_unit(coder, upsampler))
    weights = upsampler.dit.patch_in.weight
    shown = coder.encode(VideoClip(padded.to(weights.dtype), clip.fps))
    start = torch.cat([noise(seed + i, config.latent_channels, shown.shape) for i in range(clip.batch)])
    windows = settings.windows(clip.shape.frames, config.window)
    of_window = replace(shown.shape, frames=min(windows.length, windows.frames))
    none = upsampler.placed(upsampler.null_conditions(clip.batch), of_window)

    def velocity(x: Tensor, t: Tensor, frames: slice) -> Tensor:
        # The state stays float32: a small step added to a half-precision state would round away.
        made: Tensor = upsampler(x.to(weights.dtype), shown.values[:, :, frames], t, none)
        return made.float()

    values = integrate(
        multidiffusion(velocity, windows),
        start.to(weights.device),
        Linear(settings.steps).times(),
        on_step=on_step,
    )
    sharp = coder.decode(VideoLatent(values.to(weights.dtype), coder.stride, clip.shape.frames, clip.fps))
    return VideoClip(sharp.frames[..., :height, :width].float(), clip.fps)


def check_upsampling(shape: VideoShape, tae: VideoAutoencoder, upsampler: SpatialUpsampler) -> None:
    """Refuse, in terms of pixels, what `upsample` cannot do with a clip of a shape.

    Raises:
        ValueError: the models do not fit each other, or the enlarged video is beyond the position tables.
    """
    coder, config = FrameWise(tae), upsampler.config
    if coder.latent_channels != config.latent_channels:
        raise ValueError(
            f"the autoencoder makes {coder.latent_channels} channels, the upsampler takes "
            f"{config.latent_channels}: they must agree"
        )
    rows, columns = _unit(coder, upsampler)
    tables = config.max_latent_shape
    most = coder.stride.clip(VideoShape(1, tables.height, tables.width))
    # In whole patches, of which an uneven one is filled up.
    height = -(-shape.height * config.factor // rows) * rows
    width = -(-shape.width * config.factor // columns) * columns
    if height > most.height or width > most.width:
        raise ValueError(
            f"this upsampler takes up to {most.width // config.factor}x{most.height // config.factor} "
            f"pixels, not {shape.width}x{shape.height}"
        )
    # A clip that is longer than a window goes through in whole windows.
    config.token_shape(coder.stride.latent(VideoShape(min(shape.frames, config.window), height, width)))


def enlarged(frames: Tensor, factor: int) -> Tensor:
    """Clips (B, 3, T, H, W) by bilinear interpolation, `factor` times as high and wide: the first step."""
    T, H, W = frames.shape[2:]
    images = frames.transpose(1, 2).flatten(0, 1)
    size = (H * factor, W * factor)
    larger = F.interpolate(images, size, mode="bilinear", align_corners=False)
    return larger.view(-1, T, 3, *size).transpose(1, 2)


def reduced(frames: Tensor, factor: int) -> Tensor:
    """Clips (B, 3, T, H, W) with the mean of `factor` x `factor` pixels as one: their small version."""
    return F.avg_pool3d(frames, (1, factor, factor))


def _padded(frames: Tensor, rows: int, columns: int) -> Tensor:
    """The same frames in multiples of so many rows and columns, the last ones repeated."""
    H, W = frames.shape[3:]
    if H % rows == 0 and W % columns == 0:
        return frames
    return F.pad(frames, (0, -W % columns, 0, -H % rows, 0, 0), mode="replicate")


def _unit(coder: FrameWise, upsampler: SpatialUpsampler) -> tuple[int, int]:
    """Rows and columns of the pixels of a patch."""
    patch = upsampler.config.patch
    return coder.stride.height * patch[1], coder.stride.width * patch[2]
