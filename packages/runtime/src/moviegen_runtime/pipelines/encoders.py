"""The frozen encoders of a cast, of texts and of pictures, and where they are."""

from __future__ import annotations

from pathlib import Path

from moviegen_dit import TextEncoderSpec

from moviegen_runtime.features.clip_sight import ClipSight
from moviegen_runtime.pipelines.settings import SETTINGS_FILE, CastSettings
from moviegen_runtime.text import CachedTextEncoder, FrozenTextEncoder, MiniLM, text_encoder

SIGHT = "sight"
"""Folder of a model folder with the CLIP that sees films for a transformer of sound."""


def cast_encoder(
    spec: TextEncoderSpec,
    model: Path | str,
    settings: CastSettings,
    device: str,
    embeddings: Path | str | None,
) -> FrozenTextEncoder:
    """The encoder that a transformer's config asks for.

    Args:
        model: "miniature", or the cast's folder.
        device: where all but MiniLM run.
        embeddings: folder that keeps what has been read, to be read once; None: none.

    Raises:
        ValueError: it is not there, is damaged, or its states have another width.
    """
    encoder = text_encoder(spec.name, _source(spec.name, model, settings), device=device)
    if encoder.width != spec.width:
        raise ValueError(
            f"the transformer reads {spec.name} states of width {spec.width}, and this encoder's are "
            f"{encoder.width} wide: they must agree"
        )
    return encoder if embeddings is None else CachedTextEncoder(encoder, embeddings)


def cast_sight(model: Path | str, settings: CastSettings, device: str) -> ClipSight:
    """What sees films for a transformer of sound that has no network of its own for pictures.

    Args:
        model: the cast's folder.

    Raises:
        ValueError: it is not there, or is damaged.
    """
    if settings.sight is not None:
        return ClipSight(_inside(model, settings.sight), device)
    folder = Path(model) / SIGHT
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder} with the CLIP that sees films for the sound transformer; put it "
            f'there, or name its place in {SETTINGS_FILE}: {{"{SIGHT}": "a folder or a Hub id"}}'
        )
    return ClipSight(folder, device)


def _source(name: str, model: Path | str, settings: CastSettings) -> Path | str | None:
    if name in settings.text_encoders:
        return _inside(model, settings.text_encoders[name])
    if name == MiniLM.name:
        return None
    folder = Path(model) / name
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder} with the text encoder {name}; put it there, or name its place in "
            f'{SETTINGS_FILE}: {{"text_encoders": {{"{name}": "a folder or a Hub id"}}}}'
        )
    return folder


def _inside(model: Path | str, source: str) -> Path | str:
    """A folder of the model's, if there is one of that name; else what was named."""
    folder = Path(model) / source
    return folder if folder.is_dir() else source
