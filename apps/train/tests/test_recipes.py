"""The recipes are the rows of Table 3."""

from __future__ import annotations

from pathlib import Path

import pytest
from moviegen_runtime.training.check import check_recipe
from moviegen_runtime.training.recipe import DiTRecipe

RECIPES = Path(__file__).parent.parent / "recipes"

# As printed: tensor and context parallel, batch a GPU, GPUs, global batch, rate, thousands of steps, millions
# of samples. The steps of the second row are printed as 123, but its samples and the stage's total say 113.
TABLE_3 = {
    "t2i_256": (1, 1, 6, 1536, 9216, 1e-4, 210, 1940),
    "t2iv_256_a": (4, 1, 2, 3072, 1536, 6e-5, 113, 173.6),
    "t2iv_256_b": (4, 1, 2, 6144, 3072, 6e-5, 72, 221.2),
    "t2iv_768_a": (4, 1, 1, 6144, 1536, 6e-5, 19.6, 30.1),
    "t2iv_768_b": (4, 1, 1, 6144, 1536, 3e-5, 11, 16.9),
    "t2iv_768_c": (4, 2, 1, 6144, 768, 2e-5, 15.9, 12.2),
    "t2iv_768_d": (4, 2, 1, 4096, 512, 1e-5, 28, 14.6),
}


def test_every_row_has_its_recipe_and_no_other() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(TABLE_3)


@pytest.mark.parametrize("row", TABLE_3)
def test_a_recipe_is_its_row(row: str) -> None:
    tensor, context, per_gpu, gpus, batch, rate, steps, samples = TABLE_3[row]
    facts = check_recipe(RECIPES / f"{row}.yaml")
    recipe, published = facts.recipe, facts.recipe.published
    assert isinstance(recipe, DiTRecipe)
    assert published is not None
    assert (published.tensor_parallel, published.context_parallel) == (tensor, context)
    assert (published.batch_per_gpu, published.gpus) == (per_gpu, gpus)
    assert batch == recipe.batch_size == per_gpu * gpus / (tensor * context)
    assert recipe.optimizer.lr == rate
    assert recipe.steps == steps * 1000
    assert published.samples_seen == samples * 1e6
    assert 0.97 < facts.parameters / published.parameters < 1


def test_the_stages_add_up_as_printed() -> None:
    assert TABLE_3["t2iv_256_a"][6] + TABLE_3["t2iv_256_b"][6] == 185
    assert sum(row[6] for name, row in TABLE_3.items() if "768" in name) == pytest.approx(74.5)
    assert sum(row[7] for name, row in TABLE_3.items() if "256_" in name) == pytest.approx(394.8)
    assert sum(row[7] for name, row in TABLE_3.items() if "768" in name) == pytest.approx(73.8)
