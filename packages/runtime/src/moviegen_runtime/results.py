"""What a cast gives back, and how it tells that it is at work. No torch is imported here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from moviegen_runtime.requests import ScoreRequest, TextToVideoRequest

if TYPE_CHECKING:
    from moviegen_core import VideoClip

    from moviegen_runtime.media.loudness import Loudness

DtypeName = Literal["float32", "bfloat16", "float16"]
AttentionName = Literal["auto", "sdpa", "triton", "flash", "reference"]
"""As `moviegen_dit.AttentionKind`, whose module needs torch."""


class Machine(BaseModel):
    """What a cast runs on.

    Args:
        device: as torch names it, e.g. "cpu" or "cuda:0".
        dtype: of transformers, autoencoder and codec; the text encoder and the solver's state stay float32.
        threads: of torch on the CPU; another number may round differently.
        micro_batch: samples that go through the transformer together; the last batch is padded to it.
        attention: of the transformers; what "auto" was found to be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field(max_length=32)
    dtype: DtypeName
    threads: int = Field(ge=1, le=4096)
    micro_batch: int = Field(ge=1, le=4096)
    attention: AttentionName = "sdpa"  # as it was before there was a choice


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Args:
        stage: in words, e.g. "sampling".
        done: units that are finished.
        total: units in all.
    """

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class GeneratedVideo:
    """A clip, and everything that is needed to make it again.

    Args:
        clip: batch of one, unclamped; `save` clamps.
        request: as it was carried out, every field filled in.
        model: what `load` was given.
        machine: what it ran on.
        weights: SHA-256 of the weights of each model by its name.
        stages: settings of each stage by its name, in the order in which they ran.
    """

    clip: VideoClip
    request: TextToVideoRequest
    model: str
    machine: Machine
    weights: Mapping[str, str]
    stages: Mapping[str, Mapping[str, JsonValue]]


@dataclass(frozen=True)
class Scored:
    """What a film got.

    Args:
        frames: of the film.
        seconds: how long it is.
        loudness: of the sound as it was written, before AAC.
        gain: factor by which what the codec gave was made louder; its highest peaks may have been flattened.
        picture_copied: whether the picture is the source's own, packet by packet; else it was coded anew.
        took: seconds that it took.
    """

    frames: int
    seconds: float
    loudness: Loudness
    gain: float
    picture_copied: bool
    took: float


@dataclass(frozen=True)
class ScoredFilm(Scored):
    """What a film got, and everything that is needed to make it again.

    Args:
        request: as it was carried out, every setting filled in.
        model: where the models of sound come from.
        machine: what it ran on.
        weights: SHA-256 of the weights of each model by its name.
        stages: settings of each stage by its name, in the order in which they ran.
    """

    request: ScoreRequest
    model: str
    machine: Machine
    weights: Mapping[str, str]
    stages: Mapping[str, Mapping[str, JsonValue]]
