"""Writes clips as mp4, gif or png. The same frames give the same bytes on one installation.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from moviegen_runtime.media.formats import check_format

# Quality 12 is visually without loss; one thread, since x264's result depends on how many there are; no
# macroblock tree, whose vector code reads memory that nobody wrote: the same pictures gave other bytes.
_X264_OPTIONS = {"crf": "12", "preset": "slow", "threads": "1", "x264-params": "mbtree=0"}
_HD_ROWS = 720


class Colours(NamedTuple):
    """How the numbers of a video stand for colours, as its file says it.

    Args:
        matrix: from RGB to what is stored.
        primaries: what red, green and blue are.
        transfer: from light to numbers.
    """

    matrix: int
    primaries: int
    transfer: int


def write_clip(frames: NDArray[np.uint8], fps: float, path: Path) -> None:
    """Write frames (T, H, W, 3) to `path`, in the format of its suffix.

    Raises:
        ValueError: the suffix is not .mp4, .gif or .png, or the format cannot hold these frames.
        OSError: the file cannot be written.
    """
    check_format(path, len(frames), fps)
    _WRITERS[path.suffix](frames, fps, path)


def _write_mp4(frames: NDArray[np.uint8], fps: float, path: Path) -> None:
    """H.264 in yuv420p, index first so that it plays while it loads."""
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise ValueError(f"mp4 needs even width and height, not {width}x{height}; write a gif or enlarge it")
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = add_h264(container, height, width, _rational(fps), usual_colours(height))
            for picture in frames:
                container.mux(stream.encode(to_yuv(picture, stream)))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise OSError(error.errno, f"cannot write the video: {error.strerror}", str(path)) from error


def usual_colours(height: int) -> Colours:
    """Colours of a video of so many rows.

    Players that ignore the tag take small pictures for BT.601 and large ones for BT.709: agree with both.
    """
    matrix = Colorspace.ITU709 if height >= _HD_ROWS else Colorspace.SMPTE170M
    return Colours(matrix, ColorPrimaries.BT709, ColorTrc.BT709)


def add_h264(
    container: OutputContainer, height: int, width: int, fps: Fraction, colours: Colours
) -> VideoStream:
    """A video stream for frames of one size: in yuv420p, or in yuv444p if a side is odd."""
    stream = container.add_stream("libx264", rate=fps, options=_X264_OPTIONS)
    odd = height % 2 or width % 2
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p" if odd else "yuv420p"
    context = stream.codec_context
    context.colorspace, context.color_range = colours.matrix, ColorRange.MPEG
    context.color_primaries, context.color_trc = colours.primaries, colours.transfer
    return stream


def to_yuv(picture: NDArray[np.uint8], stream: VideoStream) -> VideoFrame:
    """A picture (H, W, 3) in the format and colours of a stream."""
    return VideoFrame.from_ndarray(picture, format="rgb24").reformat(
        format=stream.pix_fmt,
        dst_colorspace=stream.codec_context.colorspace,
        interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
    )


def _write_gif(frames: NDArray[np.uint8], fps: float, path: Path) -> None:
    """One palette for all frames, so that nothing flickers; without dithering, which crawls in motion."""
    count, height, width, _ = frames.shape
    strip = Image.fromarray(frames.reshape(count * height, width, 3))
    indexed = strip.quantize(colors=256, dither=Image.Dither.NONE)
    pictures = [indexed.crop((0, top, width, top + height)) for top in range(0, count * height, height)]
    # Times are in hundredths of a second: rounding the ends, not the lengths, keeps the whole in time.
    ends = [round(100 * (index + 1) / fps) for index in range(count)]
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def _write_png(frames: NDArray[np.uint8], fps: float, path: Path) -> None:
    del fps  # a picture has none
    Image.fromarray(frames[0]).save(path)


def _rational(fps: float) -> Fraction:
    """Frame rates such as 29.97 are fractions over 1001 in containers."""
    return Fraction(fps).limit_denominator(1001)


_WRITERS: dict[str, Callable[[NDArray[np.uint8], float, Path], None]] = {
    ".mp4": _write_mp4,
    ".gif": _write_gif,
    ".png": _write_png,
}
