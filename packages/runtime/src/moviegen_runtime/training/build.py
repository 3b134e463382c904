"""From a recipe to the module that is trained and the samples that it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import moviegen_audio
import moviegen_dit
import moviegen_tae
import torch
from moviegen_core import VideoShape, weights_hash
from torch import Tensor, nn

from moviegen_runtime.data.latents import ShardedLatents
from moviegen_runtime.training.audio_build import (
    audio_dit_config,
    build_audio_dit,
    build_codec,
    build_sight,
    codec_config,
    sight_config,
)
from moviegen_runtime.training.audio_dit_module import AudioDiTModule
from moviegen_runtime.training.audio_recipe import AudioDiTRecipe, CodecRecipe, SightRecipe
from moviegen_runtime.training.batches import Interleaved
from moviegen_runtime.training.clips import collate_clips, open_clips
from moviegen_runtime.training.codec_module import CodecModule
from moviegen_runtime.training.dit_module import DiTModule, LatentTexts, collate_latents
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.parts import Training, changed
from moviegen_runtime.training.recipe import DiTRecipe, LatentData, LatentsAmong, TAERecipe
from moviegen_runtime.training.recipes import AnyRecipe
from moviegen_runtime.training.sight_module import SightModule
from moviegen_runtime.training.tae_module import TAEModule
from moviegen_runtime.training.upsampler_module import UpsamplerModule
from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe


def build_training(recipe: AnyRecipe) -> Training:
    """Everything that is trained and trained on; the first weights depend on the recipe's seed alone.

    Raises:
        ValueError: the recipe has no data, or something that it names is not there or does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        match recipe:
            case TAERecipe():
                return _build_tae(recipe)
            case DiTRecipe():
                return _build_dit(recipe)
            case UpsamplerRecipe():
                return _build_upsampler(recipe)
            case CodecRecipe():
                return build_codec(recipe)
            case SightRecipe():
                return build_sight(recipe)
            case AudioDiTRecipe():
                return build_audio_dit(recipe)


def new_model(recipe: AnyRecipe) -> nn.Module:
    """The model of a recipe with new weights.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    match recipe:
        case TAERecipe():
            return moviegen_tae.TAE(tae_config(recipe))
        case DiTRecipe():
            return moviegen_dit.VideoDiT(dit_config(recipe))
        case UpsamplerRecipe():
            return moviegen_dit.SpatialUpsampler(upsampler_config(recipe))
        case CodecRecipe():
            return moviegen_audio.AudioCodec(codec_config(recipe))
        case SightRecipe():
            return moviegen_audio.Sight(sight_config(recipe))
        case AudioDiTRecipe():
            return moviegen_audio.AudioDiT(audio_dit_config(recipe))


def tae_config(recipe: TAERecipe) -> moviegen_tae.TAEConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_tae.preset(recipe.preset), recipe.architecture)


def dit_config(recipe: DiTRecipe) -> moviegen_dit.VideoDiTConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_dit.preset(recipe.preset), recipe.architecture)


def upsampler_config(recipe: UpsamplerRecipe) -> moviegen_dit.UpsamplerConfig:
    """The architecture of a recipe.

    Raises:
        ValueError: there is no such preset, or a changed field is unknown or out of its range.
    """
    return changed(moviegen_dit.upsampler_preset(recipe.preset), recipe.architecture)


def load_initial(module: TrainingModule[Any], folder: Path) -> str | None:
    """Start a training from weights: the model and its average.

    Position tables of a video transformer that are shorter than the recipe's are grown to its lengths, as
    from one stage of the paper's training to the next; its patches are split where the recipe has such of
    1 x 1 x 1. The decoder of an autoencoder that has fewer residual
    blocks than the recipe's is deepened by blocks that begin as the identity. An audio transformer is to see
    by the recipe's sight, whatever the weights saw by. All else must be equal.

    Returns:
        In words, what was changed; None: nothing.

    Raises:
        ValueError: there are no weights, or they are of another architecture.
    """
    weights, changes = _initial_state(module, folder)
    for model in (module.model, module.ema.model):
        model.load_state_dict(weights)
    return changes


def _initial_state(module: TrainingModule[Any], folder: Path) -> tuple[dict[str, Tensor], str | None]:
    wanted = module.model.config
    model: Any
    match module:
        case TAEModule():
            model = moviegen_tae.from_pretrained(folder)
        case UpsamplerModule():
            model = moviegen_dit.upsampler_from_pretrained(folder)
        case CodecModule():
            model = moviegen_audio.load_codec(folder)
        case SightModule():
            model = moviegen_audio.load_sight(folder)
        case AudioDiTModule():
            model = moviegen_audio.load_dit(folder)
            if model.config == wanted and not _alike(model.sight, module.model.sight):
                model.sight = module.model.sight
                return model.state_dict(), "sight replaced by the recipe's"
        case _:
            model = moviegen_dit.from_pretrained(folder)
    if model.config == wanted:
        return model.state_dict(), None
    given, asked = model.config.model_dump(), wanted.model_dump()
    odd = [name for name in asked if given[name] != asked[name]]
    if isinstance(module, DiTModule) and set(odd) <= {"patch", "positions"}:
        return _grown_dit(model, module.model.config)
    if odd == ["decoder_blocks"] and isinstance(module, TAEModule):
        try:
            deeper = moviegen_tae.deepen_decoder(model, asked["decoder_blocks"])
        except ValueError as error:
            raise ValueError(
                f"the weights in {folder} do not fit architecture.decoder_blocks: {error}"
            ) from None
        return (
            deeper.state_dict(),
            f"decoder deepened from {given['decoder_blocks']} to {asked['decoder_blocks']}",
        )
    raise ValueError(
        f"the weights in {folder} have another architecture than the recipe: {odd[0]} is {given[odd[0]]} "
        f"in the weights, {asked[odd[0]]} in the recipe, whose key architecture may change it"
    )


def _grown_dit(
    model: moviegen_dit.VideoDiT, wanted: moviegen_dit.VideoDiTConfig
) -> tuple[dict[str, Tensor], str]:
    """The state of a model that was made for less, and in words what was added to it.

    Raises:
        ValueError: the recipe asks for shorter tables, or for other patches than these or 1 x 1 x 1.
    """
    has, changes = model.config, []
    state: dict[str, Tensor] = model.state_dict()
    positions = has.positions
    if has.patch != wanted.patch:
        if wanted.patch != (1, 1, 1):
            raise ValueError(f"patches can be split to (1, 1, 1) only, not to {wanted.patch}")
        state, shape = moviegen_dit.split_patches(state, has.patch), has.max_latent_shape
        positions = (shape.frames, shape.height, shape.width)
        changes.append(f"patches split from {has.patch} to {wanted.patch}")
    if positions != wanted.positions:
        state = moviegen_dit.grow_positions(state, wanted.positions)
        changes.append(f"position tables grown from {positions} to {wanted.positions}")
    return state, ", ".join(changes)


def _alike(one: nn.Module | None, other: nn.Module | None) -> bool:
    """Whether two models of one architecture have the same weights, but for their rounding to float16."""
    if one is None or other is None:
        return one is other
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a.half(), b.half()) for a, b in pairs)


def _build_tae(recipe: TAERecipe) -> Training:
    if recipe.data is None:
        raise ValueError("the recipe names no clips: give --set data.shards=FOLDER or --set data.source=NAME")
    source = open_clips(recipe.data)
    return Training(TAEModule(tae_config(recipe), recipe, source), len(source), collate_clips(source))


def _build_dit(recipe: DiTRecipe) -> Training:
    if recipe.data is None:
        raise ValueError("the recipe names no latents: give --set data.latents=FOLDER")
    source = _open_latents(recipe.data)
    config = dit_config(recipe)
    held_out = recipe.validation.num_samples if recipe.validation else 0
    if held_out >= len(source):
        raise ValueError(f"{len(source)} latents are too few to hold {held_out} out for validation")
    _check_fit(config, source)
    among: list[Interleaved[LatentTexts]] = []
    if recipe.images is not None:
        among.append(_open_among("images", recipe.images, config, source))
    if recipe.longer is not None:
        among.append(_open_among("longer", recipe.longer, config, source))
    module = DiTModule(config, recipe, source)
    return Training(module, len(source) - held_out, collate_latents(source), tuple(among))


def _build_upsampler(recipe: UpsamplerRecipe) -> Training:
    if recipe.data is None:
        raise ValueError("the recipe names no clips: give --set data.shards=FOLDER or --set data.source=NAME")
    source = open_clips(recipe.data)
    module = UpsamplerModule(upsampler_config(recipe), recipe, source)
    return Training(module, len(source), collate_clips(source))


def _open_among(
    name: Literal["images", "longer"],
    plan: LatentsAmong,
    config: moviegen_dit.VideoDiTConfig,
    videos: ShardedLatents,
) -> Interleaved[LatentTexts]:
    if plan.latents is None:
        raise ValueError(f"the recipe names no latents for {name}: give --set {name}.latents=FOLDER")
    among = ShardedLatents(plan.latents, tae=videos.properties.tae)
    _check_fit(config, among)
    frames, usual = among[0].latent.shape[1], videos[0].latent.shape[1]
    if name == "images" and frames != 1:
        raise ValueError(f"{plan.latents} must hold latents of images, not of {frames} latent frames")
    if name == "longer" and frames <= usual:
        raise ValueError(
            f"{plan.latents} must hold latents of longer clips than the {usual} latent frames of the others, "
            f"not of {frames}"
        )
    if among.properties.encoder_hashes != videos.properties.encoder_hashes:
        raise ValueError(
            f"the captions in {plan.latents} were read by other text encoders than those of the videos"
        )
    return Interleaved(len(among), collate_latents(among), plan.every)


def _open_latents(data: LatentData) -> ShardedLatents:
    tae = None if data.tae is None else weights_hash(moviegen_tae.locate(data.tae))
    return ShardedLatents(data.latents, tae=tae)


def _check_fit(config: moviegen_dit.VideoDiTConfig, source: ShardedLatents) -> None:
    latent = source[0].latent
    if latent.shape[0] != config.latent_channels:
        raise ValueError(
            f"the latents have {latent.shape[0]} channels; this transformer reads {config.latent_channels}"
        )
    config.token_shape(VideoShape(*latent.shape[1:]))
    wanted = {spec.name: spec.width for spec in config.text_encoders}
    if source.properties.encoders != wanted:
        raise ValueError(
            f"the latents come with text of {source.properties.encoders}; this transformer reads {wanted}"
        )
