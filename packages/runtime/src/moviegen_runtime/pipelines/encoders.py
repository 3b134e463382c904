"""The text encoders of a cast, and where they are."""

from __future__ import annotations

from pathlib import Path

from moviegen_dit import TextEncoderSpec

from moviegen_runtime.pipelines.settings import SETTINGS_FILE, CastSettings
from moviegen_runtime.text import CachedTextEncoder, FrozenTextEncoder, MiniLM, text_encoder


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


def _source(name: str, model: Path | str, settings: CastSettings) -> Path | str | None:
    if name in settings.text_encoders:
        source = settings.text_encoders[name]
        inside = Path(model) / source
        return inside if inside.is_dir() else source
    if name == MiniLM.name:
        return None
    folder = Path(model) / name
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder} with the text encoder {name}; put it there, or name its place in "
            f'{SETTINGS_FILE}: {{"text_encoders": {{"{name}": "a folder or a Hub id"}}}}'
        )
    return folder
