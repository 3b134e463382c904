"""The commands of `python -m moviegen_miniature`. Each imports what it needs when it runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moviegen_miniature.casting import Split
    from moviegen_miniature.judge import Judge
    from moviegen_miniature.judge.report import Row
    from moviegen_miniature.scene import Scene
    from moviegen_miniature.stage import Stage

_SHEET_CLIPS = 8
_VALIDATION_CLIPS = 400
Out = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _open(cache: Path | None) -> Stage:
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

        print(fetch(cache=self.cache or default_cache(), archives=self.archives, say=_say))


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
        stage = _open(self.cache)
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
        _write_sheet([clip.frames for clip in clips], self.out)
        for clip in clips:
            print(clip.caption)


@dataclass(frozen=True)
class JudgeTrain:
    """Train the judge from nothing."""

    out: Out
    """Folder of the weights."""
    frame_steps: int = 1000
    """Steps of the networks that look at frames, 64 frames each."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Train, write the weights, and print the judge's validation.

        Raises:
            ValueError: bad options.
        """
        if self.frame_steps < 1:
            raise ValueError(f"--frame-steps must be at least 1, not {self.frame_steps}")
        from moviegen_miniature.judge import Judge, table
        from moviegen_miniature.judge.report import validation
        from moviegen_miniature.judge.scoring import save_judge
        from moviegen_miniature.judge.training import train_judge
        from moviegen_miniature.judge.trials import prompts

        sprites = _open(self.cache).sprites
        save_judge(train_judge(sprites, frame_steps=self.frame_steps, say=_say), self.out)
        splits: tuple[Split, ...] = ("seen", "held_out")
        scenes = [(split, prompts(sprites, split, _VALIDATION_CLIPS)) for split in splits]
        print(table(validation(Judge.load(self.out, sprites), scenes)))


@dataclass(frozen=True)
class JudgeModel:
    """Print the judge's table: its own validation, a model's samples, and an autoencoder's clips."""

    model: str | None = None
    """Sample a cast: "miniature" or a folder."""
    tae: str | None = None
    """Put true clips through an autoencoder: "miniature" or a folder."""
    num_prompts: int = 200
    """Prompts, or true clips, of each split."""
    split: Literal["seen", "held_out", "both"] = "both"
    """Combinations of actor, motion and set that training saw, those it never saw, or a row for each."""
    seeds: tuple[int, ...] = (0,)
    """Trials; each samples every prompt once, with noise of its own."""
    steps: int | None = None
    """Steps of the solver; the model's default if not given."""
    guidance: float | None = None
    """Scale of the guidance; the model's default if not given."""
    micro_batch: int = 10
    """Samples that go through the transformer together."""
    sheet: Path | None = None
    """PNG for a contact sheet of the first 8 clips of each row, not picked."""
    judge: Path | None = None
    """Folder of the judge; the shipped one if not given."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Score, and print one table.

        Raises:
            ValueError: bad options, or weights that are missing or damaged.
        """
        if self.num_prompts < 1:
            raise ValueError(f"--num-prompts must be at least 1, not {self.num_prompts}")
        if any(seed < 0 for seed in self.seeds):
            raise ValueError(f"--seeds must not be negative, not {min(self.seeds)}")
        from moviegen_miniature.judge import Judge, table
        from moviegen_miniature.judge.report import validation
        from moviegen_miniature.judge.trials import prompts

        judge = Judge.load(self.judge, _open(self.cache).sprites)
        splits: tuple[Split, ...] = ("seen", "held_out") if self.split == "both" else (self.split,)
        scenes = [(split, prompts(judge.sprites, split, self.num_prompts)) for split in splits]
        rows = validation(judge, scenes)
        shown: list[NDArray[np.uint8]] = []
        for split, listed in scenes:
            if self.tae is not None:
                rows.append(self._through_autoencoder(judge, split, listed, self.tae, shown))
            if self.model is not None:
                rows += self._samples(judge, split, listed, self.model, shown)
        if self.sheet is not None and shown:
            _write_sheet(shown, self.sheet)
        print(table(rows))

    def _through_autoencoder(
        self, judge: Judge, split: Split, scenes: list[Scene], tae: str, shown: list[NDArray[np.uint8]]
    ) -> Row:
        import moviegen_tae

        from moviegen_miniature.judge.report import Row
        from moviegen_miniature.judge.trials import fidelity

        result = fidelity(judge, moviegen_tae.from_pretrained(tae), scenes)
        shown += result.clips[:_SHEET_CLIPS]
        print(f"autoencoder, {split}: PSNR {result.psnr:.2f} dB, SSIM {result.ssim:.3f}")
        return Row(f"autoencoder, {split}", result.verdicts)

    def _samples(
        self, judge: Judge, split: Split, scenes: list[Scene], model: str, shown: list[NDArray[np.uint8]]
    ) -> list[Row]:
        from moviegen_runtime import load

        from moviegen_miniature.judge.report import Row
        from moviegen_miniature.judge.trials import Sampling, sampled

        cast, rows = load(model, micro_batch=self.micro_batch), []
        for seed in self.seeds:
            sampling = Sampling(seed, self.steps, self.guidance)
            clips = sampled(cast, scenes, sampling, _say)
            shown += clips[:_SHEET_CLIPS]
            verdicts = [judge.score(frames, scene) for frames, scene in zip(clips, scenes, strict=True)]
            rows.append(Row(f"samples, {split}, seed {seed}", verdicts))
        return rows


@dataclass(frozen=True)
class Real:
    """Put real videos through an autoencoder that knows only the stage, and print what comes back."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Video files; of each, the largest square in its middle, at the stage's size and rate."""
    tae: str = "miniature"
    """Weights of the autoencoder: "miniature" or a folder."""
    clips: int = 8
    """Most clips of 16 frames to take of each file, one after the other from its beginning."""
    sheet: Path | None = None
    """PNG for a contact sheet of each file's first clip, above what comes back of it."""

    def run(self) -> None:
        """Measure, and print a line a file.

        Raises:
            ValueError: bad options, a file that is no video or too short, or weights that are missing.
        """
        if self.clips < 1:
            raise ValueError(f"--clips must be at least 1, not {self.clips}")
        if not self.videos:
            raise ValueError("give at least one video file")
        import moviegen_tae
        import numpy as np
        from moviegen_runtime.metrics import psnr, ssim

        from moviegen_miniature.judge.trials import real_clips, rebuilt
        from moviegen_miniature.scene import Scene

        tae = moviegen_tae.from_pretrained(self.tae).eval()
        shown: list[NDArray[np.uint8]] = []
        for path in self.videos:
            true = real_clips(path, self.clips)
            pairs = [(clip, rebuilt(tae, clip, Scene.fps)) for clip in true]
            shown += pairs[0]
            noise, similarity = (np.mean([metric(*pair) for pair in pairs]) for metric in (psnr, ssim))
            print(f"{path.name}, {len(pairs)} clips: PSNR {noise:.2f} dB, SSIM {similarity:.3f}")
        if self.sheet is not None:
            _write_sheet(shown, self.sheet)


def _write_sheet(clips: list[NDArray[np.uint8]], out: Path) -> None:
    from moviegen_core import replacing
    from moviegen_runtime.media.frames import contact_sheet, enlarged
    from PIL import Image

    with replacing(out) as aside:
        Image.fromarray(enlarged(contact_sheet(clips), 2)).save(aside)
