"""`moviegen reconstruct`: a film through the autoencoder and back. Imports no torch before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from moviegen_runtime.pipelines.outputs import check_outputs
from moviegen_runtime.results import DtypeName, Progress

if TYPE_CHECKING:
    from moviegen_tae import TAE, Tiling

    from moviegen_runtime.pipelines.reconstruct import Reconstruction

DEFAULT_MODEL = "clips"
DEFAULT_TILE_SIDE = 256
"""Pixels: group norm and attention saw small pictures in training."""
DEFAULT_TILE_OVERLAP = 32
DEFAULT_MEMORY = 6.5
"""GiB: pictures of 1920x1080 go through in the paper's tiles of 32 frames."""
_STRIDE = 8


@dataclass(frozen=True)
class Reconstruct:
    """Put a film through the autoencoder and back, and say how close it comes.

    What is written has the film's size, times and sound. Nothing is written unless all is.
    """

    film: Annotated[Path, tyro.conf.Positional]
    """A video file of at least 11x11 pixels."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """File to write, .mp4."""

    side_by_side: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Another .mp4, with the film on the left and what became of it on the right."""

    model: str = DEFAULT_MODEL
    """Weights of the autoencoder: a shipped name, a folder or a Hub id."""

    device: str = "auto"
    """Where to compute, as torch names it: cpu, cuda, cuda:1, mps; auto is the first GPU, or else cpu."""

    dtype: DtypeName = "float32"
    """Number format of the model."""

    max_frames: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Only the first frames, and the sound up to there."""

    tile_frames: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="N", help_behavior_hint="(default: 32 as in the paper, or what --memory allows)"
        ),
    ] = None
    """Length of the tiles that the film is cut into along time, a multiple of 8; they overlap by half."""

    tile_side: int = DEFAULT_TILE_SIDE
    """Rows and columns of a tile in pixels, a multiple of 8; 0: whole pictures."""

    tile_overlap: int = DEFAULT_TILE_OVERLAP
    """Rows and columns that neighbouring tiles share, a multiple of 8, at most half a tile."""

    memory: float = DEFAULT_MEMORY
    """GiB that the computation may take besides the weights; larger pictures then get shorter tiles."""

    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace files that are already there."""

    def run(self) -> None:
        """Write the film, and print what it is like.

        Raises:
            ValueError: an option, the film or the model cannot be used.
        """
        self._check()
        import moviegen_tae
        import torch

        from moviegen_runtime.cli.progress import StageBar
        from moviegen_runtime.media.film import open_film
        from moviegen_runtime.pipelines.device import usable_device
        from moviegen_runtime.pipelines.reconstruct import reconstruct

        with open_film(self.film) as film:  # a look before weights are read
            height, width = film.format.height, film.format.width
        with StageBar() as show:
            show(Progress("loading", 0, 1))
            tae = moviegen_tae.from_pretrained(self.model)
            tae = tae.to(usable_device(self.device), getattr(torch, self.dtype)).requires_grad_(False)
            show(Progress("loading", 1, 1))
            result = reconstruct(
                self.film,
                self.output,
                tae,
                self._tiling(tae, height, width),
                side_by_side=self.side_by_side,
                max_frames=self.max_frames,
                on_progress=show,
            )
        for path in filter(None, (self.output, self.side_by_side)):
            print(path)
        print(_summary(result))

    def _check(self) -> None:
        outputs = [path for path in (self.output, self.side_by_side) if path is not None]
        for path in outputs:
            if path.suffix != ".mp4":
                raise ValueError(f"{path.name!r} must end in .mp4")
        check_outputs(outputs, overwrite=self.overwrite)
        for path in outputs:
            if path.exists() and self.film.exists() and path.samefile(self.film):
                raise ValueError(f"{path} is the film itself: write the result into another file")
        if self.max_frames is not None and self.max_frames < 1:
            raise ValueError(f"--max-frames must be at least 1, not {self.max_frames}")
        if not 0 < self.memory < 2**20:
            raise ValueError(f"--memory must be a positive number of GiB, not {self.memory}")
        for name, value, least in (
            ("--tile-frames", self.tile_frames, _STRIDE),
            ("--tile-side", self.tile_side, 0),
            ("--tile-overlap", self.tile_overlap, 0),
        ):
            if value is not None and (value < least or value % _STRIDE):
                raise ValueError(f"{name} must be a multiple of {_STRIDE} from {least} on, not {value}")
        if self.tile_side and 2 * self.tile_overlap > self.tile_side:
            raise ValueError(
                f"--tile-overlap must be at most half of --tile-side, {self.tile_side // 2}, "
                f"not {self.tile_overlap}"
            )

    def _tiling(self, tae: TAE, height: int, width: int) -> Tiling:
        from moviegen_tae import Tiling

        from moviegen_runtime.pipelines.reconstruct import tiling_within

        side = self.tile_side // _STRIDE or None
        overlap = self.tile_overlap // _STRIDE
        if self.tile_frames is not None:
            frames = self.tile_frames // _STRIDE
            return Tiling(frames, frames // 2, side, overlap)
        budget = round(self.memory * 2**30)
        return tiling_within(budget, tae, height, width, side=side, side_overlap=overlap)


def _summary(result: Reconstruction) -> str:
    rate = result.frames / result.seconds
    unit = "frame" if result.frames == 1 else "frames"
    lines = {
        "film": f"{result.frames} {unit} of {result.width}x{result.height}, {result.seconds:.2f} s, "
        f"{rate:.4g} a second; sound: {result.sound}",
        "PSNR": f"{result.psnr:.2f} dB",
        "SSIM": f"{result.ssim:.4f}",
        "compression": f"{result.compression:.1f} to 1 in values, {result.bit_compression:.1f} to 1 in bits "
        "(8 a pixel value, 16 a latent value)",
        "speed": f"{result.frames / result.took:.2f} frames a second",
    }
    return "\n".join(f"{name:<13}{value}" for name, value in lines.items())
