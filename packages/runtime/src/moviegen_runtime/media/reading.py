"""Reads a clip of any common video file. Files are treated as hostile: what they ask for is bounded.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageOps

# A file may not make us hold more than this: one frame of 8192 x 8192, and 3 GB of a clip in all.
MAX_FRAME_PIXELS = 1 << 26
MAX_CLIP_PIXELS = 1 << 30
MAX_FPS = 1000.0
# Containers of clips, pictures and sounds. Playlists are left out: they make the reader open other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,ogg,gif,apng,png_pipe,jpeg_pipe,webp_pipe,"
    "wav,mp3,flac,aac"
)


class ReadClip(NamedTuple):
    """A clip as it was read.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        fps: frames a second.
    """

    frames: NDArray[np.uint8]
    fps: float


def read_clip(
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    max_frames: int | None = None,
) -> ReadClip:
    """Read the first video stream of a file, upright.

    Args:
        size: rows and columns to bring every frame to: the largest centred part of that aspect, resized with
            an antialiasing filter. None: as in the file.
        fps: frame rate to bring the clip to, by showing at each moment the frame that the file shows then.
            None: the file's own frames and average rate.
        max_frames: reading stops after so many frames of the result. None: all of them.

    Raises:
        ValueError: the file is missing, no video, damaged, cut off, without frames, or beyond the limits.
    """
    path = Path(path)
    with opened(path) as container:
        stream = video_stream(path, container)
        source_fps = float(rate(path, stream))
        timed = _timed_frames(path, container, stream, size)
        shown = (frame for _, frame in timed) if fps is None else _resampled(timed, source_fps, fps)
        kept = _bounded(path, shown if max_frames is None else islice(shown, max_frames))
    if not kept:
        raise ValueError(f"{path} has a video stream without a single frame")
    if any(frame.shape != kept[0].shape for frame in kept):
        raise ValueError(f"{path} changes its picture size on the way; give a size to bring all frames to")
    return ReadClip(np.stack(kept), source_fps if fps is None else fps)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A file of video or sound.

    Raises:
        ValueError: the file is missing, empty, or not of a kind that is read here.
    """
    if not path.is_file():
        raise ValueError(f"{path} is a folder, not a file" if path.is_dir() else f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    with ExitStack() as stack:
        with told(path):
            # An open file, not a name: a name could be read as an address.
            file = stack.enter_context(path.open("rb"))
            container = stack.enter_context(av.open(file, "r", options={"format_whitelist": _CONTAINERS}))
        yield container


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What goes wrong while a file is read, in a sentence.

    Raises:
        ValueError: the library or the system could not read on.
    """
    try:
        yield
    except av.FFmpegError as error:
        raise ValueError(f"{path} is damaged, cut off or not a video: {error.strerror}") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video stream that is no cover picture of a sound file.

    Raises:
        ValueError: there is none, or its codec is not known.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            check_codec(path, stream)
            return stream
    raise ValueError(f"{path} has no video stream")


def check_codec(path: Path, stream: Stream) -> None:
    """Refuse a stream that nothing here can decode.

    Raises:
        ValueError: its codec is not known.
    """
    known: CodecContext | None = stream.codec_context  # the library's types leave out that it may be missing
    if known is None:
        raise ValueError(f"{path} is damaged, or its {stream.type} is of a kind that is not known here")


def rate(path: Path, stream: VideoStream) -> Fraction:
    """Average frames a second of a stream, after a look at the extent that its header claims.

    Raises:
        ValueError: frames that are too large, or a rate that is none.
    """
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        raise ValueError(
            f"{path} claims frames of {stream.width}x{stream.height}, which are too large to read "
            f"(at most {MAX_FRAME_PIXELS} pixels)"
        )
    value = stream.average_rate or stream.guessed_rate
    if value is None or not 0 < value <= MAX_FPS:
        raise ValueError(f"{path} says {value} as its frame rate; it must be above 0 and at most {MAX_FPS:g}")
    return value


def decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames of a stream.

    Raises:
        ValueError: the file is damaged or cut off, or a frame is too large.
    """
    time, ends = 0.0, 0.0
    grace = 2.0 / float(rate(path, stream))
    with told(path):
        for frame in container.decode(stream):
            if frame.width * frame.height > MAX_FRAME_PIXELS:
                raise ValueError(
                    f"{path} holds a frame of {frame.width}x{frame.height}, which is too large to read"
                )
            if frame.is_corrupt:
                raise ValueError(f"{path} is damaged or cut off: a frame could not be decoded whole")
            time = frame.time if frame.time is not None else time
            ends = time + max(float(frame.duration * (frame.time_base or 0)) + 0.01, grace)
            yield frame
    check_end(path, stream, ends)


def check_end(path: Path, stream: Stream, seconds: float) -> None:
    """Refuse a Matroska file that ends before its header says that it does: readers take it for whole.

    Args:
        seconds: the latest that the stream may end with what was read.

    Raises:
        ValueError: it was cut off.
    """
    if seconds < _matroska_seconds(stream):
        raise ValueError(
            f"{path} is cut off: it ends after {seconds:.2f} of {_matroska_seconds(stream):.2f} seconds"
        )


def upright(path: Path, frame: VideoFrame) -> NDArray[np.uint8]:
    """(H, W, 3) RGB as it is shown.

    Raises:
        ValueError: the frame is of a kind that has no RGB.
    """
    with told(path):
        picture = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    # Telephones store the picture lying down and say by how much to turn it.
    return np.ascontiguousarray(np.rot90(picture, k=round(frame.rotation / 90)))


def fitted(picture: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The largest centred part of a picture (H, W, 3) of the aspect of `size`, at that size; None: it."""
    if size is None or picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    height, width = size
    fitted = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def _timed_frames(
    path: Path, container: InputContainer, stream: VideoStream, size: tuple[int, int] | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Seconds since the first frame, and the frame (H, W, 3)."""
    first: float | None = None
    time = 0.0
    for frame in decoded(path, container, stream):
        time = frame.time if frame.time is not None else time
        first = time if first is None else first
        yield time - first, fitted(upright(path, frame), size)


def _matroska_seconds(stream: Stream) -> float:
    """When the stream ends, as a Matroska header says it; 0 if nothing is said."""
    stamp = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return (
        0.0
        if stamp is None
        else sum(float(part) * unit for part, unit in zip(stamp.groups(), (3600, 60, 1), strict=True))
    )


def _resampled(
    timed: Iterator[tuple[float, NDArray[np.uint8]]], source_fps: float, fps: float
) -> Iterator[NDArray[np.uint8]]:
    """The frame on show at 0, 1/fps, 2/fps, ... until the last frame has had its time."""
    shown: NDArray[np.uint8] | None = None
    ends, count = 0.0, 0
    for time, frame in timed:
        # Half a millisecond of grace: containers round their time stamps.
        while shown is not None and count / fps < time - 5e-4:
            yield shown
            count += 1
        shown, ends = frame, max(ends, time + 1.0 / source_fps)
    while shown is not None and count / fps < ends - 5e-4:
        yield shown
        count += 1


def _bounded(path: Path, frames: Iterator[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    kept: list[NDArray[np.uint8]] = []
    pixels = 0
    for frame in frames:
        pixels += math.prod(frame.shape[:2])
        if pixels > MAX_CLIP_PIXELS:
            raise ValueError(
                f"{path} has more than {len(kept)} frames of {frame.shape[1]}x{frame.shape[0]}, which is "
                "too much to hold; ask for fewer frames or a smaller size"
            )
        kept.append(frame)
    return kept
