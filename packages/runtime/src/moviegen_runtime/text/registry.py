"""Text encoders by the name that a model's configuration calls them."""

from __future__ import annotations

from moviegen_core import TextEncoder

from moviegen_runtime.text.minilm import MiniLM

_ENCODERS = {"minilm": MiniLM.load}


def text_encoder(name: str) -> TextEncoder:
    """Load the encoder that a model's configuration asks for.

    Raises:
        ValueError: no encoder has this name, or its files are missing or damaged.
    """
    if name not in _ENCODERS:
        raise ValueError(f"no text encoder is called {name!r}; known: {', '.join(sorted(_ENCODERS))}")
    return _ENCODERS[name]()
