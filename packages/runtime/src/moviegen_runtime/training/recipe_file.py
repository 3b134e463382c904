"""Reading, overriding, writing and comparing recipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from moviegen_core import replacing
from pydantic import TypeAdapter, ValidationError

from moviegen_runtime.training.recipes import AnyRecipe, Recipe

MAX_RECIPE_BYTES = 1 << 16
_MAX_DEPTH = 16
_ADAPTER: TypeAdapter[AnyRecipe] = TypeAdapter(Recipe)

_KINDS = {
    "model": ("tae", "dit", "upsampler", "codec", "audio_dit"),
    "perceptual_features.kind": ("efficientnet_lite0", "vgg_lpips"),
}
"""The keys that decide which further keys there are, and their values."""

LENGTH_KEYS = (
    "steps",
    "log_steps",
    "checkpoint_minutes",
    "validation",
    "statistics_clips",
    "statistics_sounds",
    "data.tae",
    "data.codec",
)
"""What may change between two legs of one run: length and what is looked at, nothing that is learned."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe and apply overrides.

    Args:
        overrides: "dotted.key=value" each, the value in YAML; applied in order before validation.

    Raises:
        ValueError: the file or an override cannot be read, or the outcome is no valid recipe.
    """
    content = _read_yaml(path)
    for override in overrides:
        _apply(content, override)
    return validate_recipe(content, str(path))


def validate_recipe(content: object, where: str) -> AnyRecipe:
    """The recipe of parsed YAML.

    Raises:
        ValueError: a key is unknown, missing or out of its range; the sentence names it.
    """
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise ValueError(f"{where}: {_sentence(error)}") from error


def save_recipe(recipe: AnyRecipe, path: Path) -> None:
    """Write every key of a recipe, defaults included, so that later defaults cannot change it."""
    with replacing(path) as aside:
        aside.write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))


def first_difference(saved: AnyRecipe, given: AnyRecipe) -> str | None:
    """The first dotted key in which two recipes would learn differently; None if there is none."""
    ours, theirs = (dict(_leaves(recipe.model_dump(mode="json"))) for recipe in (saved, given))
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        if ours.get(key) != theirs.get(key) and not _is_length(key):
            return key
    return None


def _is_length(key: str) -> bool:
    return any(key == allowed or key.startswith(f"{allowed}.") for allowed in LENGTH_KEYS)


def _leaves(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise ValueError(f"{path} is larger than a recipe can be ({MAX_RECIPE_BYTES} bytes)")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read the recipe {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8") from error
    content = _parse(text, str(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold keys and values, such as 'model: tae'")
    return content


def _parse(text: str, where: str) -> Any:
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            # A few aliases of aliases are enough for more memory than there is.
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"{where} must not use YAML aliases")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise ValueError(f"{where} must not be nested deeper than {_MAX_DEPTH} levels")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise ValueError(f"an override is 'dotted.key=value', not {override!r}")
    node = content
    for part in path[:-1]:
        if node.get(part) is None:
            node[part] = {}
        if not isinstance(node[part], dict):
            raise ValueError(f"cannot set {key!r}: {part!r} holds a value, not further keys")
        node = node[part]
    node[path[-1]] = _parse(text, f"the value of {key!r}")


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    # Pydantic puts the deciding values into the path, where the file has no keys.
    values = [value for kinds in _KINDS.values() for value in kinds]
    where = ".".join(str(part) for part in first["loc"] if part not in values)
    if first["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    if first["type"] == "missing":
        return f"key {where!r} is missing"
    if first["type"].startswith("union_tag"):
        key = f"{where}.kind" if where else "model"
        return f"key {key!r} must be {' or '.join(map(repr, _KINDS[key]))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message
