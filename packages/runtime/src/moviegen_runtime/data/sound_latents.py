"""Cached sounds in shards: the codec's latent, the caption's token states, and what is seen meanwhile.

What is seen is kept as features of each picture by a frozen encoder; sounds without films have none. A set is
of one kind throughout.

Legend: C channels, T latent frames, F pictures, E width of their features, S tokens, D width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from moviegen_runtime.data.latents import Shape, parse_tensors, text_shapes, write_tensors
from moviegen_runtime.data.shards import ShardReader, read_header

SOUND_KIND = "sounds"
MEMBERS = ("json", "safetensors")
"""Endings of the members of a sample."""
_LATENT, _FEATURES, _TEXT = "latent", "features", "text."
_Extent = Annotated[int, Field(ge=1, le=1 << 20)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _SoundRecord(_Strict):
    caption: Annotated[str, Field(max_length=10_000)]
    num_samples: Annotated[int, Field(ge=1, le=1 << 40)]
    fps: Annotated[float, Field(gt=0, le=1000)] | None
    frames: Annotated[int, Field(ge=0, le=1 << 20)]


class SoundProperties(_Strict):
    """How a set of sounds was made; stored in the set's header.

    Args:
        codec: hash of the codec's weights (`moviegen_core.weights_hash`).
        sample_rate: of the codec.
        hop: samples that a latent frame stands for.
        encoders: width of the token states of each text encoder, by its name.
        encoder_hashes: hash of each text encoder's weights, by its name.
        features: hash and width of the frozen encoder of pictures; None: there are no films.
        source: what was encoded, told precisely enough that another source is refused.
        num_sounds: how many sounds the source gave.
    """

    codec: str
    sample_rate: _Extent
    hop: _Extent
    encoders: dict[str, int]
    encoder_hashes: dict[str, str]
    features: tuple[str, _Extent] | None
    source: str
    num_sounds: int


@dataclass(frozen=True)
class SeenFrames:
    """What is seen while a sound is heard.

    Args:
        values: features (F, E) of its pictures, in floating point.
        fps: frames a second.
    """

    values: Tensor
    fps: float


@dataclass(frozen=True)
class SoundSample:
    """One sound as the transformer's training sees it.

    Args:
        latent: (C, T) normalised posterior mean.
        text: (S, D) token states of the caption, by encoder; no padding.
        caption: what is heard, in the words of the template.
        num_samples: length of the sound.
        seen: what is seen; None: nothing.
    """

    latent: Tensor
    text: Mapping[str, Tensor]
    caption: str
    num_samples: int
    seen: SeenFrames | None


def write_sound(sample: SoundSample) -> dict[str, bytes]:
    """The members of a sample, by ending.

    Raises:
        ValueError: a value is not finite in float16, or too large for a record.
    """
    seen = sample.seen
    tensors = {_LATENT: sample.latent} | {_TEXT + name: states for name, states in sample.text.items()}
    if seen is not None:
        tensors[_FEATURES] = seen.values
    try:
        record = _SoundRecord(
            caption=sample.caption,
            num_samples=sample.num_samples,
            fps=None if seen is None else seen.fps,
            frames=0 if seen is None else len(seen.values),
        )
    except ValidationError as error:
        raise ValueError(f"the sound cannot be stored: {error.errors()[0]['msg']}") from error
    stored = write_tensors(tensors, f"the sound {sample.caption!r}")
    return {"json": record.model_dump_json().encode(), "safetensors": stored}


def parse_sound(members: Mapping[str, bytes], properties: SoundProperties) -> SoundSample:
    """The sample of its members.

    Raises:
        ValueError: they do not describe a sample of such a set.
    """
    try:
        record = _SoundRecord.model_validate_json(members["json"])
    except ValidationError as error:
        raise ValueError(f"record is damaged: {error.errors()[0]['msg']}") from error
    shapes: dict[str, Shape] = {_LATENT: ("C", "T")}
    if properties.features is not None:
        if record.fps is None or record.frames == 0:
            raise ValueError("record is damaged: it has no frames, and its set has")
        shapes[_FEATURES] = (record.frames, properties.features[1])
    tensors = parse_tensors(members["safetensors"], shapes | text_shapes(properties.encoders))
    if tensors[_LATENT].shape[1] != -(-record.num_samples // properties.hop):
        raise ValueError(
            f"latent of {tensors[_LATENT].shape[1]} frames cannot stand for {record.num_samples} samples"
        )
    text = {name: tensors[_TEXT + name] for name in properties.encoders}
    seen = None if record.fps is None else SeenFrames(tensors[_FEATURES], record.fps)
    return SoundSample(tensors[_LATENT], text, record.caption, record.num_samples, seen)


class ShardedSounds:
    """The samples of a set of cached sounds, by number.

    Args:
        folder: the set.
        codec: hash of the codec whose latents they must be; None: any.

    Raises:
        ValueError: no complete set of sounds, or one of another codec.
    """

    def __init__(self, folder: Path | str, *, codec: str | None = None) -> None:
        header = read_header(Path(folder))
        if header.kind != SOUND_KIND:
            raise ValueError(f"{folder} holds {header.kind}, not {SOUND_KIND}")
        try:
            self.properties = SoundProperties.model_validate_json(json.dumps(header.properties))
        except ValidationError as error:
            raise ValueError(f"{folder} does not say how it was made: {error.errors()[0]['msg']}") from error
        self.reader = ShardReader(folder, SOUND_KIND, MEMBERS)
        if codec is not None and self.properties.codec != codec:
            raise ValueError(
                f"{folder} holds latents of the codec {self.properties.codec[:12]}, not of {codec[:12]}: "
                "cache the sounds again with `moviegen data sounds`"
            )

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> SoundSample:
        """One sample, in float16.

        Raises:
            IndexError: no such sample.
            ValueError: the sample is damaged.
        """
        members = self.reader.read(index)
        try:
            return parse_sound(members, self.properties)
        except ValueError as error:
            raise ValueError(f"{self.reader.folder}: sample {index}: {error}") from error
