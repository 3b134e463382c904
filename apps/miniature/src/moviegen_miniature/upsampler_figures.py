"""`python -m moviegen_miniature upsampler-figures`: the table of the spatial upsampler."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

_SHEET_CLIPS = 4


@dataclass(frozen=True)
class UpsamplerFigures:
    """Print how good upsampled clips are, beside bilinear enlargement, the coder's ceiling and the truth."""

    upsampler: tyro.conf.Positional[str] = "miniature"
    """Weights of the upsampler: "miniature" or a folder."""
    tae: str = "miniature"
    """Weights of the autoencoder: "miniature" or a folder."""
    clips: int = 64
    """True clips, the first of the split's."""
    split: Literal["seen", "held_out"] = "held_out"
    """Combinations of actor, motion and set that training saw, or those it never saw."""
    frames: int = 24
    """Length of a clip; 24 are two windows that overlap by 4."""
    size: int = 128
    """Height and width that is upsampled to."""
    steps: int = 20
    """Steps of the solver."""
    sheet: Path | None = None
    """PNG for a contact sheet of the first 4 clips: truth, bilinear and upsampler, after the autoencoder."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Measure, and print what is asked and what was measured, then all figures.

        Raises:
            ValueError: bad options, or weights that are missing or damaged.
        """
        for name in ("clips", "frames", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, not {getattr(self, name)}")
        import moviegen_dit
        import moviegen_tae
        import torch
        from moviegen_core import replacing
        from moviegen_runtime.features.efficientnet_lite import PerceptualDistance, load_efficientnet_lite
        from moviegen_runtime.media.frames import contact_sheet
        from moviegen_runtime.pipelines.upsample import Upsampling
        from PIL import Image

        from moviegen_miniature.judge.report import goals_table
        from moviegen_miniature.stage import open_stage
        from moviegen_miniature.upsampling import BILINEAR, UPSAMPLER, goals, measured, scenes, table

        sprites = open_stage(cache=None if self.cache is None else str(self.cache)).sprites
        upsampler = moviegen_dit.upsampler_from_pretrained(self.upsampler)
        if self.size % (8 * upsampler.config.factor):
            raise ValueError(f"--size must be a multiple of {8 * upsampler.config.factor}, not {self.size}")
        rows = measured(
            scenes(sprites, self.split, count=self.clips, frames=self.frames, size=self.size),
            sprites,
            moviegen_tae.from_pretrained(self.tae),
            upsampler,
            PerceptualDistance(load_efficientnet_lite()),
            Upsampling(self.steps),
            lambda line: print(line, file=sys.stderr, flush=True),
        )
        if self.sheet is not None:
            by_name = {row.name: row.clips for row in rows}
            names = ("truth", BILINEAR, UPSAMPLER)
            shown = zip(*(by_name[name] for name in names), strict=True)
            sheet = contact_sheet([clip for clips in list(shown)[:_SHEET_CLIPS] for clip in clips])
            with replacing(self.sheet) as aside:
                Image.fromarray(sheet).save(aside)
        print(f"{self.clips} clips of {self.frames} frames, {self.split}; {torch.get_num_threads()} threads")
        print(goals_table(goals(rows)))
        print()
        print(table(rows))
