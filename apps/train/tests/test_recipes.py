"""The recipes are the rows of Table 3, the parts of the training of autoencoder and sound, an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest
from moviegen_runtime.training.audio_recipe import AudioDiTRecipe, CodecRecipe
from moviegen_runtime.training.check import check_recipe
from moviegen_runtime.training.recipe import DiTRecipe, TAERecipe
from moviegen_runtime.training.recipe_file import load_recipe

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
    others = {"paper_tae", "paper_tae_outlier", "dots", "dots_outlier"}
    others |= {"paper_audio_codec", "paper_audio_pretrain", "paper_audio_finetune"}
    assert {path.stem for path in RECIPES.glob("*.yaml")} == set(TABLE_3) | others


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


@pytest.mark.parametrize("name", ["paper_tae", "dots"])
def test_the_second_part_adds_the_penalty_to_the_same_autoencoder(name: str) -> None:
    first, second = (load_recipe(RECIPES / f"{each}.yaml") for each in (name, f"{name}_outlier"))
    assert isinstance(first, TAERecipe)
    assert isinstance(second, TAERecipe)
    assert first.architecture == second.architecture
    assert first.steps == 5 * second.steps  # 50 to 10 thousand in the paper's ablation
    assert first.loss.outlier == 0
    assert (second.loss.outlier, second.loss.outlier_radius) == (1e5, 3.0)
    assert first.loss.model_copy(update={"outlier": 1e5}) == second.loss
    assert first.seed != second.seed


def test_the_autoencoders_recipe_has_every_published_part() -> None:
    recipe = load_recipe(RECIPES / "paper_tae.yaml")
    assert isinstance(recipe, TAERecipe)
    assert recipe.loss.reconstruction > 0
    assert recipe.loss.perceptual > 0
    assert recipe.discriminator is not None
    assert recipe.discriminator.start < recipe.steps
    assert recipe.images is not None
    assert recipe.images.every == 4  # one batch of images to three of videos


def test_the_codecs_recipe_is_dacs_with_a_gaussian() -> None:
    facts = check_recipe(RECIPES / "paper_audio_codec.yaml")
    assert isinstance(facts.recipe, CodecRecipe)
    assert facts.recipe.loss.kl > 0
    assert facts.recipe.discriminator is not None
    assert (facts.recipe.discriminator.weight, facts.recipe.discriminator.features) == (1, 2)


# As printed: batch, thousands of updates, rate, decay of the average.
AUDIO_STAGES = {
    "paper_audio_pretrain": (1536, 500, 1e-4, 0.0),
    "paper_audio_finetune": (256, 50, 1e-4, 0.999),
}


@pytest.mark.parametrize("stage", AUDIO_STAGES)
def test_a_stage_of_sound_is_its_column(stage: str) -> None:
    facts = check_recipe(RECIPES / f"{stage}.yaml")
    recipe = facts.recipe
    assert isinstance(recipe, AudioDiTRecipe)
    kept = (recipe.batch_size, recipe.steps / 1000, recipe.optimizer.lr, recipe.ema_decay)
    assert kept == AUDIO_STAGES[stage]
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay) == ("adamw", 0.1)
    assert recipe.masking.model_dump() == {
        "no_context": 0.5,
        "least_masked": 0.75,
        "nothing": 0.2,
        "no_text": 0.1,
        "no_video": 0.1,
    }
    print(f"{facts.parameters:,} parameters, {facts.parameters / 13e9:.3f} of the paper's 13,000,000,000")
    assert 0.93 < facts.parameters / 13e9 < 1


def test_finetuning_of_sound_mixes_as_printed() -> None:
    first, second = (load_recipe(RECIPES / f"{stage}.yaml") for stage in AUDIO_STAGES)
    assert isinstance(first, AudioDiTRecipe)
    assert isinstance(second, AudioDiTRecipe)
    assert (first.optimizer.warmup_steps, first.optimizer.schedule) == (5000, "constant")
    assert [length.seconds for length in first.lengths] == [30]
    assert second.alone is not None
    assert second.alone.every == 10 + 1
    assert {length.seconds: length.share for length in second.lengths} == {10: 5, 30: 1}
    assert second.optimizer.schedule == "linear"
