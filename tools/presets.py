"""The presets of moviegen-dit by their arithmetic: parameters, and FLOP of a pass at the paper's length.

    python tools/presets.py

Parameters are counted on the meta device. FLOP are of one sample of 256 frames of 768 x 768 pixels (73,728
tokens) under 656 prompt tokens, as many as the three text encoders give at most; of the upsampler 7b, of one
window of 14 frames of 1920 x 1088 pixels, coded frame by frame, without a prompt (a null token an encoder).
"""

from __future__ import annotations

import torch
from moviegen_core import VideoShape
from moviegen_dit import VideoDiT, VideoDiTConfig, preset, upsampler_preset
from moviegen_dit.arithmetic import layer_flop, prompt_flop

NAMES = ("30b", "5b", "1b")
LATENT = VideoShape(32, 96, 96)
PROMPT_TOKENS = 656
UPSAMPLER = "7b"
UPSAMPLER_LATENT = VideoShape(14, 136, 240)


def row(name: str, config: VideoDiTConfig, latent: VideoShape, prompt_tokens: int) -> list[str]:
    """Cells of one preset."""
    with torch.device("meta"):
        model = VideoDiT(config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    in_layers = sum(p.numel() for module in (model.blocks, model.modulation) for p in module.parameters())
    tokens = config.token_shape(latent).positions
    layer = layer_flop(config, tokens, prompt_tokens)
    cross = layer.cross_projections + layer.cross_attention + prompt_flop(config, prompt_tokens)
    in_tera = [layer.projections, layer.attention, layer.mlp, cross]
    whole = [config.layers * layer.without_prompt, config.layers * (layer.without_prompt + cross)]
    return [
        *(name, f"{config.layers} x {config.width}", str(config.heads), str(config.mlp_width)),
        *(f"{parameters:,}", f"{in_layers / 1e9:.2f}", f"{tokens:,}"),
        *(f"{flop / 1e12:.1f}" for flop in in_tera),
        *(f"{flop / 1e15:.2f}" for flop in whole),
    ]


def table() -> str:
    """Every preset of the paper's context, and the upsampler, a row each."""
    head = [
        *("preset", "layers x width", "heads", "FFN", "parameters", "of layers and modulation, 10^9"),
        "tokens",
        *("QKVO, TFLOP a layer", "attention", "FFN", "cross-attention"),
        *("PFLOP a forward, no cross-attention", "with it"),
    ]
    upsampler = upsampler_preset(UPSAMPLER)
    rows = [row(name, preset(name), LATENT, PROMPT_TOKENS) for name in NAMES]
    rows.append(row(UPSAMPLER, upsampler, UPSAMPLER_LATENT, len(upsampler.text_encoders)))
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    print(table())
