"""Packing a list of videos and captions into clip shards.

Every video is brought to one frame rate and size and cut into clips of one length from its beginning, one
after the other; what is left over at its end is dropped. A video that cannot be read is named and skipped.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from moviegen_runtime.data.clips import CLIP_KIND, CLIP_MEMBERS, MAX_CLIP_PIXELS, write_clip
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_runtime.media.reading import read_clip

# Shards are cut by files, so that they depend on the list alone: at most so many files, and about so many
# bytes before compression (our choice: small enough to copy around, large enough to read at full speed).
_MAX_FILES_PER_SHARD = 1000
_SHARD_BYTES = 1 << 27
_MULTIPLE = 8


@dataclass(frozen=True)
class PackOptions:
    """What every clip of a set is like.

    Args:
        frames: length of a clip.
        fps: frames a second; a video of another rate is resampled.
        height, width: size in pixels: the video's largest centred part of this aspect is resized to it.
        clips_per_video: most clips that one video gives, one after the other without overlap.

    Raises:
        ValueError: a number is out of its range.
    """

    frames: int
    fps: float
    height: int
    width: int
    clips_per_video: int

    def __post_init__(self) -> None:
        if self.frames < 1 or self.clips_per_video < 1:
            raise ValueError(
                f"frames and clips per video must be at least 1, not {self.frames} and {self.clips_per_video}"
            )
        if not 0 < self.fps <= 1000:
            raise ValueError(f"fps must be above 0 and at most 1000, not {self.fps}")
        if any(side < 1 or side % _MULTIPLE for side in (self.height, self.width)):
            raise ValueError(
                f"height and width must be multiples of {_MULTIPLE}, the autoencoder's stride, not "
                f"{self.height} and {self.width}"
            )
        if self.frames * self.height * self.width > MAX_CLIP_PIXELS:
            raise ValueError(
                f"a clip of {self.frames}x{self.height}x{self.width} is too large for a shard: "
                f"at most {MAX_CLIP_PIXELS} pixels"
            )

    @property
    def files_per_shard(self) -> int:
        """How many files of the list one shard is made of."""
        file_bytes = 3 * self.frames * self.height * self.width * self.clips_per_video
        return max(1, min(_MAX_FILES_PER_SHARD, _SHARD_BYTES // file_bytes))


@dataclass(frozen=True)
class CaptionedFile:
    """A line of the list: a file, what it shows, and what other columns say, by their names."""

    line: int
    path: Path
    caption: str
    others: Mapping[str, str]


@dataclass(frozen=True)
class FileOutcome:
    """What became of a line of the list: `clips` clips, or a `problem`."""

    file: CaptionedFile
    clips: int
    problem: str | None


@dataclass(frozen=True)
class PackList:
    """A list of videos, as it was read.

    Args:
        files: in the order of the list.
        sha256: of the list's bytes: an interrupted packing goes on only with the same list.
    """

    files: tuple[CaptionedFile, ...]
    sha256: str


def read_list(path: Path) -> PackList:
    """Read a list: CSV in UTF-8 whose first line names the columns `path` and `caption`.

    Relative paths are relative to the list.

    Raises:
        ValueError: the list cannot be read, lacks a column or has no line.
    """
    try:
        data = path.read_bytes()
        rows = csv.DictReader(data.decode("utf-8-sig").splitlines(keepends=True), strict=True)
        missing = {"path", "caption"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(
                f"{path} needs a first line with the columns path,caption; it lacks {min(missing)}"
            )
        others = [name for name in rows.fieldnames or () if name not in ("path", "caption")]
        files = tuple(
            CaptionedFile(
                rows.line_num,
                path.parent / (row["path"] or ""),
                (row["caption"] or "").strip(),
                {name: (row[name] or "").strip() for name in others},
            )
            for row in rows
        )
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not valid CSV: {error}") from error
    if not files:
        raise ValueError(f"{path} names no videos: each line after the first is a path and a caption")
    return PackList(files, hashlib.sha256(data).hexdigest())


def files_done(listing: PackList, folder: Path, options: PackOptions) -> int:
    """Begin a set, or find how many files an interrupted packing has dealt with.

    Raises:
        ValueError: the folder holds something else, or was begun with another list or other options.
    """
    return min(_begin(listing, folder, options) * options.files_per_shard, len(listing.files))


def pack_clips(
    listing: PackList, folder: Path, options: PackOptions, on_file: Callable[[FileOutcome], None]
) -> int:
    """Pack all files of a list that `files_done` does not count as done.

    Args:
        on_file: told of each file when it has been dealt with.

    Returns:
        How many clips the whole set has.

    Raises:
        ValueError: as `files_done`, or no file gave a clip.
    """
    step = options.files_per_shard
    shards = -(-len(listing.files) // step)
    for number in range(_begin(listing, folder, options), shards):
        files = listing.files[number * step : (number + 1) * step]
        write_shard(folder, number, _members(files, options, on_file))
    clips = finish(folder, shards)
    if clips == 0:
        raise ValueError(f"nothing was packed: none of the {len(listing.files)} files gave a clip")
    return clips


def cut_clips(file: CaptionedFile, options: PackOptions) -> list[CaptionedClip]:
    """The clips of one video.

    Raises:
        ValueError: it has no caption, cannot be read, or is shorter than one clip.
    """
    if not file.caption:
        raise ValueError(f"{file.path} has no caption")
    size = (options.height, options.width)
    wanted = options.frames * options.clips_per_video
    frames, fps = read_clip(file.path, size=size, fps=options.fps, max_frames=wanted)
    count = len(frames) // options.frames
    if count == 0:
        raise ValueError(
            f"{file.path} has {len(frames)} frames at {fps:g} fps; a clip needs {options.frames}"
        )
    clips = frames[: count * options.frames].reshape(count, options.frames, *frames.shape[1:])
    return [CaptionedClip(clip, fps, file.caption) for clip in clips]


def _begin(listing: PackList, folder: Path, options: PackOptions) -> int:
    return begin(folder, CLIP_KIND, CLIP_MEMBERS, {"list": listing.sha256, **asdict(options)})


def _members(
    files: Sequence[CaptionedFile], options: PackOptions, on_file: Callable[[FileOutcome], None]
) -> Iterator[dict[str, bytes]]:
    for file in files:
        try:
            members = [write_clip(clip) for clip in cut_clips(file, options)]
        except (ValueError, OSError) as error:
            on_file(FileOutcome(file, 0, str(error)))
            continue
        yield from members
        on_file(FileOutcome(file, len(members), None))
