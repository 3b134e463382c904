"""Reads a clip of any common video file. Files are treated as hostile: what they ask for is bounded.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageOps

# A file may not make us hold more than this: one frame of 8192 x 8192, and 3 GB of a clip in all.
MAX_FRAME_PIXELS = 1 << 26
MAX_CLIP_PIXELS = 1 << 30
MAX_FPS = 1000.0
# Containers of clips and single pictures. Playlists are left out: they make the reader open other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,ogg,gif,apng,png_pipe,jpeg_pipe,webp_pipe"
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
    with _opened(path) as (container, stream):
        source_fps = _rate(path, stream)
        timed = _timed_frames(path, container, stream, size)
        shown = (frame for _, frame in timed) if fps is None else _resampled(timed, source_fps, fps)
        kept = _bounded(path, shown if max_frames is None else islice(shown, max_frames))
    if not kept:
        raise ValueError(f"{path} has a video stream without a single frame")
    if any(frame.shape != kept[0].shape for frame in kept):
        raise ValueError(f"{path} changes its picture size on the way; give a size to bring all frames to")
    return ReadClip(np.stack(kept), source_fps if fps is None else fps)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    try:
        # An open file, not a name: a name could be read as an address.
        with (
            path.open("rb") as file,
            av.open(file, "r", options={"format_whitelist": _CONTAINERS}) as container,
        ):
            if not container.streams.video:
                raise ValueError(f"{path} has no video stream")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise ValueError(f"{path} is damaged, cut off or not a video: {error.strerror}") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def _rate(path: Path, stream: VideoStream) -> float:
    """Average frames a second of a stream, after a look at the extent that its header claims."""
    if stream.width * stream.height > MAX_FRAME_PIXELS:
        raise ValueError(
            f"{path} claims frames of {stream.width}x{stream.height}, which are too large to read "
            f"(at most {MAX_FRAME_PIXELS} pixels)"
        )
    rate = stream.average_rate or stream.guessed_rate
    if rate is None or not 0 < rate <= MAX_FPS:
        raise ValueError(f"{path} says {rate} as its frame rate; it must be above 0 and at most {MAX_FPS:g}")
    return float(rate)


def _timed_frames(
    path: Path, container: InputContainer, stream: VideoStream, size: tuple[int, int] | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Seconds since the first frame, and the frame (H, W, 3)."""
    first: float | None = None
    time = 0.0
    for frame in container.decode(stream):
        if frame.width * frame.height > MAX_FRAME_PIXELS:
            raise ValueError(
                f"{path} holds a frame of {frame.width}x{frame.height}, which is too large to read"
            )
        if frame.is_corrupt:
            raise ValueError(f"{path} is damaged or cut off: a frame could not be decoded whole")
        time = frame.time if frame.time is not None else time
        first = time if first is None else first
        yield time - first, _picture(frame, size)
    # Readers of Matroska take a file that was cut off for one that ends there; its header knows better.
    if time + 2.0 / _rate(path, stream) < _matroska_seconds(stream):
        raise ValueError(
            f"{path} is cut off: it ends after {time:.2f} of {_matroska_seconds(stream):.2f} seconds"
        )


def _matroska_seconds(stream: VideoStream) -> float:
    """When the stream ends, as a Matroska header says it; 0 if nothing is said."""
    stamp = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return (
        0.0
        if stamp is None
        else sum(float(part) * unit for part, unit in zip(stamp.groups(), (3600, 60, 1), strict=True))
    )


def _picture(frame: VideoFrame, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    picture = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    # Telephones store the picture lying down and say by how much to turn it.
    picture = np.rot90(picture, k=round(frame.rotation / 90))
    if size is None or picture.shape[:2] == size:
        return np.ascontiguousarray(picture)
    height, width = size
    fitted = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


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
