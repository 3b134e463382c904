"""`python -m moviegen_runtime.training.check RECIPE...`: every recipe is valid, and its model can be built.

Models are built on the meta device, so that the largest take no memory.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from moviegen_runtime.training.build import new_model
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_runtime.training.recipes import AnyRecipe


@dataclass(frozen=True)
class RecipeFacts:
    """What the check found out about a recipe.

    Args:
        parameters: exact number of the model's parameters.
        nominal: what the paper says of it; None where the recipe is not of the paper.
    """

    recipe: AnyRecipe
    parameters: int
    nominal: int | None

    def __str__(self) -> str:
        r = self.recipe
        text = f"{r.model} {r.preset}, {self.parameters:,} parameters"
        if self.nominal is not None:
            text += f" ({self.parameters / self.nominal:.3f} of the paper's {self.nominal:,})"
        return f"{text}, {r.steps:,} steps of {r.batch_size:,}"


def check_recipe(path: Path) -> RecipeFacts:
    """Validate a recipe and build its model without memory.

    Raises:
        ValueError: the recipe is not valid, or its model cannot be built.
    """
    recipe = load_recipe(path)
    with torch.device("meta"):
        model = new_model(recipe)
    parameters = sum(p.numel() for p in model.parameters())
    return RecipeFacts(recipe, parameters, recipe.published.parameters if recipe.published else None)


def main(arguments: Sequence[str]) -> int:
    """Check every recipe; 0 if all are good, 1 otherwise, 2 if there is none."""
    if not arguments:
        print("name the recipes to check, for instance apps/*/recipes/*.yaml", file=sys.stderr)
        return 2
    broken = 0
    for path in map(Path, arguments):
        try:
            print(f"{path}: {check_recipe(path)}")
        except ValueError as error:
            print(f"BROKEN {error}")
            broken += 1
    print(f"{len(arguments) - broken} of {len(arguments)} recipes are good")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
