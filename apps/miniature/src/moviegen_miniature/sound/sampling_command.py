"""`python -m moviegen_miniature sound-sampling`: how sounds are made best, against the time that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moviegen_miniature.commands import open_cached, say

Solver = Literal["euler", "midpoint"]


@dataclass(frozen=True)
class SoundSamplingStudy:
    """Print scores of sounds of pictures alone against time: solvers and steps, then guidance, then draws."""

    model: str = "miniature"
    """The cast: "miniature", or a folder that holds the folders audio/codec and audio/dit."""
    num_clips: int = 60
    """Held-out clips; none with music."""
    seconds: float = 4.0
    """Length of a clip."""
    steps: tuple[int, ...] = (8, 16, 32, 64)
    """Numbers of steps, each with each solver."""
    methods: tuple[Solver, ...] = ("euler", "midpoint")
    """Solvers."""
    guidances: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0)
    """Scales of the guidance, each with the usual steps, solver and number of draws."""
    candidates: tuple[int, ...] = (1, 4)
    """Numbers of draws, of which the one that goes best with the film is kept, likewise."""
    usual_steps: int = 16
    """Steps where something else is varied."""
    usual_method: Solver = "euler"
    """Solver where something else is varied."""
    usual_guidance: float = 3.0
    """Guidance where something else is varied."""
    batch: int = 10
    """Draws that go through the transformer together."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Make the sounds, listen, and print one table.

        Raises:
            ValueError: bad options, weights that are missing or damaged, or actors that were not fetched.
        """
        numbers = (*self.steps, *self.candidates, self.usual_steps, self.batch)
        if self.num_clips < 2 or min(numbers) < 1:
            raise ValueError("--num-clips must be at least 2, and steps, candidates and batch at least 1")
        import torch
        from moviegen_runtime.pipelines.composer import load_composer

        from moviegen_miniature.sound.classes import fit_class_judge
        from moviegen_miniature.sound.evaluation import SoundPlan
        from moviegen_miniature.sound.sampling_study import compared, settings, study_table
        from moviegen_miniature.sound.trials import SoundSampling

        plan = SoundPlan(self.num_clips, self.seconds)
        sprites = open_cached(self.cache).sprites
        cast = load_composer(self.model, device="cpu").models
        usual = SoundSampling(
            steps=self.usual_steps, guidance=self.usual_guidance, method=self.usual_method, batch=self.batch
        )
        listed = settings(usual, self.steps, self.methods, self.guidances, self.candidates)
        say("the class judge is fitted")
        outcomes = compared(cast, plan.takes(), sprites, fit_class_judge(), listed, say)
        print(
            f"{self.num_clips} held-out clips of {self.seconds:g} s, pictures alone, {self.batch} draws "
            f"together, {torch.get_num_threads()} threads"
        )
        print()
        print(study_table(outcomes))
