"""What the building of every training has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from moviegen_core import ArchConfig
from pydantic import ValidationError

from moviegen_runtime.training.batches import Interleaved
from moviegen_runtime.training.module import TrainingModule

ConfigT = TypeVar("ConfigT", bound=ArchConfig)


@dataclass(frozen=True)
class Training:
    """What is trained, and on what.

    Args:
        module: the module in training.
        length: number of samples to train on.
        collate: makes the batch of a list of their indices.
        interleaved: further sets among it, as images among videos.
    """

    module: TrainingModule[Any]
    length: int
    collate: Callable[[list[int]], Any]
    interleaved: tuple[Interleaved[Any], ...] = ()


def changed(config: ConfigT, changes: dict[str, Any]) -> ConfigT:
    """A preset with some fields changed.

    Raises:
        ValueError: a field is unknown or out of its range.
    """
    try:
        return type(config).model_validate({**config.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["architecture", *(str(part) for part in first["loc"])])
        if first["type"] == "extra_forbidden":
            raise ValueError(f"unknown key {where!r}") from error
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
