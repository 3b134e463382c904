"""The commands of `python -m moviegen_miniature` about sound. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Out = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class SoundCheck:
    """Print how well the sound judges hear true soundtracks without music."""

    clips: int = 200
    """Clips of each split."""
    seeds: tuple[int, ...] = (0,)
    """Of the takes; a row for each seed and split."""
    seconds: float = 4.0
    """Length of a clip."""
    rate: int = 48_000
    """Samples a second."""
    landings: int = 0
    """True pictures, at each frame rate, on which the judge is also to see landings; needs the sprites."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Render sound, listen, and print two tables.

        Raises:
            ValueError: bad options.
        """
        from moviegen_miniature.casting import Split
        from moviegen_miniature.sound.casting import SHORTEST, take_at
        from moviegen_miniature.sound.classes import fit_class_judge
        from moviegen_miniature.sound.report import kinds_table, listen_to_truth, table

        if self.clips < 2:
            raise ValueError(f"--clips must be at least 2, not {self.clips}")
        if any(seed < 0 for seed in self.seeds):
            raise ValueError(f"--seeds must not be negative, not {min(self.seeds)}")
        if not SHORTEST <= self.seconds <= 60:
            raise ValueError(f"--seconds must be from {SHORTEST:g} to 60, not {self.seconds:g}")
        classes = fit_class_judge()
        splits: tuple[Split, ...] = ("seen", "held_out")
        rows = []
        for seed in self.seeds:
            for split in splits:
                takes = [
                    take_at(index, split=split, seed=seed, seconds=self.seconds, music_probability=0.0)
                    for index in range(self.clips)
                ]
                heard = listen_to_truth(takes, self.rate, classes, _say)
                rows.append((f"true soundtracks, {split}, seed {seed}", heard))
        print(table(rows))
        print()
        print(kinds_table(rows))
        if self.landings:
            self._see()

    def _see(self) -> None:
        from moviegen_miniature.judge import Judge
        from moviegen_miniature.sound.casting import FPS_CHOICES
        from moviegen_miniature.sound.report import landings_seen
        from moviegen_miniature.stage import open_stage

        sprites = open_stage(cache=None if self.cache is None else str(self.cache)).sprites
        judge = Judge.load(None, sprites)
        print()
        for fps in FPS_CHOICES:
            seen = landings_seen(judge, self.landings, fps)
            print(
                f"landings on the judge's tracks at {fps:g} fps: {seen.events} events, F1 {seen.f1:.3f}, "
                f"median error {1000 * seen.median_error:.1f} ms"
            )


@dataclass(frozen=True)
class SoundFilms:
    """Write true clips with sound, each as an mp4 and a picture of its sound, and print their captions."""

    out: Out
    """Folder to write into; it is made if need be."""
    clips: int = 8
    """Clips, the first of the split."""
    split: Literal["train", "seen", "held_out"] = "train"
    """Which clips."""
    seed: int = 0
    """Of the clips."""
    seconds: float = 4.0
    """Length of a clip."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Render and write.

        Raises:
            ValueError: bad options, or the actors have not been fetched.
            OSError: a file cannot be written.
        """
        from moviegen_core import replacing
        from moviegen_runtime.media.onsets import onsets
        from moviegen_runtime.media.sound_picture import sound_picture
        from PIL import Image

        from moviegen_miniature.sound.film import marks, write_sound_clip
        from moviegen_miniature.sound.stage import open_sound_stage

        stage = open_sound_stage(
            cache=None if self.cache is None else str(self.cache),
            split=self.split,
            num_clips=self.clips,
            seed=self.seed,
            seconds=self.seconds,
            channels=2,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        for index in range(len(stage)):
            clip = stage[index]
            write_sound_clip(clip, self.out / f"{index:03d}.mp4")
            heard = onsets(clip.samples, clip.rate)
            drawn = sound_picture(clip.frames, clip.samples, clip.rate, marks(clip), heard)
            with replacing(self.out / f"{index:03d}.png") as aside:
                Image.fromarray(drawn).save(aside)
            print(f"{index:03d}: {clip.fps:g} fps, {clip.caption}. {clip.heard.text()}")
