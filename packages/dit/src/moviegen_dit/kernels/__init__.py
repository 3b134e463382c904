"""Kernels of the video transformer, each in three: plain PyTorch, Triton, and the operator that chooses."""

from moviegen_dit.kernels.adaln import Residual, modulated_norm, residual_norm
from moviegen_dit.kernels.attention import HEAD_WIDTHS, Attended, attention, lengths_of, packed_attention
from moviegen_dit.kernels.launch import Backend
from moviegen_dit.kernels.packing import Packing
from moviegen_dit.kernels.swiglu import swiglu

__all__ = [
    "HEAD_WIDTHS",
    "Attended",
    "Backend",
    "Packing",
    "Residual",
    "attention",
    "lengths_of",
    "modulated_norm",
    "packed_attention",
    "residual_norm",
    "swiglu",
]
