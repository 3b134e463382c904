"""Text encoders by the name that a model's configuration calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from moviegen_core import TextEncoder

from moviegen_runtime.text.minilm import MiniLM
from moviegen_runtime.text.published import PUBLISHED, PublishedEncoder
from moviegen_runtime.text.reading import PrecisionName


class FrozenTextEncoder(TextEncoder, Protocol):
    """A text encoder with weights of its own, which never change."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 of all files that its states depend on, as hexadecimal digits."""
        ...

    @property
    def precision(self) -> PrecisionName:
        """What it computes in; states differ by it."""
        ...

    def check(self, prompt: str) -> None:
        """Refuse a prompt that cannot be read, without loading what reads it.

        Raises:
            ValueError: it is longer than `max_tokens`.
        """
        ...

    def free(self) -> None:
        """Give memory back where that is worth it; the encoder can be used again."""
        ...


def text_encoder(name: str, source: Path | str | None = None, *, device: str = "cpu") -> FrozenTextEncoder:
    """The encoder that a model's configuration asks for.

    Args:
        name: "minilm", "ul2", "metaclip", "byt5" or "t5".
        source: folder of its weights, or for all but MiniLM a Hub id; None: MiniLM's installed package.
        device: where all but MiniLM run, as torch names it.

    Raises:
        ValueError: no encoder has this name, or its files are missing or damaged.
    """
    if name == MiniLM.name:
        return MiniLM.load(None if source is None else Path(source))
    if name not in PUBLISHED:
        known = ", ".join(sorted([MiniLM.name, *PUBLISHED]))
        raise ValueError(f"no text encoder is called {name!r}; known: {known}")
    if source is None:
        raise ValueError(f"the text encoder {name} comes with no package: give a folder of it, or a Hub id")
    return PublishedEncoder(name, source, device)
