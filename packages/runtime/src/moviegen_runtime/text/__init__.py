"""Prompts and the frozen encoders that read them (paper section 3.1.4).

The encoders are imported when they are first used: cleaning a prompt needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moviegen_runtime.text.prompt import clean_prompt, with_fps

if TYPE_CHECKING:
    from moviegen_runtime.text.minilm import MiniLM
    from moviegen_runtime.text.registry import FrozenTextEncoder, text_encoder

__all__ = ["FrozenTextEncoder", "MiniLM", "clean_prompt", "text_encoder", "with_fps"]


def __getattr__(name: str) -> object:
    if name == "MiniLM":
        from moviegen_runtime.text.minilm import MiniLM

        return MiniLM
    if name in ("FrozenTextEncoder", "text_encoder"):
        from moviegen_runtime.text import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
