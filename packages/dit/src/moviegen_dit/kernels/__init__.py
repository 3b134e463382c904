"""Kernels of the video transformer, each in three: plain PyTorch, Triton, and the operator that chooses."""

from moviegen_dit.kernels.attention import HEAD_WIDTHS, Attended, attention, lengths_of
from moviegen_dit.kernels.launch import Backend

__all__ = ["HEAD_WIDTHS", "Attended", "Backend", "attention", "lengths_of"]
