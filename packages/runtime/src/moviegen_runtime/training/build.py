"""From a recipe to the module that is trained and the samples that it is trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import moviegen_tae
from moviegen_core import ArchConfig
from pydantic import ValidationError

from moviegen_runtime.training.clips import collate_clips, open_clips
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.recipe import DiTRecipe, TAERecipe
from moviegen_runtime.training.tae_module import TAEModule

ConfigT = TypeVar("ConfigT", bound=ArchConfig)
Collate = Callable[[list[int]], Any]


def build_training(recipe: TAERecipe | DiTRecipe) -> tuple[TrainingModule[Any], int, Collate]:
    """The module in training, the number of samples, and a function from indices to a batch.

    Raises:
        ValueError: the recipe has no data, or something that it names is not there or does not fit.
    """
    if isinstance(recipe, TAERecipe):
        return _build_tae(recipe)
    raise ValueError("not yet")


def _build_tae(recipe: TAERecipe) -> tuple[TrainingModule[Any], int, Collate]:
    if recipe.data is None:
        raise ValueError("the recipe names no clips: give --set data.shards=FOLDER or data.source=NAME")
    source = open_clips(recipe.data)
    module = TAEModule(tae_config(recipe), recipe, source)
    return module, len(source), collate_clips(source)


def tae_config(recipe: TAERecipe) -> moviegen_tae.TAEConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or it has no such field.
    """
    return _with_changes(moviegen_tae.preset(recipe.preset), recipe.architecture)


def load_initial(module: TrainingModule[Any], folder: Path) -> None:
    """Start a training from weights: the model and its average.

    Raises:
        ValueError: there are no weights, or they are of another architecture.
    """
    weights = moviegen_tae.from_pretrained(folder)
    if weights.config != module.model.config:
        raise ValueError(f"the weights in {folder} have another architecture than the recipe")
    for model in (module.model, module.ema.model):
        model.load_state_dict(weights.state_dict())


def _with_changes(config: ConfigT, changes: dict[str, Any]) -> ConfigT:
    try:
        return type(config).model_validate({**config.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["architecture", *(str(part) for part in first["loc"])])
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
