"""The part of a cast that gives films their sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import moviegen_audio
import torch
from moviegen_audio import Search, Segmenting, SoundCaption, sample
from moviegen_core import weights_hash
from moviegen_dit import choose_attention, resolve_attention
from pydantic import JsonValue, ValidationError

from moviegen_runtime.pipelines.device import usable_device
from moviegen_runtime.pipelines.encoders import SIGHT, cast_encoder, cast_sight
from moviegen_runtime.pipelines.score import Composing, FrameEncoder, SoundCast, score
from moviegen_runtime.pipelines.settings import MINIATURE, CastSettings, folder_settings, miniature_settings
from moviegen_runtime.requests import ScoreRequest, ScoreSettings
from moviegen_runtime.results import AttentionName, DtypeName, Machine, ProgressCallback, Scored, ScoredFilm
from moviegen_runtime.text import FrozenTextEncoder
from moviegen_runtime.validation import first_sentence

AUDIO = "audio"
"""Folder of a model folder with the models of sound: `codec` and `dit`."""


@dataclass(frozen=True)
class Composer:
    """Models of sound in evaluation mode, with their settings and what they run on.

    Args:
        model: what the cast was loaded from.
        defaults: of requests.
        weights: SHA-256 of the weights of each model by its name.
    """

    model: str
    machine: Machine
    defaults: ScoreSettings
    models: SoundCast
    weights: dict[str, str]

    def check(self, request: ScoreRequest) -> None:
        """Refuse, before a film is there, what could not be composed.

        Raises:
            ValueError: the text is too long for its encoder, or segments are too short for their context.
        """
        caption = sound_caption(self._resolved(request))
        if caption is not None:
            self.models.text.encode([caption])

    def score(
        self,
        request: ScoreRequest,
        film: Path | str,
        output: Path | str,
        *,
        picture: Path | str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> ScoredFilm:
        """Write a film with a new sound, AAC at 48 kHz; a sound that it has is left out.

        Args:
            output: an mp4; it is there when everything is done, or not at all. A file that is there goes.
            picture: a png of the new film: frames, wave, spectrogram, and what is heard to begin.

        Raises:
            ValueError: the request cannot be carried out, or the film is damaged, too long, or has no
                picture.
            OSError: a file cannot be written.
        """
        request = self._resolved(request)
        settings, caption = request.settings(), sound_caption(request)
        sampler = partial(sample, guidance=settings.guidance, steps=settings.steps, method=settings.method)
        scored = score(
            Path(film),
            Path(output),
            self.models,
            caption,
            composing=Composing(
                Segmenting(settings.segment, settings.context),
                Search(settings.candidates),
                sampler=sampler,
            ),
            seed=request.seed,
            loudness=settings.loudness,
            picture=None if picture is None else Path(picture),
            on_progress=on_progress,
        )
        return ScoredFilm(
            **vars(scored),
            request=request,
            model=self.model,
            machine=self.machine,
            weights=self.weights,
            stages=self._stages(request, caption, scored),
        )

    def _resolved(self, request: ScoreRequest) -> ScoreRequest:
        try:
            return request.resolved(self.defaults)
        except ValidationError as error:
            raise ValueError(first_sentence(error)) from error

    def _stages(
        self, request: ScoreRequest, caption: str | None, scored: Scored
    ) -> dict[str, dict[str, JsonValue]]:
        settings, models = request.settings(), self.models
        return {
            "watching": {"pictures a second": models.dit.config.frame_rate, "size": [*models.sight.size]},
            "composing": {
                "caption": caption,
                "encoder": models.text.name,
                "seed": request.seed,
                "generator": "torch.Generator on the CPU, one a film",
                **settings.model_dump(mode="json", exclude={"loudness"}),
                "transformer": models.dit.config.model_dump(mode="json"),
                "codec": models.codec.config.model_dump(mode="json"),
            },
            "levelling": {"loudness": settings.loudness, "gain": scored.gain},
        }


def sound_caption(request: ScoreRequest) -> str | None:
    """What the transformer reads, in the template that it was trained on; None: nothing is said.

    Quality is what the paper asks for: 7 without music, 8 with it (section 6). A prompt of a video may stand
    for what is heard: it names who makes the sounds, and where. Music that is all that is said is what is
    heard.
    """
    if request.prompt is None and request.music is None:
        return None
    caption = SoundCaption(
        quality=7.0 if request.music is None else 8.0,
        speech=False,
        vocals=False,
        music=0.0 if request.music is None else 1.0,
        description=request.prompt or request.music or "",
        music_description=request.music or "",
    )
    return caption.text()


def load_composer(
    model: Path | str = MINIATURE,
    *,
    device: str = "auto",
    dtype: DtypeName = "float32",
    attention: AttentionName = "auto",
) -> Composer:
    """Load the models of sound of a cast, and none of its others.

    Args:
        model: "miniature", the weights that come with the packages; or a folder that holds the folders
            `audio/codec` and `audio/dit`, the folder of the text encoder that these name unless it is MiniLM,
            `sight` with a CLIP if the transformer has no network of its own for pictures, and, for its own
            defaults, a `cast.json`.
        device: as torch names it; "auto" is the first GPU, or else the CPU.
        attention: of the transformer, as `moviegen_dit.resolve_attention` takes it.

    Raises:
        ValueError: weights are missing or damaged, do not fit each other, the device is not there, or it
            cannot do such attention.
    """
    machine = Machine(
        device=usable_device(device), dtype=dtype, threads=torch.get_num_threads(), micro_batch=1
    )
    if (folders := audio_folders(model)) is None:
        raise ValueError(
            f"{model} has no models of sound: it must hold the folders {AUDIO}/codec and {AUDIO}/dit; give a "
            "model folder that does"
        )
    settings = miniature_settings() if str(model) == MINIATURE else folder_settings(Path(model))
    return composer_of(folders, model, machine, settings, attention=attention)


def audio_folders(model: Path | str) -> tuple[Path, Path] | None:
    """Where a cast's codec and audio transformer are; None: it has neither.

    Raises:
        ValueError: it has one of them only.
    """
    if str(model) == MINIATURE:
        return moviegen_audio.locate_codec(MINIATURE), moviegen_audio.locate_dit(MINIATURE)
    folder = Path(model) / AUDIO
    if not folder.is_dir():
        return None
    for part in ("codec", "dit"):
        if not (folder / part).is_dir():
            raise ValueError(f"{folder} must hold the folders codec and dit, and {part} is missing")
    return folder / "codec", folder / "dit"


def composer_of(
    folders: tuple[Path, Path],
    model: Path | str,
    machine: Machine,
    settings: CastSettings,
    *,
    attention: AttentionName,
    loaded: Mapping[str, FrozenTextEncoder] | None = None,
    embeddings: Path | str | None = None,
) -> Composer:
    """The composer of a codec's and a transformer's folder.

    Args:
        attention: as `load` takes it.
        loaded: text encoders by their name, not to be loaded again.
        embeddings: as `load` takes it.

    Raises:
        ValueError: weights are damaged or do not fit each other, or the machine cannot do such attention.
    """
    codec_folder, dit_folder = folders
    codec, dit = moviegen_audio.load_codec(codec_folder), moviegen_audio.load_dit(dit_folder)
    weights = {"audio-codec": weights_hash(codec_folder), "audio-dit": weights_hash(dit_folder)}
    sight: FrameEncoder
    if dit.sight is not None:
        sight = dit.sight
    else:
        sight = clip = cast_sight(model, settings, machine.device)
        weights[SIGHT] = clip.weights_hash
    spec = dit.config.text_encoder
    text = (loaded or {}).get(spec.name) or cast_encoder(spec, model, settings, machine.device, embeddings)
    dtype: torch.dtype = getattr(torch, machine.dtype)
    head_width = dit.config.head_width
    chosen = choose_attention(attention, machine.device, dtype, head_width=head_width)
    dit.use_attention(resolve_attention(chosen, machine.device, dtype, head_width=head_width))
    machine = machine.model_copy(update={"attention": chosen})
    codec = codec.to(machine.device, dtype).requires_grad_(False)
    dit = dit.to(machine.device, dtype).requires_grad_(False)
    return Composer(
        model=str(model),
        machine=machine,
        defaults=settings.sound,
        models=SoundCast(codec, dit, text, sight),
        weights={**weights, text.name: text.weights_hash},
    )
