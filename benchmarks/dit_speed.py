"""Speed and memory of video transformers, peers side by side in one run, and how ours grows with its tokens.

    python benchmarks/dit_speed.py                every model at both lengths
    python benchmarks/dit_speed.py --scaling      ours over tokens, against one rate for products and one for
                                                  attention
    either with --write                           also puts its table, and the plot, into the docs

What is compared and measured is said in `pairs.py`; the feed-forward of a `VideoDiT` is a SwiGLU.

The prompt's keys and values are made once a sample in ours, and stay out of a forward; they are in its
training step. Peers project the prompt at every call.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from moviegen_core import TextContext, VideoShape, replacing
from moviegen_dit import TextEncoderSpec, VideoDiT, VideoDiTConfig
from moviegen_dit.arithmetic import forward_flop, layer_flop
from pairs import OURS, PROMPT_TOKENS, Bench, Made, Pair, Sizes, answer, matched_width, parser, table
from record import ROOT, fill, record
from torch import nn

PAGE = ROOT / "docs" / "transformer" / "speed.md"
PLOT = ROOT / "docs" / "images" / "dit-scaling.png"
LATENTS = {  # tokens to (frames, rows, columns) of the latent
    256: VideoShape(4, 16, 16),
    512: VideoShape(8, 16, 16),
    1024: VideoShape(16, 16, 16),
    2048: VideoShape(8, 32, 32),
    4096: VideoShape(16, 32, 32),
    8192: VideoShape(32, 32, 32),
    16384: VideoShape(16, 64, 64),
}
COMPARED = (512, 2048)
PROMPT_WIDTH = 512

# Depths that come to about 100 million parameters; a block of HunyuanVideo 1.5 has a stream for the prompt.
PAIRS = (Pair("Wan", 1024, 6, 8), Pair("HunyuanVideo15", 768, 4, 6))


def peer(pair: Pair) -> nn.Module:
    """The peer of a pair with random weights."""
    diffusers = import_module("diffusers")
    head = pair.width // pair.heads
    shared = {"num_layers": pair.layers, "num_attention_heads": pair.heads, "attention_head_dim": head}
    if pair.peer == "Wan":
        wan: nn.Module = diffusers.WanTransformer3DModel(
            text_dim=PROMPT_WIDTH, ffn_dim=4 * pair.width, **shared
        )
        return wan
    hunyuan: nn.Module = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=16,
        out_channels=16,
        patch_size=2,
        num_refiner_layers=1,
        text_embed_dim=PROMPT_WIDTH,
        text_embed_2_dim=64,
        image_embed_dim=64,
        rope_axes_dim=(head // 4, 3 * head // 8, 3 * head // 8),
        **shared,
    )
    return hunyuan


def config(pair: Pair, mlp_width: int) -> VideoDiTConfig:
    return VideoDiTConfig(
        width=pair.width,
        layers=pair.layers,
        heads=pair.heads,
        mlp_width=mlp_width,
        text_encoders=(TextEncoderSpec(name="one", width=PROMPT_WIDTH),),
        positions=(32, 32, 32),
    )


def matched(pair: Pair) -> VideoDiTConfig:
    """Ours with as many parameters as the peer, but for the rounding of the SwiGLU's width to 8.

    Raises:
        ValueError: the peer has too few.
    """
    return config(pair, matched_width(lambda width: VideoDiT(config(pair, width)), lambda: peer(pair)))


def made(name: str, pair: Pair, tokens: int) -> Made:
    """A model of a pair, reading a latent of so many tokens."""
    shape = LATENTS[tokens]
    x = torch.randn(1, 16, shape.frames, shape.height, shape.width)
    states = torch.randn(1, PROMPT_TOKENS, PROMPT_WIDTH)
    mask = torch.ones(1, PROMPT_TOKENS, dtype=torch.bool)
    t = torch.full((1,), 0.5)
    if name == OURS:
        arch = matched(pair)
        model = VideoDiT(arch)
        prompt = TextContext(states, mask, "one")
        with torch.no_grad():
            conditions = model.placed(model.prepare([prompt]), shape)
        return Made(
            model,
            lambda: model(x, t, conditions),
            lambda: model(x, t, model.prepare([prompt])),
            forward_flop(arch, tokens, PROMPT_TOKENS),
        )
    other: Any = peer(pair)
    given = {"hidden_states": x, "timestep": 1000 * t, "encoder_hidden_states": states, "return_dict": False}
    if pair.peer == "HunyuanVideo15":  # no second prompt and no image: one masked token of each
        given |= {
            "encoder_attention_mask": mask,
            "encoder_hidden_states_2": torch.zeros(1, 1, 64),
            "encoder_attention_mask_2": torch.zeros(1, 1, dtype=torch.bool),
            "image_embeds": torch.zeros(1, 1, 64),
        }
    return Made(other, lambda: other(**given)[0], lambda: other(**given)[0])


def products(arch: VideoDiTConfig) -> Sizes:
    """Inputs and outputs of the products of a layer."""
    width, mlp = arch.width, arch.mlp_width
    return [(width, 3 * width), *[(width, width)] * 3, (width, mlp), (width, mlp), (mlp, width)]


@dataclass(frozen=True)
class Point:
    """Seconds of a forward at one length, measured and as the two rates say."""

    tokens: int
    flop: int
    attention_flop: int
    seconds: float
    predicted: float


def scaling(bench: Bench, pair: Pair, lengths: list[int], rates: dict[str, float]) -> list[Point]:
    """Ours over tokens; cross-attention counts as products, being a few parts in a thousand."""
    points, arch = [], matched(pair)
    for tokens in lengths:
        measured = bench.case(OURS, pair, tokens, "forward")
        attention = arch.layers * layer_flop(arch, tokens, PROMPT_TOKENS).attention
        others = measured.flop - attention
        predicted = (others / rates["products"] + attention / rates["attention"]) / 1e9
        points.append(Point(tokens, measured.flop, attention, measured.seconds, predicted))
    return points


def scaling_table(points: list[Point]) -> str:
    lines = [
        "| tokens | GFLOP | of these attention | seconds | predicted | measured over predicted |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for point in points:
        cells = [f"{point.tokens:,}", f"{point.flop / 1e9:,.0f}", f"{point.attention_flop / point.flop:.0%}"]
        cells += [f"{point.seconds:.3f}", f"{point.predicted:.3f}", f"{point.seconds / point.predicted:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(points: list[Point], path: Path) -> None:
    """Measured and predicted seconds over tokens."""
    pyplot = import_module("matplotlib.pyplot")
    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    tokens = [point.tokens for point in points]
    axis.plot(tokens, [point.predicted for point in points], "--", label="by two rates")
    axis.plot(tokens, [point.seconds for point in points], "o-", label="measured")
    axis.set(xlabel="tokens", ylabel="seconds of a forward", xscale="log", yscale="log")
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110, format="png")


def main() -> None:
    """Measure, print, and write what is asked for."""
    options = parser(__doc__)
    options.add_argument("--peers", nargs="+", default=[pair.peer for pair in PAIRS])
    options.add_argument("--tokens", nargs="+", type=int, choices=list(LATENTS), help="other lengths")
    options.add_argument("--scaling", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(answer(given.job, made))
        return
    pairs = [pair.shrunk(given.shrink) for pair in PAIRS if pair.peer in given.peers]
    if not pairs:
        options.error(f"--peers are of {', '.join(pair.peer for pair in PAIRS)}")
    bench = Bench(__file__, given.repeats, given.threads)
    rates = bench.limits(products(matched(pairs[0])), pairs[0].heads, COMPARED)
    machine = bench.machine(rates, COMPARED[-1])
    print(machine, flush=True)
    if given.scaling:
        points = scaling(bench, pairs[0], given.tokens or list(LATENTS), rates)
        printed = scaling_table(points)
        name, figures = "dit-scaling", {"rates": rates, "points": [asdict(each) for each in points]}
        draw(points, PLOT if given.write else Path(tempfile.gettempdir()) / PLOT.name)
    else:
        cases = bench.compare(pairs, given.tokens or COMPARED)
        printed = table(cases, rates["best"])
        name, figures = "dit-speed", {"limits": rates, "cases": [asdict(each) for each in cases]}
    print(printed)
    if given.write:
        record(name.replace("-", "_"), figures, given.threads)
        fill(PAGE, name, f"{machine}\n{printed}")


if __name__ == "__main__":
    main()
