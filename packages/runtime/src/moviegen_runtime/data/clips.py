"""Captioned clips in shards: one JSON and one picture for each clip.

The picture is a lossless PNG film strip, frame below frame (our choice). Measured at 16x64x64 on one core:
30 kB for a drawn clip and 130 kB for a noisy one (raw: 197 kB), about 450 clips a second to read. FFV1 and
lossless H.264 were as compact but 4 to 10 times slower, since a decoder is opened for every clip; bare zlib
is twice as fast, but no viewer opens it.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moviegen_runtime.data.shards import ShardReader
from moviegen_runtime.data.source import CaptionedClip

CLIP_KIND = "clips"
CLIP_MEMBERS = ("json", "png")
MAX_CLIP_PIXELS = 1 << 26
"""Frames x height x width of the largest clip that a shard takes: what Pillow opens without a warning."""
MAX_CAPTION_CHARACTERS = 10_000
_PNG_LEVEL = 3  # four times as fast to write as the default level, a tenth to a third larger
_Extent = Annotated[int, Field(ge=1, le=1 << 16)]


class _ClipRecord(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    caption: Annotated[str, Field(max_length=MAX_CAPTION_CHARACTERS)]
    fps: Annotated[float, Field(gt=0, le=1000)]
    frames: _Extent
    height: _Extent
    width: _Extent


def write_clip(clip: CaptionedClip) -> dict[str, bytes]:
    """The members of a clip, by ending.

    Raises:
        ValueError: the clip is empty or larger than a shard takes, or its caption is too long.
    """
    frames, height, width, _ = clip.frames.shape
    if not 0 < frames * height * width <= MAX_CLIP_PIXELS:
        raise ValueError(
            f"a clip of {frames}x{height}x{width} does not fit a shard: give 1 to {MAX_CLIP_PIXELS} pixels"
        )
    try:
        record = _ClipRecord(caption=clip.caption, fps=clip.fps, frames=frames, height=height, width=width)
    except ValidationError as error:
        raise ValueError(f"clip cannot be stored: {_first(error)}") from error
    return {"json": record.model_dump_json().encode(), "png": film_strip(clip.frames)}


def parse_clip(members: dict[str, bytes]) -> CaptionedClip:
    """The clip of its members.

    Raises:
        ValueError: they do not describe a clip.
    """
    try:
        record = _ClipRecord.model_validate_json(members["json"])
    except ValidationError as error:
        raise ValueError(f"clip record is damaged: {_first(error)}") from error
    frames = parse_film_strip(members["png"], record.frames, record.height, record.width)
    return CaptionedClip(frames, record.fps, record.caption)


def film_strip(frames: NDArray[np.uint8]) -> bytes:
    """A PNG of frames (T, H, W, 3), one below the other."""
    count, height, width, _ = frames.shape
    strip = io.BytesIO()
    Image.fromarray(frames.reshape(count * height, width, 3)).save(
        strip, format="PNG", compress_level=_PNG_LEVEL
    )
    return strip.getvalue()


def parse_film_strip(strip: bytes, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """The frames (T, H, W, 3) of a film strip.

    Raises:
        ValueError: it is damaged, or not of this size.
    """
    rows = frames * height
    if rows * width > MAX_CLIP_PIXELS:
        raise ValueError(f"clip record asks for more than {MAX_CLIP_PIXELS} pixels")
    # The size is read from the header before any pixel is: a small file can ask for endless memory.
    if strip[:8] != b"\x89PNG\r\n\x1a\n" or strip[16:24] != struct.pack(">II", width, rows):
        raise ValueError(f"film strip is not a PNG of {width}x{rows} pixels as its record says")
    try:
        with Image.open(io.BytesIO(strip), formats=["PNG"]) as picture:
            pixels = np.array(picture)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise ValueError(f"film strip is damaged: {error}") from error
    if pixels.dtype != np.uint8 or pixels.shape != (rows, width, 3):
        raise ValueError(f"film strip must be 8-bit RGB, not {pixels.dtype} {pixels.shape}")
    return pixels.reshape(frames, height, width, 3)


class ShardedClips:
    """The clips of a set of shards: a `ClipSource`.

    Raises:
        ValueError: the folder holds no complete set of clips.
    """

    def __init__(self, folder: Path | str) -> None:
        self.reader = ShardReader(folder, CLIP_KIND, CLIP_MEMBERS)

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> CaptionedClip:
        """One clip.

        Raises:
            IndexError: no such clip.
            ValueError: the clip is damaged.
        """
        members = self.reader.read(index)
        try:
            return parse_clip(members)
        except ValueError as error:
            raise ValueError(f"{self.reader.folder}: clip {index}: {error}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'it'}: {first['msg']}"
