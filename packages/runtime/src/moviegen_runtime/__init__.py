"""Composes the Movie Gen cast: text encoders, media, data, training, pipelines and the moviegen command.

Names are imported when they are first used, so that requests can be made and checked without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moviegen_runtime.media.hearing import read_sound, stream_sound
    from moviegen_runtime.pipelines.cast import Cast, load
    from moviegen_runtime.pipelines.composer import Composer, load_composer
    from moviegen_runtime.pipelines.saving import save
    from moviegen_runtime.requests import ScoreRequest, TextToVideoRequest
    from moviegen_runtime.results import GeneratedVideo, Machine, Progress, ScoredFilm

__all__ = [
    "Cast",
    "Composer",
    "GeneratedVideo",
    "Machine",
    "Progress",
    "ScoreRequest",
    "ScoredFilm",
    "TextToVideoRequest",
    "load",
    "load_composer",
    "read_sound",
    "save",
    "stream_sound",
]

_HOMES = {
    "Cast": "pipelines.cast",
    "Composer": "pipelines.composer",
    "GeneratedVideo": "results",
    "Machine": "results",
    "Progress": "results",
    "ScoreRequest": "requests",
    "ScoredFilm": "results",
    "TextToVideoRequest": "requests",
    "load": "pipelines.cast",
    "load_composer": "pipelines.composer",
    "read_sound": "media.hearing",
    "save": "pipelines.saving",
    "stream_sound": "media.hearing",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
