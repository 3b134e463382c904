"""`python -m moviegen_miniature.retrain`: the miniature from nothing, in as many legs as it takes.

Stage, autoencoder, cached latents, transformer, judge: what is done is not done again, and what was stopped
goes on where it was. The cast lies in OUT/cast at the end, for `moviegen generate --model OUT/cast`.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from moviegen_runtime.training.recipes import AnyRecipe

LATENTS = 30_000
"""Clips of the stage that the transformer is trained on."""

# Floating-point operations of one sample, in units of 1e9, as torch's FlopCounterMode counts them: encoding a
# clip, and a training step's share of the two models. Muon adds so much to every step, whatever its batch.
ENCODE_GFLOP = 1.45
TRAIN_GFLOP = {"tae": 9.0, "dit": 1.2}
MUON_GFLOP = {"tae": 6.0, "dit": 33.6}
_EFFICIENCY = 0.5
"""Share of a matrix product's speed that trainings were seen to reach."""


@dataclass(frozen=True)
class Retrain:
    """Train the miniature from nothing, or go on with it, and judge it at the end."""

    recipes: Path
    """Folder with tae.yaml and dit.yaml."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of everything that is made."""
    max_minutes: float | None = None
    """End this leg after so many minutes of training, with full checkpoints."""
    archives: Path | None = None
    """Folder that already holds the actors' archives."""

    def run(self) -> None:
        """Do what is left to do, or as much of it as time allows, and print how long each part took.

        Raises:
            ValueError: a recipe or a folder cannot be used.
            KeyboardInterrupt: interrupted; the same command goes on from there.
        """
        from moviegen_runtime.cli.data import Latents
        from moviegen_runtime.training.recipe_file import load_recipe

        from moviegen_miniature.commands import Fetch
        from moviegen_miniature.judge_commands import JudgeModel

        begin = time.monotonic()
        tae = load_recipe(self.recipes / "tae.yaml")
        out = self.out.resolve()  # the recipe that is kept must not depend on where this was started
        latents, weights = out / "latents", out / "tae" / "weights"
        dit = load_recipe(self.recipes / "dit.yaml", [f"data.latents={latents}", f"data.tae={weights}"])
        say(_forecast(tae, dit))
        with _timed("stage"):
            Fetch(archives=self.archives).run()
        if not self._trained("tae", tae, begin):
            return
        with _timed("latents"):
            Latents(latents, tae=str(weights), source="stage", set=("split=train",), num_clips=LATENTS).run()
        if not self._trained("dit", dit, begin):
            return
        for name in ("tae", "dit"):
            shutil.copytree(self.out / name / "weights", self.out / "cast" / name, dirs_exist_ok=True)
        with _timed("judge"):
            JudgeModel(model=str(self.out / "cast"), tae=str(weights), runs=self.out).run()
        say(f"this leg took {(time.monotonic() - begin) / 60:.0f} minutes")

    def _trained(self, name: str, recipe: AnyRecipe, begin: float) -> bool:
        """Train one model for the time that is left; whether it is complete."""
        from moviegen_runtime.training.run import Machine, prepare_process, train

        left = None
        if self.max_minutes is not None:
            left = max(self.max_minutes - (time.monotonic() - begin) / 60, 1e-3)
        prepare_process(None)
        self.out.mkdir(parents=True, exist_ok=True)
        with _timed(name):
            complete = train(recipe, self.out / name, Machine(max_minutes=left))
        if not complete:
            say(f"time is up while {name} is trained; the same command goes on from there")
        return complete


@contextmanager
def _timed(name: str) -> Iterator[None]:
    """Say when a part begins, and how long it took."""
    say(f"{name}: begins")
    begin = time.monotonic()
    try:
        yield
    finally:
        say(f"{name}: {(time.monotonic() - begin) / 60:.1f} minutes")


def say(line: str) -> None:
    """Print to stderr at once."""
    print(line, file=sys.stderr, flush=True)


def _forecast(tae: AnyRecipe, dit: AnyRecipe) -> str:
    """How long the whole training takes here, by the speed of this machine's matrix products."""
    speed = _measured_gflops() * _EFFICIENCY
    work: dict[str, float] = {
        recipe.model: recipe.steps
        * (recipe.batch_size * TRAIN_GFLOP[recipe.model] + MUON_GFLOP[recipe.model])
        for recipe in (tae, dit)
    }
    work["latents"] = LATENTS * ENCODE_GFLOP
    parts = ", ".join(f"{name} {gflop / speed / 60:.0f}" for name, gflop in work.items())
    return f"from nothing this takes about {sum(work.values()) / speed / 60:.0f} minutes here ({parts})"


def _measured_gflops() -> float:
    """Best of a few matrix products in float32, in units of 1e9 operations a second."""
    import torch

    side = 1024
    matrix = torch.ones(side, side)
    best = 0.0
    for _ in range(8):
        begin = time.perf_counter()
        matrix @ matrix
        best = max(best, 2 * side**3 / (time.perf_counter() - begin) / 1e9)
    return best


def main() -> int:
    """Exit codes: 0 done or time is up, 2 the user can mend it, 130 interrupted."""
    command = tyro.cli(Retrain, prog="python -m moviegen_miniature.retrain")
    try:
        command.run()
    except (ValueError, OSError) as error:
        say(f"moviegen_miniature: {' '.join(str(error).split())}")
        return 2
    except KeyboardInterrupt:
        say("moviegen_miniature: interrupted; the same command goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
