"""The commands of `python -m moviegen_miniature` about the stage. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moviegen_miniature.stage import Stage

Out = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


def say(line: str) -> None:
    """Print to stderr at once."""
    print(line, file=sys.stderr, flush=True)


def open_cached(cache: Path | None) -> Stage:
    """The stage with the actors of a cache; None: the usual one."""
    from moviegen_miniature.stage import open_stage

    return open_stage(cache=None if cache is None else str(cache))


@dataclass(frozen=True)
class Fetch:
    """Fetch the actors' animations with npm, once, and build the sprites."""

    archives: Path | None = None
    """Folder that already holds the packed archives, as npm pack writes them."""
    cache: Path | None = None
    """Folder for the sprites; ~/.cache/moviegen/stage if not given."""

    def run(self) -> None:
        """Fetch, build, and say where the sprites are."""
        from moviegen_miniature.fetch import default_cache, fetch

        print(fetch(cache=self.cache or default_cache(), archives=self.archives, say=say))


@dataclass(frozen=True)
class Bench:
    """Measure how many clips a second one core renders."""

    clips: int = 500
    """Clips to render."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Render, and print the rate.

        Raises:
            ValueError: there is nothing to render.
        """
        import time

        if self.clips < 1:
            raise ValueError(f"--clips must be at least 1, not {self.clips}")
        stage = open_cached(self.cache)
        stage[0]
        start, busy = time.perf_counter(), time.process_time()
        for index in range(self.clips):
            stage[index]
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        print(
            f"{self.clips / seconds:.0f} clips of 16x64x64 a second "
            f"({self.clips / busy:.0f} a second of processor time)"
        )


@dataclass(frozen=True)
class Sheet:
    """Write a contact sheet of true clips, a row a clip, with its caption printed."""

    out: Out
    """PNG to write."""
    clips: int = 16
    """Clips on it, the first of the split."""
    split: Literal["train", "seen", "held_out"] = "train"
    """Which clips."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Render and write.

        Raises:
            ValueError: bad options.
        """
        from moviegen_miniature.stage import open_stage

        cache = None if self.cache is None else str(self.cache)
        shown = open_stage(cache=cache, split=self.split, num_clips=self.clips)
        clips = [shown[index] for index in range(self.clips)]
        write_sheet([clip.frames for clip in clips], self.out)
        for clip in clips:
            print(clip.caption)


def write_sheet(clips: list[NDArray[np.uint8]], out: Path) -> None:
    """Write a contact sheet, a row a clip, every pixel twice as large."""
    from moviegen_runtime.media.frames import contact_sheet, enlarged

    write_picture(enlarged(contact_sheet(clips), 2), out)


def write_picture(picture: NDArray[np.uint8], out: Path) -> None:
    """Write (H, W, 3) as PNG, complete or not at all."""
    from moviegen_core import replacing
    from PIL import Image

    with replacing(out) as aside:
        Image.fromarray(picture).save(aside)
