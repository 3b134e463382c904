"""Speed and memory of `AudioDiT` beside diffusers' `StableAudioDiTModel`, in one run.

    python benchmarks/audio_dit.py             both at 10 and at 30 s of sound
    python benchmarks/audio_dit.py --write     also puts the table into the docs

What is compared and measured is said in `pairs.py`. A token is a latent frame, 25 a second, of 128 channels.
The peer reads one token more, for time and duration; its heads of cross-attention are as many as those of
self-attention.

Ours reads given sound and a video of 24 frames a second besides. What they and the text become is made once a
sample, and stays out of a forward; it is in the training step. The peer projects the text at every call.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from typing import Any

import torch
from moviegen_audio import AudioConditions, AudioContext, AudioDiT, AudioDiTConfig, FrameFeatures
from moviegen_audio.layers import MODULATIONS, TIME_CHANNELS
from moviegen_core import TextContext
from moviegen_dit import TextEncoderSpec
from pairs import OURS, PROMPT_TOKENS, Bench, Made, Pair, Sizes, answer, matched_width, parser, table
from record import ROOT, fill, record
from torch import nn

PAGE = ROOT / "docs" / "sound" / "transformer.md"
PEER = "StableAudioDiTModel"
PAIR = Pair(PEER, 1024, 5, 8)  # about 100 million parameters
COMPARED = (250, 750)
CHANNELS, PROMPT_WIDTH, VIDEO_WIDTH, FPS = 128, 768, 1024, 24.0


def peer(pair: Pair) -> nn.Module:
    """The peer with random weights."""
    model: nn.Module = import_module("diffusers").StableAudioDiTModel(
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        num_layers=pair.layers,
        attention_head_dim=pair.width // pair.heads,
        num_attention_heads=pair.heads,
        num_key_value_attention_heads=pair.heads,
        cross_attention_dim=PROMPT_WIDTH,
        cross_attention_input_dim=PROMPT_WIDTH,
    )
    return model


def config(pair: Pair, mlp_width: int) -> AudioDiTConfig:
    return AudioDiTConfig(
        width=pair.width,
        layers=pair.layers,
        heads=pair.heads,
        mlp_width=mlp_width,
        text_encoder=TextEncoderSpec(name="t5", width=PROMPT_WIDTH),
        video_width=VIDEO_WIDTH,
        latent_channels=CHANNELS,
    )


def matched(pair: Pair) -> AudioDiTConfig:
    """Ours with as many parameters as the peer, but for the rounding of the perceptron's width to 8.

    Raises:
        ValueError: the peer has too few.
    """
    return config(pair, matched_width(lambda width: AudioDiT(config(pair, width)), lambda: peer(pair)))


def forward_flop(arch: AudioDiTConfig, tokens: int) -> int:
    """FLOP of products and attention in `AudioDiT.forward` for one sample, by hand."""
    width = arch.width
    products = 2 * tokens * width * (6 * width + 2 * arch.mlp_width)
    attention = 4 * tokens * width * (tokens + PROMPT_TOKENS)
    ends = 2 * tokens * width * 3 * arch.latent_channels  # noisy latent and given sound in, velocity out
    time = 2 * width * (TIME_CHANNELS + width + (MODULATIONS + 2) * width)
    return arch.layers * (products + attention) + ends + time


def made(name: str, pair: Pair, tokens: int) -> Made:
    """A model of a pair, reading a latent of so many frames."""
    x, t = torch.randn(1, CHANNELS, tokens), torch.full((1,), 0.5)
    states = torch.randn(1, PROMPT_TOKENS, PROMPT_WIDTH)
    if name == OURS:
        arch = matched(pair)
        model = AudioDiT(arch)
        text = TextContext(states, torch.ones(1, PROMPT_TOKENS, dtype=torch.bool), "t5")
        seen = round(tokens * FPS / arch.frame_rate)
        video = FrameFeatures(torch.randn(1, seen, VIDEO_WIDTH), FPS)
        context = AudioContext(torch.randn_like(x), torch.arange(tokens)[None] < tokens // 4)

        def prepared() -> AudioConditions:
            return model.prepare(tokens, text=text, video=video, context=context)

        with torch.no_grad():
            conditions = prepared()
        return Made(
            model,
            lambda: model(x, t, conditions),
            lambda: model(x, t, prepared()),
            forward_flop(arch, tokens),
        )
    other: Any = peer(pair)
    # As its pipeline calls it: half of the channels are turned, by angles that are made once a sample.
    turned = pair.width // pair.heads // 2
    embeddings = import_module("diffusers.models.embeddings")
    given = {
        "hidden_states": x,
        "timestep": t,
        "encoder_hidden_states": states,
        "global_hidden_states": torch.randn(1, 1, other.config.global_states_input_dim),
        "rotary_embedding": embeddings.get_1d_rotary_pos_embed(
            turned, tokens + 1, use_real=True, repeat_interleave_real=False
        ),
        "return_dict": False,
    }
    return Made(other, lambda: other(**given)[0], lambda: other(**given)[0])


def products(arch: AudioDiTConfig) -> Sizes:
    """Inputs and outputs of the products of a layer."""
    width, mlp = arch.width, arch.mlp_width
    return [(width, 3 * width), *[(width, width)] * 3, (width, mlp), (mlp, width)]


def main() -> None:
    """Measure, print, and write what is asked for."""
    options = parser(__doc__)
    options.add_argument("--tokens", nargs="+", type=int, default=COMPARED, help="other lengths")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(answer(given.job, made))
        return
    pair = PAIR.shrunk(given.shrink)
    bench = Bench(__file__, given.repeats, given.threads)
    rates = bench.limits(products(matched(pair)), pair.heads, given.tokens)
    machine = bench.machine(rates, given.tokens[-1])
    print(machine, flush=True)
    cases = bench.compare([pair], given.tokens)
    printed = table(cases, rates["best"])
    print(printed)
    if given.write:
        record("audio_dit", {"limits": rates, "cases": [asdict(each) for each in cases]}, given.threads)
        fill(PAGE, "audio-dit", f"{machine}\n{printed}")


if __name__ == "__main__":
    main()
