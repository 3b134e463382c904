"""Recipes of the spatial upsampler (paper, section 3.1.5). Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from moviegen_runtime.training.recipe import ClipData, ModelRecipe, Section

_Number = TypeVar("_Number", int, float)


def _ascending(span: tuple[_Number, _Number]) -> tuple[_Number, _Number]:
    if span[0] > span[1]:
        raise ValueError(f"a span goes from the smaller to the larger, not from {span[0]} to {span[1]}")
    return span


_Count = Annotated[int, Field(ge=1)]
_Share = Annotated[float, Field(ge=0, le=1)]
_NotNegative = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]
_Quality = Annotated[int, Field(ge=1, le=100)]
_Span = Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_ascending)]
_Scales = Annotated[tuple[_Positive, _Positive], AfterValidator(_ascending)]
_Qualities = Annotated[tuple[_Quality, _Quality], AfterValidator(_ascending)]


class DegradationRound(Section):
    """One round of what happens to clips on their way; each value is drawn evenly from its span.

    Args:
        blur: standard deviation in pixels of a Gaussian, along each of its two axes.
        scale: size after it over the size before.
        noise: standard deviation of the noise, as a share of the range from black to white.
        quality: of the JPEG-like compression, as libjpeg counts it.
    """

    blur: _Span
    scale: _Scales
    noise: _Span
    quality: _Qualities


class Degradation(Section):
    """Second-order degradation (paper, section 3.1.5, after Wang et al. 2021): two rounds in a row.

    Kinds and values are ours. They are milder than those for photographs from anywhere, since what is
    upsampled is the project's own.

    Args:
        second_share: share of the clips that go through the second round.
    """

    first: DegradationRound = DegradationRound(
        blur=(0.2, 1.2), scale=(0.5, 1.1), noise=(0.0, 0.03), quality=(50, 95)
    )
    second: DegradationRound = DegradationRound(
        blur=(0.2, 0.7), scale=(0.7, 1.1), noise=(0.0, 0.015), quality=(60, 95)
    )
    second_share: _Share = 0.8


class UpsamplerValidation(Section):
    """Upsampling of held-out clips that went through the autoencoder, by the averaged weights.

    Args:
        every_steps: steps from one validation to the next.
        data: clips of the final size.
        num_clips: how many of them, from the first on.
        solver_steps: of each sample (20 in the paper).
    """

    every_steps: _Count
    data: ClipData
    num_clips: _Count = 16
    solver_steps: _Count = 20


class UpsamplerRecipe(ModelRecipe):
    """Training of the spatial upsampler (paper, section 3.1.5).

    Args:
        data: clips of the final size; None in a published recipe, given by `--set` when it is run.
        base: weights of the video transformer that it starts from, by name or folder; None: from nothing.
        tae: weights of the autoencoder, by name or folder: it codes frame by frame, and makes artifacts.
        frames: of the cuts from the clips, at random places; 14 in the paper.
        noise_draws: pairs of time and noise for each clip of a batch; batch_size counts clips.
        degradation: of the clips' small version.
        tae_artifacts: share of the clips whose small version is, instead, what the autoencoder makes of it.
        artifact_noise: deviation of noise on the latents that it decodes then, drawn evenly from the span, in
            units of the latents' own. Ours: what a transformer samples is less clean than what is encoded.
    """

    model: Literal["upsampler"]
    data: ClipData | None = None
    base: str | None = None
    tae: str = "miniature"
    frames: _Count = 14
    noise_draws: _Count = 1
    degradation: Degradation = Field(default_factory=Degradation)
    tae_artifacts: _Share = 0.5
    artifact_noise: _Span = (0.0, 0.0)
    validation: UpsamplerValidation | None = None
