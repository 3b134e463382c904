"""Prompts and the frozen encoders that read them (paper section 3.1.4).

The encoders are imported when they are first used: cleaning a prompt needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from moviegen_runtime.text.prompt import clean_prompt, quoted_strings, with_fps

if TYPE_CHECKING:
    from moviegen_runtime.text.cache import CachedTextEncoder
    from moviegen_runtime.text.minilm import MiniLM
    from moviegen_runtime.text.published import PublishedEncoder
    from moviegen_runtime.text.registry import FrozenTextEncoder, text_encoder

__all__ = [
    "CachedTextEncoder",
    "FrozenTextEncoder",
    "MiniLM",
    "PublishedEncoder",
    "clean_prompt",
    "quoted_strings",
    "text_encoder",
    "with_fps",
]

_HOMES = {
    "CachedTextEncoder": "cache",
    "FrozenTextEncoder": "registry",
    "MiniLM": "minilm",
    "PublishedEncoder": "published",
    "text_encoder": "registry",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
