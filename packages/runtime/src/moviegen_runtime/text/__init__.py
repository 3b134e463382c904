"""Prompts and the frozen encoders that read them (paper section 3.1.4)."""

from moviegen_runtime.text.minilm import MiniLM
from moviegen_runtime.text.prompt import clean_prompt, with_fps
from moviegen_runtime.text.registry import text_encoder

__all__ = ["MiniLM", "clean_prompt", "text_encoder", "with_fps"]
