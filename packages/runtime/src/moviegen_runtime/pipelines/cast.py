"""A cast: the trained models that do a job together, loaded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import moviegen_dit
import moviegen_tae
import torch
from moviegen_core import weights_hash
from moviegen_dit import SpatialUpsampler, VideoDiT, choose_attention, resolve_attention
from moviegen_tae import TAE

from moviegen_runtime.pipelines.composer import Composer, audio_folders, composer_of
from moviegen_runtime.pipelines.device import usable_device
from moviegen_runtime.pipelines.encoders import cast_encoder
from moviegen_runtime.pipelines.settings import MINIATURE, CastSettings, folder_settings, miniature_settings
from moviegen_runtime.pipelines.text_to_video import UPSAMPLER, generate_videos
from moviegen_runtime.requests import ScoreRequest, TextToVideoRequest
from moviegen_runtime.results import (
    AttentionName,
    DtypeName,
    GeneratedVideo,
    Machine,
    ProgressCallback,
    ScoredFilm,
)
from moviegen_runtime.text import FrozenTextEncoder


@dataclass(frozen=True)
class Cast:
    """Models in evaluation mode, with their settings and what they run on.

    Args:
        model: what `load` was given.
        encoders: one for each text encoder of the transformer's config, in its order.
        weights: SHA-256 of the weights of each model that makes videos, by its name.
        composer: the models of sound; None: there are none, or they were not loaded.
        upsampler: makes videos larger; None: it was not loaded.
    """

    model: str
    machine: Machine
    settings: CastSettings
    tae: TAE
    dit: VideoDiT
    encoders: tuple[FrozenTextEncoder, ...]
    weights: dict[str, str]
    composer: Composer | None = None
    upsampler: SpatialUpsampler | None = None

    @overload
    def generate(
        self, request: TextToVideoRequest, *, on_progress: ProgressCallback | None = None
    ) -> GeneratedVideo: ...

    @overload
    def generate(
        self, request: Sequence[TextToVideoRequest], *, on_progress: ProgressCallback | None = None
    ) -> list[GeneratedVideo]: ...

    def generate(
        self,
        request: TextToVideoRequest | Sequence[TextToVideoRequest],
        *,
        on_progress: ProgressCallback | None = None,
    ) -> GeneratedVideo | list[GeneratedVideo]:
        """Make a video of a request, or one of each; what is asked for together changes nothing.

        Raises:
            ValueError: the model cannot do what is asked, or a prompt is too long for its encoder.
        """
        if isinstance(request, TextToVideoRequest):
            return generate_videos(self, [request], on_progress)[0]
        return generate_videos(self, request, on_progress)

    def score(
        self,
        request: ScoreRequest,
        film: Path | str,
        output: Path | str,
        *,
        picture: Path | str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> ScoredFilm:
        """Write a film with a new sound: see `Composer.score`.

        Raises:
            ValueError: the cast has no models of sound, or `Composer.score` refuses.
            OSError: a file cannot be written.
        """
        if self.composer is None:
            raise ValueError(f"{self.model} was loaded without models of sound, so it cannot score a film")
        return self.composer.score(request, film, output, picture=picture, on_progress=on_progress)


def load(
    model: Path | str = MINIATURE,
    *,
    device: str = "auto",
    dtype: DtypeName = "float32",
    attention: AttentionName = "auto",
    micro_batch: int = 1,
    embeddings: Path | str | None = None,
    with_sound: bool = True,
    with_upsampler: bool = False,
) -> Cast:
    """Load a cast; large text encoders are loaded when they read a prompt, and freed after.

    Args:
        model: "miniature", or a folder that holds the folders `tae` and `dit`, for sound `audio/codec` and
            `audio/dit`, for larger videos `upsampler`, one for each of its text encoders except MiniLM, and,
            for its own defaults or encoders elsewhere, a `cast.json`.
        device: as torch names it; "auto" is the first GPU, or else the CPU.
        attention: of every transformer, as `moviegen_dit.resolve_attention` takes it.
        micro_batch: samples that go through the transformer together. With 1, a sample's bits depend on its
            request alone; with more it is faster, and a sample rounds differently by its place in the batch.
        embeddings: folder that keeps what the text encoders have read, to be read once; None: none.
        with_sound: load the models of sound too, if there are any.
        with_upsampler: load the upsampler too, for requests with `upscale`.

    Raises:
        ValueError: weights are missing or damaged, there is no upsampler and one is to be loaded, the device
            is not there, or it cannot do such attention.
    """
    machine = Machine(
        device=usable_device(device), dtype=dtype, threads=torch.get_num_threads(), micro_batch=micro_batch
    )
    tae_folder, dit_folder, settings = _located(model)
    upsampler_folder = _upsampler_folder(model) if with_upsampler else None
    tae = moviegen_tae.from_pretrained(tae_folder)
    dit = moviegen_dit.from_pretrained(dit_folder)
    if tae.latent_channels != dit.config.latent_channels:
        raise ValueError(
            f"the autoencoder in {tae_folder} makes {tae.latent_channels} channels, "
            f"the transformer in {dit_folder} takes {dit.config.latent_channels}: they must agree"
        )
    encoders = tuple(
        cast_encoder(spec, model, settings, machine.device, embeddings) for spec in dit.config.text_encoders
    )
    weights = {"tae": weights_hash(tae_folder), "dit": weights_hash(dit_folder)}
    upsampler = None
    if upsampler_folder is not None:
        upsampler = moviegen_dit.upsampler_from_pretrained(upsampler_folder)
        weights[UPSAMPLER] = weights_hash(upsampler_folder)
    weights |= {encoder.name: encoder.weights_hash for encoder in encoders}
    torch_dtype: torch.dtype = getattr(torch, dtype)
    for transformer in (dit, *([] if upsampler is None else [upsampler.dit])):
        head_width = transformer.config.head_width
        transformer.use_attention(
            resolve_attention(attention, machine.device, torch_dtype, head_width=head_width)
        )
    chosen = choose_attention(attention, machine.device, torch_dtype, head_width=dit.config.head_width)
    machine = machine.model_copy(update={"attention": chosen})
    audio = audio_folders(model) if with_sound else None
    composer = audio and composer_of(
        audio,
        model,
        machine,
        settings,
        attention=attention,
        loaded={encoder.name: encoder for encoder in encoders},
        embeddings=embeddings,
    )
    return Cast(
        model=str(model),
        machine=machine,
        settings=settings,
        tae=tae.to(machine.device, torch_dtype).requires_grad_(False),
        dit=dit.to(machine.device, torch_dtype).requires_grad_(False),
        encoders=encoders,
        weights=weights,
        composer=composer,
        upsampler=upsampler and upsampler.to(machine.device, torch_dtype).requires_grad_(False),
    )


def _upsampler_folder(model: Path | str) -> Path:
    if str(model) == MINIATURE:
        return moviegen_dit.locate_upsampler(MINIATURE)
    folder = Path(model) / UPSAMPLER
    if not folder.is_dir():
        raise ValueError(
            f"{model} has no upsampler, so it cannot upscale: give by --model a folder that holds the folder "
            f"{UPSAMPLER} beside tae and dit"
        )
    return folder


def _located(model: Path | str) -> tuple[Path, Path, CastSettings]:
    if str(model) == MINIATURE:
        return moviegen_tae.locate(MINIATURE), moviegen_dit.locate(MINIATURE), miniature_settings()
    folder = Path(model)
    for part in ("tae", "dit"):
        if not (folder / part).is_dir():
            raise ValueError(
                f"{folder} is not a model folder: it must hold the folders tae and dit, and {part} is "
                f"missing (or give {MINIATURE!r})"
            )
    return folder / "tae", folder / "dit", folder_settings(folder)
