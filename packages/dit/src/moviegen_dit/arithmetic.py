"""What one forward pass of the video transformer computes, by hand: 2 FLOP a multiplication and addition.

Norms, modulations and activations are left out, as FLOP counters do: they cost memory traffic.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from moviegen_dit.config import VideoDiTConfig
from moviegen_dit.layers import MODULATIONS, TIME_CHANNELS


@dataclass(frozen=True)
class LayerFlop:
    """FLOP of one layer for one sample.

    Args:
        projections: queries, keys, values and output of self-attention.
        attention: scores of self-attention, and their sums of values.
        mlp: the three products of SwiGLU.
        cross_projections: queries and output of cross-attention.
        cross_attention: its scores and sums.
    """

    projections: int
    attention: int
    mlp: int
    cross_projections: int
    cross_attention: int

    @property
    def without_prompt(self) -> int:
        """All but cross-attention."""
        return self.projections + self.attention + self.mlp

    @property
    def total(self) -> int:
        """What a solver step costs."""
        return sum(astuple(self))


def layer_flop(config: VideoDiTConfig, tokens: int, prompt_tokens: int) -> LayerFlop:
    """FLOP of one layer for one sample of `tokens` video tokens under `prompt_tokens` of all encoders."""
    width = config.width
    return LayerFlop(
        projections=8 * tokens * width**2,
        attention=4 * tokens**2 * width,
        mlp=6 * tokens * width * config.mlp_width,
        cross_projections=4 * tokens * width**2,
        cross_attention=4 * tokens * prompt_tokens * width,
    )


def prompt_flop(config: VideoDiTConfig, prompt_tokens: int) -> int:
    """FLOP of the prompt's keys and values in one layer: once a sample, not at every step."""
    return 4 * prompt_tokens * config.width**2


def forward_flop(config: VideoDiTConfig, tokens: int, prompt_tokens: int) -> int:
    """FLOP of `VideoDiT.forward` for one sample: all layers, patches, time and modulations."""
    width = config.width
    read = config.patch_channels * config.input_channels // config.latent_channels
    patches = 2 * tokens * (read + config.patch_channels) * width
    time = 2 * width * (TIME_CHANNELS + width)
    modulations = 2 * width * (MODULATIONS + 2) * width
    return config.layers * layer_flop(config, tokens, prompt_tokens).total + patches + time + modulations
