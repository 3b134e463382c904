"""The commands of `python -m moviegen_miniature` that train the judge and put clips before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from moviegen_miniature.commands import Out, open_cached, say, write_picture, write_sheet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from moviegen_miniature.casting import Split
    from moviegen_miniature.judge.evaluation import Plan

_VALIDATION_CLIPS = 200


@dataclass(frozen=True)
class JudgeTrain:
    """Train the judge from nothing."""

    out: Out
    """Folder of the weights."""
    frame_steps: int = 1500
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
        from moviegen_miniature.judge import Judge
        from moviegen_miniature.judge.evaluation import Evaluation, Plan
        from moviegen_miniature.judge.scoring import save_judge
        from moviegen_miniature.judge.training import train_judge

        sprites = open_cached(self.cache).sprites
        save_judge(train_judge(sprites, frame_steps=self.frame_steps, say=say), self.out)
        evaluation = Evaluation(Judge.load(self.out, sprites), Plan(_VALIDATION_CLIPS), say)
        evaluation.run(None, None)
        print(evaluation)


@dataclass(frozen=True)
class JudgeModel:
    """Print what a model shows: the judge's own validation, samples, paraphrases, an autoencoder's clips."""

    model: str | None = None
    """Sample a cast: "miniature" or a folder."""
    tae: str | None = None
    """Put true clips through an autoencoder: "miniature" or a folder."""
    num_prompts: int = 200
    """Prompts, or true clips, of each kind."""
    split: Literal["seen", "held_out", "both"] = "both"
    """Combinations of actor, motion and set that training saw, those it never saw, or both; paraphrases and
    what is scored apart go with the first."""
    seeds: tuple[int, ...] = (0,)
    """Trials; each samples every prompt once, with noise of its own."""
    steps: int | None = None
    """Steps of the solver; the model's default if not given."""
    guidance: float | None = None
    """Scale of the guidance; the model's default if not given."""
    micro_batch: int = 10
    """Samples that go through the transformer together."""
    quick: bool = False
    """Only see that it runs: 2 prompts of each kind, 2 steps, 2 paraphrases once. Its figures say nothing."""
    samples_only: bool = False
    """Leave out paraphrases and what is scored apart."""
    runs: Path | None = None
    """Folder of the trainings, a folder each, for the hours that they took."""
    sheet: Path | None = None
    """PNG for a contact sheet of the first 8 clips of each row, not picked."""
    judge: Path | None = None
    """Folder of the judge; the shipped one if not given."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Measure, and print the tables.

        Raises:
            ValueError: bad options, or weights that are missing or damaged.
        """
        if self.num_prompts < 1:
            raise ValueError(f"--num-prompts must be at least 1, not {self.num_prompts}")
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"--seeds must be whole numbers of at least 0, not {self.seeds}")
        import moviegen_tae
        from moviegen_runtime import load

        from moviegen_miniature.judge import Judge, goals
        from moviegen_miniature.judge.evaluation import Evaluation
        from moviegen_miniature.judge.trials import generate_seconds, half_bytes
        from moviegen_miniature.logs import hours, read_logs

        spent = None if self.runs is None else hours(read_logs(self.runs))
        judge = Judge.load(self.judge, open_cached(self.cache).sprites)
        tae = None if self.tae is None else moviegen_tae.from_pretrained(self.tae).eval()
        cast = None if self.model is None else load(self.model, micro_batch=self.micro_batch)
        evaluation = Evaluation(judge, self._plan(), say)
        evaluation.run(cast, tae)
        if spent is not None:
            evaluation.goals.append(goals.hours_goal(spent))
        if cast is not None:
            evaluation.goals.append(goals.weights_goal(half_bytes(cast.tae, cast.dit)))
            if not self.quick:
                evaluation.goals.append(goals.seconds_goal(generate_seconds(cast.model)))
        if self.sheet is not None and evaluation.shown:
            write_sheet(evaluation.shown, self.sheet)
        print(evaluation)

    def _plan(self) -> Plan:
        from moviegen_miniature.judge.evaluation import Plan
        from moviegen_miniature.prompts import PARAPHRASES

        splits: tuple[Split, ...] = ("seen", "held_out") if self.split == "both" else (self.split,)
        if self.quick:
            return Plan(2, splits, self.seeds[:1], PARAPHRASES[:2], paraphrase_seeds=1, steps=2)
        return Plan(
            self.num_prompts,
            splits,
            self.seeds,
            steps=self.steps,
            guidance=self.guidance,
            apart=not self.samples_only,
        )


@dataclass(frozen=True)
class Gallery:
    """Draw a page of fixed prompts with seeds 0, 1 and 2, none left out, with the verdict under each."""

    out: Out
    """PNG to write."""
    model: str = "miniature"
    """A cast: "miniature" or a folder."""
    prompts: int | None = None
    """Only so many of the prompts, from the first; all if not given."""
    steps: int | None = None
    """Steps of the solver; the model's default if not given."""
    judge: Path | None = None
    """Folder of the judge; the shipped one if not given."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Make the clips, draw them, and print the verdicts.

        Raises:
            ValueError: bad options, or weights that are missing or damaged.
        """
        if self.prompts is not None and self.prompts < 1:
            raise ValueError(f"--prompts must be at least 1, not {self.prompts}")
        from moviegen_runtime import load

        from moviegen_miniature.gallery import gallery, picture, table
        from moviegen_miniature.judge import Judge
        from moviegen_miniature.prompts import GALLERY

        judge = Judge.load(self.judge, open_cached(self.cache).sprites)
        page = gallery(load(self.model), judge, GALLERY[: self.prompts], self.steps, say)
        write_picture(picture(page), self.out)
        print(table(page))


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
            write_sheet(shown, self.sheet)
