"""`moviegen train`: train a model by a recipe, or go on with it. Imports no torch before it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class Train:
    """Train a model by a recipe; the same command goes on where it stopped."""

    recipe: Annotated[Path, tyro.conf.Positional]
    """YAML file that says what is trained, on what and how."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the training: its recipe, log, checkpoint and weights."""

    set: Annotated[list[str], tyro.conf.UseAppendAction] = field(default_factory=list)
    """Change a key of the recipe, as dotted.key=value; may be given again."""

    max_minutes: float | None = None
    """End this leg after so many minutes with a full checkpoint."""

    init: Path | None = None
    """Weights folder to start from if there is no checkpoint yet; shorter position tables and shallower
    decoders than the recipe's grow."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes CUDA where it is there."""

    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Number format; bf16-mixed only where the device is fast at it."""

    threads: int | None = None
    """Threads of PyTorch's operators; as many as there are cores if not given."""

    def run(self) -> None:
        """Train.

        Raises:
            ValueError: an argument, the recipe or the folder cannot be used.
            KeyboardInterrupt: interrupted; everything was saved.
        """
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"--max-minutes must be above 0, not {self.max_minutes}")
        from moviegen_runtime.training.recipe_file import load_recipe

        recipe = load_recipe(self.recipe, self.set)  # before the heavy imports: told at once
        from moviegen_runtime.training.process import prepare_process
        from moviegen_runtime.training.run import Machine, train

        prepare_process(self.threads)
        train(recipe, self.out, Machine(self.device, self.precision, self.max_minutes), self.init)
