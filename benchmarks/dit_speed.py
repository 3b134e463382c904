"""Speed and memory of video transformers, peers side by side in one run, and how ours grows with its tokens.

    python benchmarks/dit_speed.py                every model at both lengths, each in a process of its own
    python benchmarks/dit_speed.py --scaling      ours over tokens, against one rate for products and one for
                                                  attention
    either with --write                           also puts its table, and the plot, into the docs

A pair is a peer and a `VideoDiT` of the same width, depth, heads and tokens, whose SwiGLU is as wide as makes
the numbers of parameters equal. Weights are random, numbers float32, one sample, a prompt of 64 tokens. FLOP
are those that PyTorch executes in products and attention, 2 a multiplication and addition. A training step is
forward, backward and AdamW. Memory is what a process held at most while it worked, above what it held with
model and inputs (Linux).

The prompt's keys and values are made once a sample in ours, and stay out of a forward; they are in its
training step. Peers project the prompt at every call.

The limit of the machine is its fastest product of the sizes in the model, in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from measuring import apart, held
from moviegen_core import TextContext, VideoShape, replacing
from moviegen_dit import TextEncoderSpec, VideoDiT, VideoDiTConfig
from moviegen_dit.arithmetic import forward_flop, layer_flop
from record import ROOT, device_name, fill, record
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PAGE = ROOT / "docs" / "transformer" / "speed.md"
PLOT = ROOT / "docs" / "images" / "dit-scaling.png"
OURS = "moviegen"
WORKS = ("forward", "training step")
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
PROMPT_TOKENS, PROMPT_WIDTH = 64, 512

Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Pair:
    """A peer and what ours shares with it."""

    peer: str
    width: int
    layers: int
    heads: int

    def shrunk(self, by: int) -> Pair:
        """The same at a fraction of the width, to try it out."""
        return Pair(self.peer, self.width // by, self.layers, max(1, self.heads // by))


# Depths that come to about 100 million parameters; a block of HunyuanVideo 1.5 has a stream for the prompt.
PAIRS = (Pair("Wan", 1024, 6, 8), Pair("HunyuanVideo15", 768, 4, 6))


@dataclass(frozen=True)
class Case:
    """One model at one length: parameters, median seconds, counted and expected FLOP, and peak bytes."""

    model: str
    pair: Pair
    tokens: int
    work: str
    parameters: int
    seconds: float
    flop: int
    expected_flop: int | None
    peak_bytes: int

    @property
    def rate(self) -> float:
        """GFLOP a second."""
        return self.flop / self.seconds / 1e9


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


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
        ValueError: the peer has fewer than ours without a feed-forward.
    """
    with torch.device("meta"):
        wanted = parameters(peer(pair)) - parameters(VideoDiT(config(pair, 8)))
    width = 8 + round(wanted / (3 * pair.width * pair.layers) / 8) * 8
    if width < 8:
        raise ValueError(f"{pair.peer} has too few parameters for a VideoDiT of its width and depth")
    return config(pair, width)


def made(name: str, pair: Pair, tokens: int) -> tuple[nn.Module, Run, Run]:
    """A model, its forward as a sampler calls it, and as a training calls it."""
    torch.manual_seed(0)
    shape = LATENTS[tokens]
    x = torch.randn(1, 16, shape.frames, shape.height, shape.width)
    states = torch.randn(1, PROMPT_TOKENS, PROMPT_WIDTH)
    mask = torch.ones(1, PROMPT_TOKENS, dtype=torch.bool)
    t = torch.full((1,), 0.5)
    if name == OURS:
        model = VideoDiT(matched(pair))
        prompt = TextContext(states, mask, "one")
        with torch.no_grad():
            conditions = model.placed(model.prepare([prompt]), shape)
        return model, lambda: model(x, t, conditions), lambda: model(x, t, model.prepare([prompt]))
    other: Any = peer(pair)
    given = {"hidden_states": x, "timestep": 1000 * t, "encoder_hidden_states": states, "return_dict": False}
    if pair.peer == "HunyuanVideo15":  # no second prompt and no image: one masked token of each
        given |= {
            "encoder_attention_mask": mask,
            "encoder_hidden_states_2": torch.zeros(1, 1, 64),
            "encoder_attention_mask_2": torch.zeros(1, 1, dtype=torch.bool),
            "image_embeds": torch.zeros(1, 1, 64),
        }
    return other, lambda: other(**given)[0], lambda: other(**given)[0]


def case(name: str, pair: Pair, tokens: int, work: str, repeats: int) -> Case:
    """Measure in this process, which should be a fresh one."""
    model, forward, trained = made(name, pair, tokens)
    if work == "forward":
        model.eval().requires_grad_(False)
        step: Callable[[], object] = forward
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

        def step() -> None:
            optimizer.zero_grad()
            torch.autograd.backward(trained().square().mean())
            optimizer.step()

    before = held(reset=True)
    step()
    peak = held() - before
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    with FlopCounterMode(display=False) as counter:
        step()
    expected = None
    if name == OURS and work == "forward":
        expected = forward_flop(matched(pair), tokens, PROMPT_TOKENS)
    return Case(
        *(name, pair, tokens, work, parameters(model)),
        *(statistics.median(seconds), int(counter.get_total_flops()), expected, peak),
    )


@torch.no_grad()
def limits(pair: Pair, mlp_width: int, repeats: int) -> dict[str, float]:
    """GFLOP a second of this machine.

    Returns:
        "best": the fastest product of the model's sizes, at all compared lengths; "products": all products of
        a layer at 2,048 tokens together; "attention": PyTorch's own of the model's heads, at 2,048 tokens.
    """
    width, best, flop, least = pair.width, 0.0, 0, 0.0
    sizes = [(width, 3 * width), (width, width), (width, width), (width, width)]
    sizes += [(width, mlp_width), (width, mlp_width), (mlp_width, width)]
    for tokens in COMPARED:
        for inputs, outputs in sizes:
            x, weight = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
            seconds = quickest(lambda x=x, weight=weight: F.linear(x, weight), repeats)  # type: ignore[misc]
            best = max(best, 2 * tokens * inputs * outputs / seconds / 1e9)
            if tokens == COMPARED[-1]:
                flop, least = flop + 2 * tokens * inputs * outputs, least + seconds
    tokens, head = COMPARED[-1], width // pair.heads
    q, k, v = (torch.randn(1, pair.heads, tokens, head) for _ in range(3))
    seconds = quickest(lambda: F.scaled_dot_product_attention(q, k, v), repeats)
    return {
        "best": best,
        "products": flop / least / 1e9,
        "attention": 4 * tokens**2 * width / seconds / 1e9,
    }


def quickest(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest call, after one that is not counted."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def table(cases: list[Case], limit: float) -> str:
    """Every case, and its ratios to ours of the same pair, length and work, and to the limit."""
    lines = [
        "| model | width x layers | parameters, M | tokens | work | ms | times ours | GFLOP | by hand "
        "| GFLOP/s | of the limit | ms a GFLOP, times ours | peak MB | times ours |",
        "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in cases:
        ours = next(
            other
            for other in cases
            if other.model == OURS
            and (other.pair, other.tokens, other.work) == (each.pair, each.tokens, each.work)
        )
        cells = [each.model, f"{each.pair.width} x {each.pair.layers}", f"{each.parameters / 1e6:.1f}"]
        cells += [f"{each.tokens:,}", each.work, f"{1e3 * each.seconds:.0f}"]
        by_hand = "-" if each.expected_flop is None else f"{each.expected_flop / 1e9:.1f}"
        cells += [f"{each.seconds / ours.seconds:.2f}", f"{each.flop / 1e9:.1f}", by_hand]
        cells += [f"{each.rate:.1f}", f"{each.rate / limit:.0%}", f"{ours.rate / each.rate:.2f}"]
        cells += [f"{each.peak_bytes / 1e6:.0f}", f"{each.peak_bytes / ours.peak_bytes:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Point:
    """Seconds of a forward at one length, measured and as the two rates say."""

    tokens: int
    flop: int
    attention_flop: int
    seconds: float
    predicted: float


def scaling(
    pair: Pair, lengths: list[int], repeats: int, rates: dict[str, float], threads: int
) -> list[Point]:
    """Ours over tokens; cross-attention counts as products, being a few parts in a thousand."""
    points, arch = [], matched(pair)
    for tokens in lengths:
        job = {"name": OURS, "pair": asdict(pair), "tokens": tokens, "work": "forward", "repeats": repeats}
        measured = read_case(apart(__file__, job, threads))
        attention = arch.layers * layer_flop(arch, tokens, PROMPT_TOKENS).attention
        products = measured.flop - attention
        predicted = (products / rates["products"] + attention / rates["attention"]) / 1e9
        points.append(Point(tokens, measured.flop, attention, measured.seconds, predicted))
        print(f"{tokens} tokens: {measured.seconds:.2f} s", file=sys.stderr, flush=True)
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


def read_case(text: str) -> Case:
    fields = json.loads(text)
    return Case(**fields | {"pair": Pair(**fields["pair"])})


def run_job(text: str) -> str:
    """What a process of its own was asked for, as JSON."""
    job = json.loads(text)
    job["pair"] = Pair(**job["pair"])
    return json.dumps(limits(**job) if "mlp_width" in job else asdict(case(**job)))


def compare(given: argparse.Namespace, pairs: list[Pair], rates: dict[str, float]) -> None:
    """Every model of every pair at both lengths."""
    cases = []
    for pair in pairs:
        for tokens in given.tokens or COMPARED:
            for work in WORKS:
                for name in (OURS, pair.peer):
                    job = {"name": name, "pair": asdict(pair), "tokens": tokens, "work": work}
                    cases.append(read_case(apart(__file__, job | {"repeats": given.repeats}, given.threads)))
                    seconds = cases[-1].seconds
                    print(f"{name}, {tokens}, {work}: {seconds:.2f} s", file=sys.stderr, flush=True)
    printed = table(cases, rates["best"])
    print(printed)
    if given.write:
        record("dit_speed", {"limits": rates, "cases": [asdict(each) for each in cases]}, given.threads)
        fill(PAGE, "dit-speed", f"{machine(given.threads, rates)}\n{printed}")


def machine(threads: int, rates: dict[str, float]) -> str:
    """What was measured on, and its limits."""
    best, products, attention = (f"{rates[name]:.1f}" for name in ("best", "products", "attention"))
    return (
        f"{device_name()}, threads: {threads}, torch {torch.__version__}; GFLOP/s: {best} in the fastest "
        f"product, {products} in all products of a layer at {COMPARED[-1]:,} tokens, {attention} in attention"
    )


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", nargs="+", default=[pair.peer for pair in PAIRS])
    parser.add_argument("--tokens", nargs="+", type=int, choices=list(LATENTS), help="other lengths")
    parser.add_argument("--shrink", type=int, default=1, help="divide every width, to try it out")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(run_job(given.job))
        return
    pairs = [pair.shrunk(given.shrink) for pair in PAIRS if pair.peer in given.peers]
    if not pairs:
        parser.error(f"--peers are of {', '.join(pair.peer for pair in PAIRS)}")
    arch = {"pair": asdict(pairs[0]), "mlp_width": matched(pairs[0]).mlp_width}
    rates = json.loads(apart(__file__, arch | {"repeats": 4 * given.repeats}, given.threads))
    print(machine(given.threads, rates), flush=True)
    if not given.scaling:
        compare(given, pairs, rates)
        return
    points = scaling(pairs[0], given.tokens or list(LATENTS), given.repeats, rates, given.threads)
    printed = scaling_table(points)
    print(printed)
    if given.write:
        record("dit_scaling", {"rates": rates, "points": [asdict(each) for each in points]}, given.threads)
        fill(PAGE, "dit-scaling", f"{machine(given.threads, rates)}\n{printed}")
    draw(points, PLOT if given.write else Path(tempfile.gettempdir()) / PLOT.name)


if __name__ == "__main__":
    main()
