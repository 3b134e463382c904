"""Composes the Movie Gen cast: text encoders, media, data, training, pipelines and the moviegen command.

Names are imported when they are first used, so that requests can be made and checked without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moviegen_runtime.pipelines.cast import Cast, load
    from moviegen_runtime.pipelines.saving import save
    from moviegen_runtime.requests import TextToVideoRequest
    from moviegen_runtime.results import GeneratedVideo, Machine, Progress

__all__ = ["Cast", "GeneratedVideo", "Machine", "Progress", "TextToVideoRequest", "load", "save"]

_HOMES = {
    "Cast": "pipelines.cast",
    "GeneratedVideo": "results",
    "Machine": "results",
    "Progress": "results",
    "TextToVideoRequest": "requests",
    "load": "pipelines.cast",
    "save": "pipelines.saving",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
