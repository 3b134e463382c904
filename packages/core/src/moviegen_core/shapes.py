"""Shapes of clips and latents, and the strides between them: the only place with ceil and floor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoShape:
    """Extent of a clip (frames, pixels) or of a latent (latent frames, latent rows and columns).

    Raises:
        ValueError: an extent is not a positive integer.
    """

    frames: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("frames", "height", "width"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")

    @property
    def positions(self) -> int:
        """Number of (frame, row, column) positions."""
        return self.frames * self.height * self.width

    def __str__(self) -> str:
        return f"{self.frames}x{self.height}x{self.width}"


@dataclass(frozen=True)
class Stride:
    """How many frames, rows and columns of a clip one latent position stands for.

    The paper compresses by 8 along each axis (section 3.1.1): `Stride(8, 8, 8)`.

    Raises:
        ValueError: a factor is not a positive integer.
    """

    time: int
    height: int
    width: int

    def __post_init__(self) -> None:
        for name in ("time", "height", "width"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"stride {name} must be a positive integer, not {value!r}")

    def latent(self, clip: VideoShape) -> VideoShape:
        """Latent shape of a clip: rounded up along time, exact along rows and columns (Fig. 4).

        Raises:
            ValueError: height or width is not a multiple of its stride.
        """
        for name, extent, factor in (("height", clip.height, self.height), ("width", clip.width, self.width)):
            if extent % factor:
                raise ValueError(f"{name} must be a multiple of {factor}, not {extent}")
        return VideoShape(-(-clip.frames // self.time), clip.height // self.height, clip.width // self.width)

    def clip(self, latent: VideoShape) -> VideoShape:
        """Shape that a decoder makes of a latent, before spurious frames at the end are dropped."""
        return VideoShape(latent.frames * self.time, latent.height * self.height, latent.width * self.width)

    @property
    def volume(self) -> int:
        """Clip positions per latent position."""
        return self.time * self.height * self.width
