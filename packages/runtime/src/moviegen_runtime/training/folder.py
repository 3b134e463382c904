"""The folder of one training: its recipe, log, checkpoint and weights.

OUT/recipe.yaml              what is trained, every default written out
OUT/log.jsonl                one JSON object a line
OUT/checkpoints/last.ckpt    everything that the next leg needs
OUT/weights/                 averaged weights in the weights format
OUT/preview.png              what they do, where a model has a picture to show
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from moviegen_core import replacing

from moviegen_runtime.training.recipe_file import first_difference, load_recipe, save_recipe
from moviegen_runtime.training.recipes import AnyRecipe


@dataclass(frozen=True)
class RunFolder:
    """Paths of a training, and what is asked of them before and between legs."""

    root: Path

    @property
    def recipe(self) -> Path:
        return self.root / "recipe.yaml"

    @property
    def log(self) -> Path:
        return self.root / "log.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "last.ckpt"

    @property
    def weights(self) -> Path:
        return self.root / "weights"

    @property
    def preview(self) -> Path:
        return self.root / "preview.png"

    def check(self, recipe: AnyRecipe) -> int:
        """Check that a training by this recipe may use the folder; nothing is written.

        Returns:
            The number of steps that are done: 0, or that of the checkpoint.

        Raises:
            ValueError: the folder belongs to another recipe, or its checkpoint is damaged.
        """
        if self.recipe.exists():
            key = first_difference(load_recipe(self.recipe), recipe)
            if key is not None:
                raise ValueError(
                    f"{self.root} belongs to a recipe with another {key!r}: "
                    "go on with that recipe, or give a new folder"
                )
        elif self.root.is_dir() and any(self.root.iterdir()):
            raise ValueError(f"{self.root} is not empty and holds no training: give a new folder")
        return self._steps_done()

    def make(self, recipe: AnyRecipe, step: int) -> None:
        """Make the folder ready for a leg that begins after `step` steps."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        save_recipe(recipe, self.recipe)
        self._forget_log_after(step)

    def write_log(self, entry: dict[str, Any]) -> None:
        """Append one line to the log."""
        with self.log.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _steps_done(self) -> int:
        if not self.checkpoint.exists():
            return 0
        try:
            # State that a training wrote in its own folder; weights_only still refuses code.
            state = torch.load(self.checkpoint, map_location="meta", weights_only=True)
            return int(state["global_step"])
        except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError, TypeError) as error:
            raise ValueError(
                f"{self.checkpoint} is damaged: delete it to start again, or from {self.weights} by --init"
            ) from error

    def _forget_log_after(self, step: int) -> None:
        """Drop the lines of steps that a killed leg did after its checkpoint: they will be done again."""
        if not self.log.exists():
            return
        kept = []
        for line in self.log.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # a line that was being written when the leg was killed
        with replacing(self.log) as aside:
            aside.write_text("".join(kept))
