"""Recipes of the sound models (paper, section 6). Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from moviegen_runtime.training.recipe import ModelRecipe, Section

_Count = Annotated[int, Field(ge=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]
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


class SoundValidation(Section):
    """What the averaged weights make of held-out sounds, and of their films where these are seen.

    Args:
        every_steps: steps from one validation to the next.
        data: the sounds.
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
        loss: weight of each term.
        discriminator: the adversarial terms; None: there are none.
        decoder_only: keep the encoder and the statistics of its latents as `--init` brings them, so that
            what is cached, and a transformer of such latents, go on fitting the codec.
        statistics_sounds: sounds whose latents give the per-channel normalisation that is saved.
    """

    model: Literal["codec"]
    data: SoundData | None = None
    crop_seconds: _Positive = 1.0
    loss: CodecLossRecipe = Field(default_factory=CodecLossRecipe)
    discriminator: SoundDiscriminators | None = None
    decoder_only: bool = False
    statistics_sounds: _Count = 256
    validation: SoundValidation | None = None

    @model_validator(mode="after")
    def _is_not_compiled(self) -> Self:
        if self.compile:
            raise ValueError("compile is not for the codec, whose layers have a way back of their own")
        return self


class SightRecipe(ModelRecipe):
    """Training of what sees for an audio transformer, on what begins in the sound of a film (ours).

    Args:
        data: sounds with films; None in a published recipe, given by `--set` when it is run.
        beginning_weight: of frames in which something begins, beside all others.
        timbre_weight: of the error of its timbre, beside that of whether something begins.
    """

    model: Literal["sight"]
    data: SoundData | None = None
    beginning_weight: _Positive = 4.0
    timbre_weight: _Positive = 4.0
    validation: SoundValidation | None = None


class CachedSounds(Section):
    """Cached sounds, as `moviegen data sounds` writes them.

    Args:
        sounds: folder of the shards.
        codec: weights folder of the codec that their latents must come from; None: any.
    """

    sounds: Path
    codec: str | None = None


class SoundsAlone(Section):
    """Joint training on sounds without pictures.

    Args:
        sounds: folder of the shards; None in a published recipe.
        every: one batch of them in so many batches; 11 are the paper's ten of films to one of sounds.
    """

    sounds: Path | None = None
    every: Annotated[int, Field(ge=2)] = 11


class MaskingRecipe(Section):
    """What a step hides; the defaults are the paper's. See `moviegen_audio.AudioMasking`."""

    no_context: _Share = 0.5
    least_masked: _Share = 0.75
    nothing: _Share = 0.2
    no_text: _Share = 0.1
    no_video: _Share = 0.1


class SoundLength(Section):
    """One of the lengths that batches are cut to.

    Args:
        seconds: of the cut; sounds that are shorter stay whole.
        share: how often, beside the shares of the other lengths.
    """

    seconds: _Positive
    share: _Positive = 1.0


class AudioDiTValidation(Section):
    """Flow-matching loss of held-out sounds at fixed times and noise, by the averaged weights.

    Args:
        every_steps: steps from one validation to the next.
        num_samples: how many sounds are held out of training, the last ones of the set.
    """

    every_steps: _Count
    num_samples: _Count = 128


class AudioDiTRecipe(ModelRecipe):
    """Training of the audio transformer on cached sounds (paper, section 6.1).

    Args:
        data: sounds, with what is seen or without; None in a published recipe, given by `--set`.
        sight: weights of a training of sight: what the transformer sees by, unchanged, and what made the
            features of the films in `data`; needed exactly by an architecture that has one.
        alone: batches of sounds without pictures among the others; None: what is in `data` only.
        lengths: what batches are cut to; empty: sounds stay whole.
        masking: what is hidden.
        noise_draws: pairs of time and noise for each sound of a batch; batch_size counts sounds.
    """

    model: Literal["audio_dit"]
    data: CachedSounds | None = None
    sight: str | None = None
    alone: SoundsAlone | None = None
    lengths: tuple[SoundLength, ...] = ()
    masking: MaskingRecipe = Field(default_factory=MaskingRecipe)
    noise_draws: _Count = 1
    validation: AudioDiTValidation | None = None

    @model_validator(mode="after")
    def _one_shape_is_compiled(self) -> Self:
        if self.compile and len(self.lengths) > 1:
            raise ValueError("compile is for one shape, and lengths are several: leave one of them out")
        return self
