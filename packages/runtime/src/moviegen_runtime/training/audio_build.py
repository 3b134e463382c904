"""From a recipe of a sound model to the module that is trained and the samples that it is trained on."""

from __future__ import annotations

import moviegen_audio
from moviegen_core import weights_hash

from moviegen_runtime.data.sound_latents import ShardedSounds
from moviegen_runtime.data.sounds import open_sounds
from moviegen_runtime.media.onsets import TIMBRE_BANDS
from moviegen_runtime.training.audio_dit_module import AudioDiTModule, HeardAndSeen, collate_heard
from moviegen_runtime.training.audio_recipe import (
    AudioDiTRecipe,
    CachedSounds,
    CodecRecipe,
    SightRecipe,
    SoundsAlone,
)
from moviegen_runtime.training.batches import Interleaved
from moviegen_runtime.training.codec_module import CodecModule
from moviegen_runtime.training.parts import Training, changed
from moviegen_runtime.training.sight_module import SightModule, collate_films
from moviegen_runtime.training.sounds import collate_sounds


def codec_config(recipe: CodecRecipe) -> moviegen_audio.AudioCodecConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_audio.codec_preset(recipe.preset), recipe.architecture)


def sight_config(recipe: SightRecipe) -> moviegen_audio.SightConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_audio.sight_preset(recipe.preset), recipe.architecture)


def audio_dit_config(recipe: AudioDiTRecipe) -> moviegen_audio.AudioDiTConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_audio.dit_preset(recipe.preset), recipe.architecture)


def build_codec(recipe: CodecRecipe) -> Training:
    """The codec and its sounds.

    Raises:
        ValueError: the recipe has no data, or something that it names is not there or does not fit.
    """
    if recipe.data is None:
        raise ValueError("the recipe names no sounds: give --set data.source=NAME")
    source = open_sounds(recipe.data.source, recipe.data.options)
    config = codec_config(recipe)
    module = CodecModule(config, recipe, source)
    return Training(module, len(source), collate_sounds(source, config.sample_rate))


def build_sight(recipe: SightRecipe) -> Training:
    """What sees, and its films.

    Raises:
        ValueError: the recipe has no data, or something that it names is not there or does not fit.
    """
    if recipe.data is None:
        raise ValueError("the recipe names no films: give --set data.source=NAME")
    source = open_sounds(recipe.data.source, recipe.data.options)
    config = sight_config(recipe)
    collate = collate_films(source, config)
    if config.bands != TIMBRE_BANDS:
        raise ValueError(
            f"sounds are told in {TIMBRE_BANDS} bands; this architecture has {config.bands}: bands"
        )
    collate([0])  # refuses now what a step would trip over
    return Training(SightModule(config, recipe), len(source), collate)


def build_audio_dit(recipe: AudioDiTRecipe) -> Training:
    """The audio transformer and its cached sounds.

    Raises:
        ValueError: the recipe has no data, or something that it names is not there or does not fit.
    """
    if recipe.data is None:
        raise ValueError("the recipe names no cached sounds: give --set data.sounds=FOLDER")
    source = _open_cached(recipe.data)
    config = audio_dit_config(recipe)
    held_out = recipe.validation.num_samples if recipe.validation else 0
    if held_out >= len(source):
        raise ValueError(f"{len(source)} sounds are too few to hold {held_out} out for validation")
    sight = _open_sight(recipe, config, source)
    _check_sounds(config, source)
    alone = () if recipe.alone is None else (_open_alone(recipe.alone, config, source),)
    module = AudioDiTModule(config, recipe, source, sight)
    collate = collate_heard(source, config.text_encoder.name)
    return Training(module, len(source) - held_out, collate, alone)


def _open_cached(data: CachedSounds) -> ShardedSounds:
    codec = None if data.codec is None else weights_hash(moviegen_audio.locate_codec(data.codec))
    return ShardedSounds(data.sounds, codec=codec)


def _open_sight(
    recipe: AudioDiTRecipe, config: moviegen_audio.AudioDiTConfig, source: ShardedSounds
) -> moviegen_audio.Sight | None:
    """What the transformer sees by, if it is part of it."""
    if config.sight is None:
        if recipe.sight is not None:
            raise ValueError("this transformer has no sight of its own: leave sight out")
        return None
    if recipe.sight is None:
        raise ValueError("the recipe does not say what sees for the transformer: give --set sight=FOLDER")
    folder = moviegen_audio.locate_sight(recipe.sight)
    sight, made = moviegen_audio.load_sight(folder), source.properties.features
    if sight.config != config.sight:
        raise ValueError(f"what sees in {recipe.sight} has another architecture than the recipe's sight")
    if made is not None and made[0] != weights_hash(folder):
        raise ValueError(
            f"the films were seen by {made[0][:12]}, not by {weights_hash(folder)[:12]}: cache the sounds "
            f"again with `moviegen data sounds --sight {recipe.sight}`"
        )
    return sight


def _open_alone(
    recipe: SoundsAlone, config: moviegen_audio.AudioDiTConfig, films: ShardedSounds
) -> Interleaved[HeardAndSeen]:
    if recipe.sounds is None:
        raise ValueError("the recipe names no sounds without pictures: give --set alone.sounds=FOLDER")
    sounds = ShardedSounds(recipe.sounds, codec=films.properties.codec)
    _check_sounds(config, sounds)
    if sounds.properties.features is not None:
        raise ValueError(f"{recipe.sounds} must hold sounds without pictures; it has some")
    if sounds.properties.encoder_hashes != films.properties.encoder_hashes:
        raise ValueError(f"the captions in {recipe.sounds} were read by other text encoders than the films'")
    return Interleaved(len(sounds), collate_heard(sounds, config.text_encoder.name), recipe.every)


def _check_sounds(config: moviegen_audio.AudioDiTConfig, source: ShardedSounds) -> None:
    """Refuse now what a step would trip over."""
    made, channels = source.properties, source[0].latent.shape[0]
    if channels != config.latent_channels or made.sample_rate != config.frame_rate * made.hop:
        raise ValueError(
            f"the latents have {channels} channels at {made.sample_rate / made.hop:g} a second; this "
            f"transformer reads {config.latent_channels} at {config.frame_rate:g}"
        )
    spec = config.text_encoder
    if made.encoders.get(spec.name) != spec.width:
        raise ValueError(
            f"the sounds come with text of {made.encoders}; this transformer reads {spec.name}, "
            f"{spec.width} wide"
        )
    if made.features is not None and made.features[1] != config.video_width:
        raise ValueError(
            f"the sounds come with features {made.features[1]} wide; this transformer reads "
            f"{config.video_width}"
        )
