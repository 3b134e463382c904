"""`python -m moviegen_miniature sound-judge`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moviegen_miniature.commands import open_cached, say

if TYPE_CHECKING:
    from moviegen_miniature.sound.evaluation import SoundEvaluation
    from moviegen_miniature.sound.trials import SoundSampling


@dataclass(frozen=True)
class SoundJudge:
    """Print what sound models show: the judges' validation, the codec, sounds of pictures and captions."""

    model: str = "miniature"
    """The cast: "miniature", or a folder that holds the folders audio/codec and audio/dit."""
    codec: str | None = None
    """Only what this codec gives back of true soundtracks: "miniature", or a folder of weights."""
    video: str | None = None
    """Also make clips with this cast, "miniature" or a folder, and compare what is heard with landings on the
    video judge's tracks."""
    num_generated: int = 40
    """Clips that it makes, at least 2, all of bounces."""
    num_clips: int = 200
    """Clips, or prompts, of each kind, at least 2; with music only where music is what is judged."""
    split: Literal["seen", "held_out"] = "held_out"
    """Combinations of actor, motion and set that training saw, or those it never saw."""
    seconds: float = 4.0
    """Length of a clip."""
    seeds: tuple[int, ...] = (0,)
    """Trials; each makes every sound once, with noise of its own. Goals take the first."""
    steps: int | None = None
    """Steps of the solver; the cast's default if not given."""
    guidance: float | None = None
    """Scale of the guidance; the cast's default if not given."""
    method: Literal["euler", "midpoint", "heun"] | None = None
    """Solver; all but the first ask the transformer twice a step. The cast's default if not given."""
    candidates: int | None = None
    """Draws of each sound that has a film; the one that goes best with it is kept. The cast's default
    if not given."""
    batch: int = 10
    """Draws that go through the transformer together."""
    quick: bool = False
    """Only see that it runs: 6 clips of each kind, 2 steps. Its figures say nothing."""
    cache: Path | None = None
    """Folder of the sprites."""

    def run(self) -> None:
        """Measure, and print the tables.

        Raises:
            ValueError: bad options, weights that are missing or damaged, or actors that were not fetched.
        """
        for option, value, least in (
            ("--num-clips", self.num_clips, 2),
            ("--num-generated", self.num_generated, 2),
            ("--steps", self.steps, 1),
            ("--candidates", self.candidates, 1),
            ("--batch", self.batch, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{option} must be at least {least}, not {value}")
        if not self.seeds or min(self.seeds) < 0:
            raise ValueError(f"--seeds must be whole numbers of at least 0, not {self.seeds}")
        if self.codec is not None and self.video is not None:
            raise ValueError("a codec alone makes no sound of a video: leave out --codec or --video")
        from moviegen_miniature.sound.classes import fit_class_judge
        from moviegen_miniature.sound.evaluation import SoundEvaluation, SoundPlan
        from moviegen_miniature.sound.moods import fit_mood_judge

        plan = SoundPlan(6 if self.quick else self.num_clips, self.seconds, self.split)
        say("the judges are fitted")
        few = 100 if self.quick else 1000
        moods = fit_mood_judge(few, seconds=self.seconds)
        evaluation = SoundEvaluation(fit_class_judge(few), moods, plan, say)
        told = self._with_cast(evaluation) if self.codec is None else self._with_codec(evaluation, self.codec)
        print(f"{plan.num_clips} clips of {self.seconds:g} s, {self.split}{told}")
        print()
        print(evaluation)

    def _with_codec(self, evaluation: SoundEvaluation, source: str) -> str:
        """What a codec alone shows."""
        from moviegen_audio import load_codec

        codec = load_codec(source)
        evaluation.judges(codec.sample_rate)
        evaluation.codec(codec)
        return f"; the codec {source}"

    def _with_cast(self, evaluation: SoundEvaluation) -> str:
        """All that a cast shows; how its sounds were made."""
        from moviegen_runtime import load
        from moviegen_runtime.pipelines.composer import load_composer

        from moviegen_miniature.judge import Judge
        from moviegen_miniature.sound.trials import SoundSampling

        seeds = self.seeds[:1] if self.quick else self.seeds
        sprites = open_cached(self.cache).sprites
        composer = load_composer(self.model, device="cpu")
        cast, defaults = composer.models, composer.defaults
        sampling = SoundSampling(
            steps=2 if self.quick else self.steps or defaults.steps,
            guidance=defaults.guidance if self.guidance is None else self.guidance,
            method=self.method or defaults.method,
            seed=seeds[0],
            candidates=self.candidates or defaults.candidates,
            batch=self.batch,
        )
        evaluation.judges(cast.codec.sample_rate)
        evaluation.ranking(cast, sprites)
        evaluation.codec(cast.codec)
        evaluation.cast(cast, sprites, sampling, seeds)
        if self.video is not None:
            evaluation.generated(
                cast,
                load(self.video, micro_batch=self.batch),
                Judge.load(None, sprites),
                sampling,
                2 if self.quick else self.num_generated,
            )
        return f"; {_told(sampling)}"


def _told(sampling: SoundSampling) -> str:
    draws = f", best of {sampling.candidates}" if sampling.candidates > 1 else ""
    return f"{sampling.steps} steps of {sampling.method}, guidance {sampling.guidance:g}{draws}"
