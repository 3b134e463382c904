"""Recipes of the sound models (paper, section 6). Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from moviegen_runtime.training.recipe import ModelRecipe, Section

_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]
_Fraction = Annotated[float, Field(ge=0, lt=1)]


class SoundData(Section):
    """Sounds of a source that an installed distribution offers by name.

    Args:
        source: name of the source, for instance "stage".
        options: keyword arguments of the source.
    """

    source: str
    options: dict[str, JsonValue] = Field(default_factory=dict)


class CodecLossRecipe(Section):
    """Weights of the codec's terms but the discriminators'; see `moviegen_audio.AudioCodecLossWeights`."""

    mel: _NotNegative = 15.0
    waveform: _NotNegative = 0.0
    kl: _NotNegative = 1e-2


class SoundDiscriminators(Section):
    """The discriminators of periods and of windows. The paper prints nothing of them; the defaults are DAC's.

    Args:
        start: steps before the discriminators; they are neither trained nor listened to until then.
        weight: of the adversarial term.
        features: weight of the distance between features.
        channels: of each one's first layer.
        lr: peak rate of their AdamW; it follows the recipe's warm-up and schedule.
        betas: of their AdamW.
    """

    start: Annotated[int, Field(ge=0)] = 0
    weight: _Positive = 1.0
    features: _NotNegative = 2.0
    channels: _Count = 32
    lr: _Positive
    betas: tuple[_Fraction, _Fraction] = (0.8, 0.99)


class CodecValidation(Section):
    """Reconstruction of held-out sounds by the averaged weights.

    Args:
        every_steps: steps from one validation to the next.
        data: sounds to reconstruct.
        num_sounds: how many of them, from the first on.
    """

    every_steps: _Count
    data: SoundData
    num_sounds: _Count = 64


class CodecRecipe(ModelRecipe):
    """Training of the codec of sound (paper, section 6.1.1).

    Args:
        data: sounds; None in a published recipe, given by `--set` when it is run.
        crop_seconds: length of what is cut from the sounds, at random places.
        crops_per_sound: cuts from each sound of a batch; batch_size counts sounds.
        loss: weight of each term.
        discriminator: the adversarial terms; None: there are none.
        statistics_sounds: sounds whose latents give the per-channel normalisation that is saved.
    """

    model: Literal["codec"]
    data: SoundData | None = None
    crop_seconds: _Positive = 1.0
    crops_per_sound: _Count = 1
    loss: CodecLossRecipe = Field(default_factory=CodecLossRecipe)
    discriminator: SoundDiscriminators | None = None
    statistics_sounds: _Count = 256
    validation: CodecValidation | None = None

    @model_validator(mode="after")
    def _is_not_compiled(self) -> Self:
        if self.compile:
            raise ValueError("compile is not for the codec, whose layers have a way back of their own")
        return self
