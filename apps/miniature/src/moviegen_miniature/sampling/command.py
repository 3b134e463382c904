"""`python -m moviegen_miniature sampling`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class SamplingStudy:
    """Compare schedules and shortcuts of the solver with a reference of many steps, from the same noise."""

    model: str = "miniature"
    """The cast: "miniature" or a folder."""
    num_prompts: int = 200
    """Prompts that every solver samples, for the judge."""
    split: Literal["seen", "held_out"] = "seen"
    """Combinations of actor, motion and set that training saw, or those it never saw."""
    reference_prompts: int = 16
    """The first of them are also sampled by the reference; errors are measured on these."""
    reference_steps: int = 1000
    """Linear Euler steps of the reference."""
    reference_cache: Path | None = None
    """Folder that keeps references; ~/.cache/moviegen/sampling if not given."""
    steps: tuple[int, ...] = (50, 25, 10)
    """Numbers of steps of every schedule."""
    guidance: float | None = None
    """Scale of the guidance; the model's default if not given."""
    micro_batch: int = 10
    """Samples that go through the transformer together."""
    plot: Path | None = None
    """PNG for errors over steps and scores over time; needs matplotlib."""
    judge: Path | None = None
    """Folder of the judge; the shipped one if not given."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Sample, and print two tables.

        Raises:
            ValueError: bad options, weights that are missing or damaged, or no matplotlib for a plot.
        """
        self._check()
        from moviegen_dit import Linear
        from moviegen_runtime import load
        from moviegen_runtime.pipelines.text_to_video import schedule

        from moviegen_miniature.judge import Judge
        from moviegen_miniature.judge.trials import prompts
        from moviegen_miniature.sampling.report import draw, schedules_table, shortcuts_table
        from moviegen_miniature.sampling.solvers import Solver, schedules, shortcuts
        from moviegen_miniature.sampling.study import Study
        from moviegen_miniature.stage import open_stage

        compared = schedules(self.steps)
        exact = Solver("linear, the reference", Linear(self.reference_steps).times())
        sprites = open_stage(cache=None if self.cache is None else str(self.cache)).sprites
        judge = Judge.load(self.judge, sprites)
        cast = load(self.model)
        defaults = cast.settings.defaults
        guidance = defaults.guidance if self.guidance is None else self.guidance
        study = Study(cast, prompts(sprites, self.split, self.num_prompts), guidance, self.micro_batch)
        folder = self.reference_cache or Path.home() / ".cache" / "moviegen" / "sampling"
        truth = study.reference(self.reference_steps, self.reference_prompts, folder, _say)
        reference = study.outcome(exact, truth, truth[0], judge)
        plain = Solver("", schedule(defaults).times())
        outcomes = [
            [
                study.outcome(each, study.latents(each, self.num_prompts, _say), truth[0], judge)
                for each in solvers
            ]
            for solvers in (compared, shortcuts(plain))
        ]
        print(schedules_table(reference, outcomes[0]))
        print(
            f"guidance {guidance:g}, {self.num_prompts} prompts ({self.split}), errors over the first "
            f"{self.reference_prompts}; below, {plain.steps} steps of the {defaults.schedule} schedule"
        )
        print(shortcuts_table(outcomes[1]))
        if self.plot is not None:
            draw(outcomes[0], outcomes[1], self.plot)

    def _check(self) -> None:
        for option, value, most in (
            ("--num-prompts", self.num_prompts, None),
            ("--reference-prompts", self.reference_prompts, self.num_prompts),
            ("--micro-batch", self.micro_batch, None),
        ):
            if value < 1 or (most is not None and value > most):
                bound = "" if most is None else f" and at most --num-prompts, {most}"
                raise ValueError(f"{option} must be at least 1{bound}, not {value}")
        if not self.steps:
            raise ValueError("--steps needs at least one number")
        if self.plot is not None and find_spec("matplotlib") is None:
            raise ValueError("a plot needs matplotlib; install it, or leave out --plot")
