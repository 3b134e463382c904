"""Text encoders by the name that a model's configuration calls them."""

from __future__ import annotations

from typing import Protocol

from moviegen_core import TextEncoder

from moviegen_runtime.text.minilm import MiniLM


class FrozenTextEncoder(TextEncoder, Protocol):
    """A text encoder with weights of its own, which never change."""

    @property
    def weights_hash(self) -> str:
        """SHA-256 of all that its states depend on, as hexadecimal digits."""
        ...


_ENCODERS = {"minilm": MiniLM.load}


def text_encoder(name: str) -> FrozenTextEncoder:
    """Load the encoder that a model's configuration asks for.

    Raises:
        ValueError: no encoder has this name, or its files are missing or damaged.
    """
    if name not in _ENCODERS:
        raise ValueError(f"no text encoder is called {name!r}; known: {', '.join(sorted(_ENCODERS))}")
    return _ENCODERS[name]()
