"""A film through the autoencoder and back, in memory that does not grow with its length.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from moviegen_core import VideoClip, VideoLatent, VideoShape, replacing
from moviegen_tae import TAE, Tiling, decode_stream, encode_stream
from numpy.typing import NDArray

from moviegen_runtime.media.film import Film, FilmFormat, FilmFrame, beside, open_film
from moviegen_runtime.media.film_writing import FilmWriter, create_film
from moviegen_runtime.media.frames import to_clip, to_uint8
from moviegen_runtime.metrics import SSIM_WINDOW, Comparison
from moviegen_runtime.results import Progress, ProgressCallback

LATENT_BITS = 16
"""Of a latent value when bits are compared: it is kept in float16."""
_PIXEL_BITS = 8
_ENCODER_FRAMES = 60


@dataclass(frozen=True)
class Reconstruction:
    """What became of a film.

    Args:
        seconds: how long it is.
        psnr: in dB, of what the autoencoder gave back (rounded to 8 bits, before H.264) against what it was
            given.
        ssim: of the same.
        compression: values of the pixels (3 each) over values of the latent.
        sound: what became of the sound, in words.
        took: seconds that it took, from opening the film to its last frame.
    """

    frames: int
    height: int
    width: int
    seconds: float
    psnr: float
    ssim: float
    compression: float
    sound: str
    took: float

    @property
    def bit_compression(self) -> float:
        """Bits of the pixels (8 a value) over bits of the latent (16 a value)."""
        return self.compression * _PIXEL_BITS / LATENT_BITS


def reconstruct(
    source: Path,
    output: Path,
    tae: TAE,
    tiling: Tiling,
    *,
    side_by_side: Path | None = None,
    max_frames: int | None = None,
    on_progress: ProgressCallback | None = None,
) -> Reconstruction:
    """Write what an autoencoder makes of a film: as large, as long, with the same times and the same sound.

    Args:
        output: an mp4; it is there when everything is done, or not at all.
        side_by_side: another, with the film on the left and what became of it on the right.
        max_frames: only so many frames from the beginning.

    Raises:
        ValueError: the film is no film, damaged or too small, or the model makes of it what is no picture.
        OSError: a file cannot be written.
    """
    with ExitStack() as stack:
        aside = [stack.enter_context(replacing(path)) for path in (output, side_by_side) if path]
        film = stack.enter_context(open_film(source))
        _check_size(source, film.format)
        formats = (film.format, beside(film.format))
        writers = [
            stack.enter_context(create_film(path, each, source))
            for path, each in zip(aside, formats, strict=False)
        ]
        run = _Run(tae, film, max_frames, on_progress)
        for frame, given in run.pairs(tiling):
            pictures = (given, np.concatenate([frame.picture, given], axis=1))
            for writer, picture in zip(writers, pictures, strict=False):
                writer.write(picture, frame.time, frame.duration)
        return run.finished(writers)


def tiling_within(
    num_bytes: int, tae: TAE, height: int, width: int, *, side: int | None, side_overlap: int
) -> Tiling:
    """The longest tiles with which pictures of a size go through within a budget: the paper's, or a half or a
    quarter of it. Neighbours overlap by half.

    Args:
        side: rows and columns of a tile in latent positions; None: whole pictures.
        side_overlap: of its neighbours, in latent positions.

    Raises:
        ValueError: not even the shortest fit.
    """
    for frames in (4, 2, 1):
        tiling = Tiling(frames, frames // 2, side, side_overlap)
        if needed_bytes(tae, tiling, height, width) <= num_bytes:
            return tiling
    needed = needed_bytes(tae, tiling, height, width)
    raise ValueError(
        f"pictures of {width}x{height} take about {needed / 2**30:.2g} GiB: allow it with --memory "
        f"{needed / 2**30 + 0.1:.1f}, or make them smaller"
    )


def needed_bytes(tae: TAE, tiling: Tiling, height: int, width: int) -> int:
    """About what a film of any length takes besides the weights."""
    stride = tae.stride
    shape = VideoShape(4 * tiling.frames * stride.time, *_padded(tae, height, width))
    values = 3 * tiling.frames * stride.time * shape.height * shape.width
    # Pieces of the film wait between reader, encoder and decoder, in floating point and in bytes; H.264 looks
    # ahead. The number of pieces is measured: the miniature took 3.1 GB for 1280x720; counted are 3.0 GB.
    waiting = (4 * tae.latent_mean.element_size() + 3) * values
    ahead = 4 * _ENCODER_FRAMES * shape.height * shape.width
    return tiling.peak_bytes(tae, shape) + waiting + ahead


class _Run:
    """One film on its way."""

    def __init__(
        self, tae: TAE, film: Film, max_frames: int | None, on_progress: ProgressCallback | None
    ) -> None:
        self._tae, self._film, self._show = tae, film, on_progress
        self._frames = film.frames if max_frames is None else islice(film.frames, max_frames)
        self._max_frames = max_frames
        self._began = time.monotonic()
        self._waiting: deque[FilmFrame] = deque()
        self._comparison = Comparison()
        self._latent_values = 0
        self._end = 0

    def pairs(self, tiling: Tiling) -> Iterator[tuple[FilmFrame, NDArray[np.uint8]]]:
        """Every frame, and what the autoencoder makes of it (H, W, 3)."""
        film = self._film.format
        latents = self._counted(encode_stream(self._tae, self._clips(tiling), tiling))
        for clip in decode_stream(self._tae, latents, tiling):
            for index in range(clip.shape.frames):
                pixels = clip.frames[:, :, index : index + 1, : film.height, : film.width]
                given = to_uint8(VideoClip(pixels, clip.fps))[0]
                frame = self._waiting.popleft()
                self._comparison.add(frame.picture[None], given)
                self._end = frame.time + frame.duration
                yield frame, given[0]
                self._tell()

    def finished(self, writers: list[FilmWriter]) -> Reconstruction:
        """End the files."""
        film, count = self._film.format, self._comparison.frames
        end = self._end * film.time_base
        for writer in writers:
            writer.finish(None if count != self._max_frames else end)
        return Reconstruction(
            frames=count,
            height=film.height,
            width=film.width,
            seconds=float(end),
            psnr=self._comparison.psnr,
            ssim=self._comparison.ssim,
            compression=3 * count * film.height * film.width / self._latent_values,
            sound=writers[0].sound_says,
            took=time.monotonic() - self._began,
        )

    def _clips(self, tiling: Tiling) -> Iterator[VideoClip]:
        """The film in pieces of a tile's length, padded to what the model takes by repeating the border."""
        film, weights = self._film.format, self._tae.latent_mean
        height, width = _padded(self._tae, film.height, film.width)
        margins = ((0, 0), (0, height - film.height), (0, width - film.width), (0, 0))
        length = tiling.frames * self._tae.stride.time
        while piece := list(islice(self._frames, length)):
            self._waiting.extend(piece)
            pictures = np.stack([frame.picture for frame in piece])
            clip = to_clip(np.pad(pictures, margins, mode="edge"), float(film.fps))
            yield clip.to(weights.device, weights.dtype)

    def _counted(self, latents: Iterator[VideoLatent]) -> Iterator[VideoLatent]:
        for latent in latents:
            self._latent_values += latent.values.numel()
            yield latent

    def _tell(self) -> None:
        if self._show is not None:
            total = self._film.expected
            total = total if self._max_frames is None else min(total or self._max_frames, self._max_frames)
            done = self._comparison.frames
            self._show(Progress("reconstructing", done, max(done, total)))


def _padded(tae: TAE, height: int, width: int) -> tuple[int, int]:
    """Rows and columns in multiples of the model's stride."""
    stride = tae.stride
    return -(-height // stride.height) * stride.height, -(-width // stride.width) * stride.width


def _check_size(source: Path, film: FilmFormat) -> None:
    if min(film.height, film.width) < SSIM_WINDOW:
        raise ValueError(
            f"{source} has pictures of {film.width}x{film.height} pixels; they must have at least "
            f"{SSIM_WINDOW} rows and columns"
        )
