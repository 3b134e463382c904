"""Speed and memory of video autoencoders, peers side by side in one run, and how ours grows with its video.

    python benchmarks/tae_speed.py                every model at every size, each in a process of its own
    python benchmarks/tae_speed.py --scaling      ours over length and size, drawn against straight lines
    either with --write                           also puts its tables or its plot into the docs

Every model is built at its own architecture with base width 64 and random weights. What is counted is what
PyTorch executes: convolutions, matrix products and attention, 2 FLOP a multiplication and addition. Memory is
what a process held at most while it coded, above what it held with the model and the clip in it (Linux). The
limit of the machine is its fastest 3x3 convolution of the same widths, measured in the same run.

`moviegen` is what `encode` and `decode` do without gradients; `whole clips` is its other form, which is
trained, and `compiled` the same by torch.compile.
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
from measuring import apart, held
from moviegen_core import VideoClip, VideoLatent, VideoShape
from moviegen_tae import TAE, TAEConfig, Tiling, decode_tiled, encode_tiled
from record import ROOT, device_name, fill, record
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PAGE = ROOT / "docs" / "autoencoder" / "speed.md"
PLOT = ROOT / "docs" / "images" / "tae-scaling.png"
WIDTHS = (64, 128, 256, 256)
CONFIG = TAEConfig(
    channels=WIDTHS, encoder_blocks=(2, 2, 2, 2), decoder_blocks=(3, 3, 3, 3), width_changes_in="blocks"
)
OURS = ("moviegen", "moviegen, whole clips", "moviegen, compiled")
PEERS = ("Wan", "HunyuanVideo", "CogVideoX", "LTXVideo")
SHAPES = (VideoShape(33, 128, 128), VideoShape(17, 256, 256))
DIRECTIONS = ("encode", "decode")

Code = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One model in one direction at one size: median seconds, counted FLOP and peak bytes of one clip."""

    model: str
    direction: str
    frames: int
    side: int
    seconds: float
    flop: int
    peak_bytes: int
    compression: float

    @property
    def rate(self) -> float:
        """GFLOP a second."""
        return self.flop / self.seconds / 1e9


def peer(name: str) -> nn.Module:
    """A peer of base width 64 with random weights; its own multipliers and depths."""
    diffusers = import_module("diffusers")
    if name == "Wan":
        wan: nn.Module = diffusers.AutoencoderKLWan(base_dim=64)
        return wan
    widths = {
        "HunyuanVideo": (64, 128, 256, 256),
        "CogVideoX": (64, 128, 128, 256),
        "LTXVideo": (64, 128, 256, 256),
    }[name]
    if name == "LTXVideo":
        options = {"block_out_channels": widths, "decoder_block_out_channels": widths}
    else:
        options = {"block_out_channels": widths}
    made: nn.Module = getattr(diffusers, f"AutoencoderKL{name}")(**options)
    return made


def coders(name: str) -> tuple[nn.Module, Code, Code]:
    """A model, what encodes frames (1, 3, T, H, W) and what decodes that."""
    torch.manual_seed(0)
    if name in OURS:
        tae = TAE(CONFIG).eval()
        if name == "moviegen":
            return tae, lambda x: tae.encode(VideoClip(x, 24.0)).values, lambda z: decoded(tae, z)
        encoder, decoder = (
            torch.compile(part.forward, dynamic=False) if name.endswith("compiled") else part.forward
            for part in (tae.encoder, tae.decoder)
        )
        return tae, lambda x: encoder(in_frames(x), x.shape[2])[:, :16], lambda z: decoder(z, len(z))
    model: Any = peer(name).eval()
    # Without tiles, as ours is here; Wan goes a few frames at a time by itself.
    return model, lambda x: model.encode(x).latent_dist.mean, lambda z: model.decode(z).sample


def in_frames(x: Tensor) -> Tensor:
    return x[0].transpose(0, 1).contiguous(memory_format=torch.channels_last)


def decoded(tae: TAE, values: Tensor) -> Tensor:
    frames = tae.stride.time * values.shape[2]
    return tae.decode(VideoLatent(values, tae.stride, frames, 24.0)).frames


@torch.no_grad()
def case(name: str, direction: str, frames: int, side: int, repeats: int) -> Case:
    """Measure in this process, which should be a fresh one."""
    _, encode, decode = coders(name)
    clip = torch.randn(1, 3, frames, side, side)
    code, given = (encode, clip) if direction == "encode" else (decode, encode(clip).clone())
    if name.endswith("compiled"):
        code(given)
    before = held(reset=True)
    start = time.perf_counter()
    made = code(given)
    seconds = [time.perf_counter() - start]
    peak = held() - before
    compression = clip.numel() / (made if direction == "encode" else given).numel()
    del made
    for _ in range(repeats):
        start = time.perf_counter()
        code(given)
        seconds.append(time.perf_counter() - start)
    if name.endswith("compiled"):  # its operators are not PyTorch's: the same work as in whole clips
        flop = counted(coders("moviegen, whole clips")[1 if direction == "encode" else 2], given)
    else:
        flop = counted(code, given)
    return Case(name, direction, frames, side, statistics.median(seconds[1:]), flop, peak, compression)


def counted(code: Code, given: Tensor) -> int:
    """FLOP of one call."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: product_flop})
    with counter:
        code(given)
    return int(counter.get_total_flops())


def product_flop(_: torch.Size, a: torch.Size, b: torch.Size, **__: object) -> int:
    """Of a product added in place, by shapes: PyTorch's counter knows only those that make a new tensor."""
    return 2 * a[0] * a[1] * b[1]


@torch.no_grad()
def limits(repeats: int) -> dict[int, float]:
    """GFLOP a second of the fastest 3x3 convolution of each width, over layouts, sizes and batches."""
    best: dict[int, float] = {}
    for width in sorted(set(WIDTHS)):
        for side, batch in ((64, 1), (64, 4), (128, 1), (128, 4)):
            for layout in (torch.channels_last, torch.contiguous_format):
                conv = nn.Conv2d(width, width, 3, padding=1).to(memory_format=layout)
                x = torch.randn(batch, width, side, side).to(memory_format=layout)
                conv(x)
                for _ in range(repeats):
                    start = time.perf_counter()
                    conv(x)
                    rate = 18 * width**2 * x[:, 0].numel() / (time.perf_counter() - start) / 1e9
                    best[width] = max(best.get(width, 0.0), rate)
    return best


def table(cases: list[Case], limit: float) -> str:
    """Every case, and its ratios to ours of the same direction and size and to the limit."""
    lines = [
        "| model | frames x side | direction | ms a frame | times ours | GFLOP a frame | GFLOP/s "
        "| of the limit | peak MB | times ours | compression |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in cases:
        ours = next(
            other
            for other in cases
            if other.model == OURS[0] and (other.direction, other.side) == (each.direction, each.side)
        )
        cells = [each.model, f"{each.frames} x {each.side}", each.direction]
        cells += [f"{1e3 * each.seconds / each.frames:.1f}", f"{each.seconds / ours.seconds:.2f}"]
        cells += [f"{each.flop / each.frames / 1e9:.2f}", f"{each.rate:.1f}", f"{each.rate / limit:.0%}"]
        cells += [f"{each.peak_bytes / 1e6:.0f}", f"{each.peak_bytes / ours.peak_bytes:.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{each.compression:.0f}'])} |")
    return "\n".join(lines)


@torch.no_grad()
def scaling(lengths: list[int], sides: list[int]) -> dict[str, list[tuple[int, float]]]:
    """Seconds there and back: over frames of 64 x 64 in the paper's tiles, and over pixels of 17 frames."""
    torch.manual_seed(0)
    tae, points = TAE(CONFIG).eval(), dict[str, list[tuple[int, float]]]()
    for name, shapes in (
        ("frames, 64 x 64 pixels", [VideoShape(length, 64, 64) for length in lengths]),
        ("pixels a side squared, 17 frames", [VideoShape(17, side, side) for side in sides]),
    ):
        for shape in shapes:
            clip = VideoClip(torch.randn(1, 3, shape.frames, shape.height, shape.width), 24.0)
            start = time.perf_counter()
            decode_tiled(tae, encode_tiled(tae, clip, Tiling()), Tiling())
            extent = shape.frames if "frames," in name else shape.height * shape.width
            points.setdefault(name, []).append((extent, time.perf_counter() - start))
            print(f"{name}: {extent}: {points[name][-1][1]:.1f} s", flush=True)
    return points


def draw(points: dict[str, list[tuple[int, float]]], path: Path) -> None:
    """Both curves, each with the straight line through its first two points."""
    pyplot = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, len(points), figsize=(10, 4), layout="constrained")
    for axis, (name, curve) in zip(axes, points.items(), strict=True):
        (x0, y0), (x1, y1) = curve[:2]
        xs = [x for x, _ in curve]
        axis.plot(
            xs, [y0 + (x - x0) * (y1 - y0) / (x1 - x0) for x in xs], "--", label="line through the first two"
        )
        axis.plot(xs, [y for _, y in curve], "o-", label="measured")
        axis.set(xlabel=name, ylabel="seconds there and back")
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=[*OURS, *PEERS])
    parser.add_argument("--shrink", type=int, default=1, help="divide every size, to try it out")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if OURS[0] not in given.models:
        parser.error(f"--models must have {OURS[0]}, to which the others are compared")
    torch.set_num_threads(given.threads)
    if given.job:
        job = json.loads(given.job)
        print(json.dumps(limits(job["limits"]) if "limits" in job else asdict(case(**job))))
        return
    if given.scaling:
        lengths = [n // given.shrink for n in (16, 32, 64, 128, 256, 512, 1024)]
        curves = scaling(lengths, [side // given.shrink for side in (64, 128, 256, 384, 512)])
        if given.write:
            record("tae_scaling", {"points": curves}, given.threads)
        draw(curves, PLOT if given.write else Path(tempfile.gettempdir()) / PLOT.name)
        return
    widths = json.loads(apart(__file__, {"limits": 10 * given.repeats}, given.threads))
    limit = max(widths.values())
    best = ", ".join(f"{rate:.0f} of width {width}" for width, rate in widths.items())
    head = f"{device_name()}, threads: {given.threads}, torch {torch.__version__}"
    head += f"; GFLOP/s of its best 3x3 convolution: {best}"
    print(head, flush=True)
    cases = []
    for shape in SHAPES:
        size = {"frames": shape.frames, "side": shape.height // given.shrink, "repeats": given.repeats}
        for direction in DIRECTIONS:
            for model in given.models:
                job = {"name": model, "direction": direction, **size}
                cases.append(Case(**json.loads(apart(__file__, job, given.threads))))
                print(f"{model}, {direction}: {cases[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    printed = table(cases, limit)
    print(printed)
    if given.write:
        record("tae_speed", {"limits": widths, "cases": [asdict(each) for each in cases]}, given.threads)
        fill(PAGE, "tae-speed", f"{head}\n{printed}\n")


if __name__ == "__main__":
    main()
