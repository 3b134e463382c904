"""Cached latents in shards: the latent and the caption's token states of each clip, for training.

Stored in float16: latents are normalised and token states of order one, so what is lost (5e-4 relative) is
far below the noise that flow matching adds (our choice).

Legend: B batch, C channels, T frames, H rows, W columns, S tokens, D width.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from moviegen_core import Stride, TextContext, VideoLatent
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from moviegen_runtime.data.shards import ShardReader

LATENT_KIND = "latents"
LATENT_MEMBERS = ("json", "safetensors")
_LATENT = "latent"
_TEXT = "text."


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _LatentRecord(_Strict):
    caption: Annotated[str, Field(max_length=10_000)]
    fps: Annotated[float, Field(gt=0, le=1000)]
    num_frames: Annotated[int, Field(ge=1, le=1 << 16)]


class LatentProperties(_Strict):
    """How a set of latents was made; stored in the set's header.

    Args:
        tae: hash of the autoencoder's weights (`moviegen_core.weights_hash`).
        stride: clip frames, rows and columns per latent position.
        encoders: width of the token states of each text encoder, by its name.
        encoder_hashes: hash of each text encoder's weights, by its name.
        source: what was encoded, told precisely enough that another source is refused.
        num_clips: how many clips the set has.
    """

    tae: str
    stride: tuple[int, int, int]
    encoders: dict[str, int]
    encoder_hashes: dict[str, str]
    source: str
    num_clips: int


@dataclass(frozen=True)
class LatentSample:
    """One clip as the transformer's training sees it.

    Args:
        latent: (C, T, H, W) normalised posterior mean.
        text: (S, D) token states of the caption with its FPS prefix, by encoder; no padding. S is 0 where an
            encoder reads quoted text only and there is none.
        caption: what the clip shows, without the prefix.
        fps: frames a second of the clip.
        num_frames: length of the clip in frames.
    """

    latent: Tensor
    text: Mapping[str, Tensor]
    caption: str
    fps: float
    num_frames: int


@dataclass(frozen=True)
class LatentBatch:
    """Samples of one shape, together.

    Args:
        latent: of all samples, in float32.
        text: one context an encoder, padded at the end, in the order of the encoders' names, in float32.
        captions: of all samples, without the FPS prefix.
    """

    latent: VideoLatent
    text: tuple[TextContext, ...]
    captions: tuple[str, ...]


def write_latent(sample: LatentSample) -> dict[str, bytes]:
    """The members of a sample, by ending."""
    record = _LatentRecord(caption=sample.caption, fps=sample.fps, num_frames=sample.num_frames)
    tensors = {_LATENT: sample.latent} | {_TEXT + name: states for name, states in sample.text.items()}
    data = write_tensors(tensors, f"the clip {sample.caption!r}")
    return {"json": record.model_dump_json().encode(), "safetensors": data}


def parse_latent(members: Mapping[str, bytes], widths: Mapping[str, int]) -> LatentSample:
    """The sample of its members.

    Args:
        widths: width of the token states of each encoder that must be there.

    Raises:
        ValueError: they do not describe such a sample.
    """
    try:
        record = _LatentRecord.model_validate_json(members["json"])
    except ValidationError as error:
        raise ValueError(f"record is damaged: {error.errors()[0]['msg']}") from error
    shapes: dict[str, Shape] = {_LATENT: ("C", "T", "H", "W")}
    tensors = parse_tensors(members["safetensors"], shapes | text_shapes(widths))
    text = {name: tensors[_TEXT + name] for name in widths}
    return LatentSample(tensors[_LATENT], text, record.caption, record.fps, record.num_frames)


Shape = tuple[str | int, ...]
"""Of a stored tensor: a letter stands for any size but 0; "S", the tokens of a caption, for that too."""


def text_shapes(widths: Mapping[str, int]) -> dict[str, Shape]:
    """Names and shapes of stored token states.

    Args:
        widths: of each encoder.
    """
    return {_TEXT + name: ("S", width) for name, width in widths.items()}


def parse_tensors(data: bytes, shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Stored tensors of these names and shapes, in float16.

    Raises:
        ValueError: they are damaged, others, not finite, or of other shapes.
    """
    try:
        tensors = load(data)
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(f"tensors are damaged: {error}") from error
    if tensors.keys() != shapes.keys():
        raise ValueError(f"tensors are {sorted(tensors)}, not {sorted(shapes)}")
    for name, tensor in tensors.items():
        wanted = shapes[name]
        if tensor.dtype != torch.float16 or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} must be finite float16, not {tensor.dtype}")
        fits = tensor.ndim == len(wanted) and all(
            size == given if isinstance(given, int) else size > 0 or given == "S"
            for size, given in zip(tensor.shape, wanted, strict=True)
        )
        if not fits:
            sizes = ", ".join(map(str, wanted))
            shape = tuple(tensor.shape)
            raise ValueError(f"{name} has the shape {shape}; it must be ({sizes}) and not empty")
    return tensors


def write_tensors(tensors: Mapping[str, Tensor], of: str) -> bytes:
    """Tensors as they are stored, in float16.

    Args:
        of: what they belong to, for the sentence.

    Raises:
        ValueError: a value is not finite in float16.
    """
    stored = {name: tensor.to("cpu", torch.float16).contiguous() for name, tensor in tensors.items()}
    for name, tensor in stored.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} of {of} is not finite in float16")
    return save(stored)


class ShardedLatents:
    """The samples of a set of latent shards, by number.

    Args:
        folder: the set.
        tae: hash of the autoencoder whose latents they must be; None: any.

    Raises:
        ValueError: no complete set of latents, or one of another autoencoder.
    """

    def __init__(self, folder: Path | str, *, tae: str | None = None) -> None:
        self.reader = ShardReader(folder, LATENT_KIND, LATENT_MEMBERS)
        try:
            self.properties = LatentProperties.model_validate_json(json.dumps(self.reader.header.properties))
            self.stride = Stride(*self.properties.stride)
        except ValidationError as error:
            raise ValueError(f"{folder} does not say how it was made: {error.errors()[0]['msg']}") from error
        if tae is not None and self.properties.tae != tae:
            raise ValueError(
                f"{folder} holds latents of the autoencoder {self.properties.tae[:12]}, not of {tae[:12]}: "
                "cache the latents again with `moviegen data latents`"
            )

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> LatentSample:
        """One sample, in float16.

        Raises:
            IndexError: no such sample.
            ValueError: the sample is damaged.
        """
        members = self.reader.read(index)
        try:
            return parse_latent(members, self.properties.encoders)
        except ValueError as error:
            raise ValueError(f"{self.reader.folder}: sample {index}: {error}") from error


def collate(samples: Sequence[LatentSample], stride: Stride) -> LatentBatch:
    """Put samples of one shape together.

    Raises:
        ValueError: no samples, or samples that differ in shape, length, rate or encoders.
    """
    if not samples:
        raise ValueError("a batch needs at least one sample")
    kinds = {(tuple(s.latent.shape), s.num_frames, s.fps, tuple(sorted(s.text))) for s in samples}
    if len(kinds) > 1:
        raise ValueError(
            f"samples of a batch must agree in shape, frames, fps and encoders, not {sorted(kinds)}"
        )
    values = torch.stack([sample.latent for sample in samples]).float()
    latent = VideoLatent(values, stride, samples[0].num_frames, samples[0].fps)
    text = tuple(padded([s.text[name] for s in samples], name) for name in sorted(samples[0].text))
    return LatentBatch(latent, text, tuple(sample.caption for sample in samples))


def padded(states: Sequence[Tensor], encoder: str) -> TextContext:
    """Token states (S, D) of several captions as one context."""
    lengths = torch.tensor([len(one) for one in states])
    embeddings = torch.zeros(len(states), max(int(lengths.max()), 1), states[0].shape[1])
    for place, one in enumerate(states):
        embeddings[place, : len(one)] = one
    mask = torch.arange(embeddings.shape[1]) < lengths[:, None]
    return TextContext(embeddings, mask, encoder)
