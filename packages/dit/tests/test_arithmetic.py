"""The paper's presets without values: how many parameters, and what a forward pass costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from moviegen_core import VideoShape
from moviegen_dit import PreparedConditions, VideoDiT, VideoDiTConfig, preset, upsampler_preset
from moviegen_dit.arithmetic import forward_flop, layer_flop, prompt_flop
from torch.utils.flop_counter import FlopCounterMode

TOKENS, PROMPT_TOKENS = 73_728, 656
LATENT = VideoShape(32, 96, 96)


def counted(work: Callable[[], object]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def on_meta(config: VideoDiTConfig, latent: VideoShape) -> tuple[VideoDiT, list[torch.Tensor]]:
    with torch.device("meta"):
        shape = (1, config.input_channels, latent.frames, latent.height, latent.width)
        return VideoDiT(config), [torch.empty(shape), torch.empty(1)]


@pytest.mark.parametrize(
    ("name", "latent", "prompt_tokens"),
    [
        *((name, LATENT, PROMPT_TOKENS) for name in ("30b", "5b", "1b")),
        ("1b", VideoShape(1, 32, 32), 3),
        ("7b", VideoShape(14, 136, 240), PROMPT_TOKENS),  # a window of 1088 x 1920 pixels
    ],
)
def test_what_is_worked_out_is_what_pytorch_counts(name: str, latent: VideoShape, prompt_tokens: int) -> None:
    config = upsampler_preset(name) if name == "7b" else preset(name)
    model, given = on_meta(config, latent)
    tokens = config.token_shape(latent).positions
    prompts = torch.empty(1, prompt_tokens, config.width, device="meta")
    lengths = torch.empty(1, dtype=torch.int64, device="meta")
    made: list[PreparedConditions] = []
    keys_and_values = counted(lambda: made.append(model._keys_and_values(prompts, lengths)))
    assert keys_and_values == config.layers * prompt_flop(config, prompt_tokens)
    assert counted(lambda: model(*given, made[0])) == forward_flop(config, tokens, prompt_tokens)


def test_a_layer_of_the_30b_costs_what_the_paper_implies() -> None:
    """22.3, 133.6 and 44.5 TFLOP, and 12.4 of cross-attention with its keys and values."""
    config = preset("30b")
    layer = layer_flop(config, TOKENS, PROMPT_TOKENS)
    in_tera = [flop / 1e12 for flop in (layer.projections, layer.attention, layer.mlp)]
    assert in_tera == pytest.approx([22.3, 133.6, 44.5], abs=0.05)
    cross = layer.cross_projections + layer.cross_attention + prompt_flop(config, PROMPT_TOKENS)
    assert cross / 1e12 == pytest.approx(12.4, abs=0.05)
    assert config.layers * layer.without_prompt / 1e15 == pytest.approx(9.6, abs=0.05)
    assert config.layers * (layer.without_prompt + cross) / 1e15 == pytest.approx(10.2, abs=0.05)


@pytest.mark.parametrize(("name", "in_layers"), [("30b", 29.2e9), ("5b", 4.89e9), ("1b", 0.92e9)])
def test_parameters_are_those_of_layers_and_one_modulation_and_embeddings(
    name: str, in_layers: float
) -> None:
    """Width squared: 4 of self-attention, 4 of cross-attention, 8 of SwiGLU a layer, and 6 shared by all."""
    config = preset(name)
    model, _ = on_meta(config, LATENT)
    squares = 16 * config.layers + 6
    assert 3 * config.mlp_width == 8 * config.width
    assert squares * config.width**2 == pytest.approx(in_layers, rel=0.002)
    matrices = [weight for block in model.blocks for weight in block.parameters() if weight.shape[0] > 6]
    large = [weight for weight in matrices if weight.ndim == 2] + [model.modulation.weight]
    assert sum(weight.numel() for weight in large) == squares * config.width**2
    total = sum(parameter.numel() for parameter in model.parameters())
    assert 0 < total - squares * config.width**2 < 0.03 * total
