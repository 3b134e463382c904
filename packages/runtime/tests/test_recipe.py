"""Recipes: read, overridden, refused by name, compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from moviegen_runtime.training.check import check_recipe, main
from moviegen_runtime.training.recipe import DiTRecipe, LpipsFeatures, TAERecipe
from moviegen_runtime.training.recipe_file import (
    MAX_RECIPE_BYTES,
    first_difference,
    load_recipe,
    save_recipe,
    validate_recipe,
)

DIT: dict[str, Any] = {
    "model": "dit",
    "preset": "miniature",
    "batch_size": 8,
    "steps": 10,
    "optimizer": {"lr": 1e-3},
}
TAE: dict[str, Any] = {**DIT, "model": "tae", "data": {"source": "stage", "options": {"seed": 1}}}


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_model_decides_the_kind_of_recipe() -> None:
    assert isinstance(validate_recipe(DIT, "here"), DiTRecipe)
    assert isinstance(validate_recipe(TAE, "here"), TAERecipe)


def test_overrides_are_yaml_and_reach_any_depth(tmp_path: Path) -> None:
    path = write(tmp_path / "r.yaml", TAE)
    recipe = load_recipe(
        path,
        [
            "optimizer.betas=[0.8, 0.9]",
            "optimizer.lr=2e-4",
            "data.options.split=seen",
            "gradient_clip=null",
            "validation.every_steps=5",  # a section that the file does not have
            "validation.data.source=stage",
            "steps=11",
            "steps=12",
        ],
    )
    assert isinstance(recipe, TAERecipe)
    assert recipe.optimizer.betas == (0.8, 0.9)
    assert recipe.optimizer.lr == 2e-4
    assert recipe.data is not None
    assert recipe.data.options == {"seed": 1, "split": "seen"}
    assert recipe.gradient_clip is None
    assert recipe.validation is not None
    assert recipe.validation.every_steps == 5
    assert recipe.steps == 12


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr'"),
        ("text_dropout=0.1", "unknown key 'text_dropout'"),  # of the other model
        ("steps=none", "steps: input should be a valid integer"),
        ("steps=0", "steps: input should be greater than or equal to 1"),
        ("optimizer.lr=.nan", "optimizer.lr: input should be a finite number"),
        ("optimizer=null", "optimizer: input should be"),
        ("model=gan", "key 'model' must be 'tae' or 'dit' or 'upsampler' or 'codec' or 'audio_dit'"),
        ("data.shards=here", "exactly one of source and shards"),
        ("data.source=null", "exactly one of source and shards"),
        ("optimizer.name=muon", "muon_lr is given exactly when name is muon"),
        ("optimizer.muon_lr=1", "muon_lr is given exactly when name is muon"),
        ("crops.sides=[12]", "crops.sides.0: input should be a multiple of 8"),
        ("crops.sides=[]", "crops.sides: tuple should have at least 1 item"),
        ("perceptual_features.kind=vgg", "'perceptual_features.kind' must be 'efficientnet_lite0' or"),
        ("perceptual_features.kind=vgg_lpips", "key 'perceptual_features.backbone' is missing"),
        ("perceptual_features.path=x", "key 'perceptual_features.kind' must be"),
        ("discriminator.start=3", "key 'discriminator.lr' is missing"),
        ("steps.more=1", "cannot set 'steps.more': 'steps' holds a value"),
        ("steps", "'dotted.key=value', not 'steps'"),
        (".steps=1", "'dotted.key=value', not '.steps=1'"),
        ("steps=[1", "the value of 'steps' is not valid YAML"),
        ("steps=&a [*a]", "must not use YAML aliases"),
    ],
)
def test_a_wrong_override_is_refused_by_name(tmp_path: Path, override: str, sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (the sentence is compared below)
        load_recipe(write(tmp_path / "r.yaml", TAE), [override])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (["compile=true", "crops.sides=[8]", "crops.frames=[8]"], "compile is for one shape"),
        (["compile=true", "discriminator.lr=1e-3"], "leave compile or discriminator out"),
        (
            ["short_clips={frames: 4, steps: 2}", "crops.sides=[8]", "crops.frames=[8]"],
            "crops have lengths of their own",
        ),
    ],
)
def test_parts_that_do_not_go_together_are_refused(tmp_path: Path, parts: list[str], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_recipe(write(tmp_path / "r.yaml", TAE), parts)


def test_the_features_of_a_recipe_are_chosen_by_their_kind(tmp_path: Path) -> None:
    path = write(tmp_path / "r.yaml", TAE)
    chosen = {"kind": "vgg_lpips", "backbone": "vgg16.pth", "heads": "vgg.pth", "heads_sha256": "0" * 64}
    recipe = load_recipe(path, [f"perceptual_features={chosen}"])
    assert isinstance(recipe, TAERecipe)
    assert isinstance(recipe.perceptual_features, LpipsFeatures)
    assert recipe.perceptual_features.backbone_sha256.startswith("397923af")  # as in the file's own name
    save_recipe(recipe, tmp_path / "saved.yaml")
    assert load_recipe(tmp_path / "saved.yaml") == recipe


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    without = {key: value for key, value in DIT.items() if key != "optimizer"}
    with pytest.raises(ValueError, match="key 'optimizer' is missing"):
        load_recipe(write(tmp_path / "r.yaml", without))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"- 1\n- 2\n", "must hold keys and values"),
        (b"", "must hold keys and values"),
        (b"model: [", "is not valid YAML"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a: &x [1]\nb: *x\n", "must not use YAML aliases"),
        (b"a: " + b"[" * 3000 + b"]" * 3000, "nested deeper"),
        (b"model: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
        (b"#" * (MAX_RECIPE_BYTES + 1), "larger than a recipe can be"),
    ],
)
def test_hostile_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        load_recipe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the recipe"):
        load_recipe(tmp_path / "nothing.yaml")


def test_a_saved_recipe_is_the_same_recipe(tmp_path: Path) -> None:
    for content in (DIT, TAE):
        recipe = validate_recipe(content, "here")
        save_recipe(recipe, tmp_path / "saved.yaml")
        assert load_recipe(tmp_path / "saved.yaml") == recipe
        assert set(yaml.safe_load((tmp_path / "saved.yaml").read_text())) == set(type(recipe).model_fields)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"steps": 99}, None),
        ({"validation": {"every_steps": 3, "data": {"source": "stage"}}}, None),
        ({"checkpoint_minutes": 1}, None),
        ({"seed": 4}, "seed"),
        ({"optimizer": {"lr": 1e-4}}, "optimizer.lr"),
        ({"data": {"source": "stage", "options": {"seed": 2}}}, "data.options.seed"),
        ({"data": {"source": "stage", "options": {"seed": 1, "size": 32}}}, "data.options.size"),
        ({"architecture": {"patch_size": 4}}, "architecture.patch_size"),
        ({"model": "dit", "data": None}, "model"),
    ],
)
def test_the_first_difference_that_matters(change: dict[str, Any], key: str | None) -> None:
    recipe = validate_recipe(TAE, "here")
    other = validate_recipe({**TAE, **change}, "here")
    assert first_difference(recipe, recipe) is None
    difference = first_difference(recipe, other)
    assert difference == key if key != "architecture.patch_size" else difference in (key, "architecture")


PUBLISHED = {
    "parameters": 30_000_000_000,
    "batch_per_gpu": 2,
    "gpus": 3072,
    "tensor_parallel": 4,
    "context_parallel": 1,
    "samples_seen": 173_600_000,
}


def test_what_is_published_must_agree() -> None:
    row = {**DIT, "batch_size": 1536, "steps": 113_000, "published": PUBLISHED}
    validate_recipe(row, "here")
    with pytest.raises(ValueError, match="batch_size must be the published 1536, not 1535"):
        validate_recipe({**row, "batch_size": 1535}, "here")
    with pytest.raises(ValueError, match="123000 steps of 1536 are not the published"):
        validate_recipe({**row, "steps": 123_000}, "here")


def test_the_check_builds_models_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from moviegen_dit import VideoDiT, preset

    good = write(tmp_path / "good.yaml", DIT)
    facts = check_recipe(good)
    assert facts.parameters == sum(p.numel() for p in VideoDiT(preset("miniature")).parameters())
    assert main([str(good)]) == 0
    bad = write(tmp_path / "bad.yaml", {**DIT, "preset": "huge"})
    assert main([str(good), str(bad)]) == 1
    assert "BROKEN" in capsys.readouterr().out
    assert main([]) == 2
