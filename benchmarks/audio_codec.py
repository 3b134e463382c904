"""Speed and memory of sound codecs, peers side by side in one run.

    python benchmarks/audio_codec.py             every model in both directions, each in a process of its own
    python benchmarks/audio_codec.py --write     also puts the table into the docs

All have the widths and rates of the preset `paper`, one channel of 48 kHz and random weights. What is counted
is what PyTorch executes in convolutions, 2 FLOP a multiplication and addition. Memory is what a process held
at most while it coded, above what it held with the model and the sound in it (Linux). The limit of the
machine is its fastest convolution along time of the same widths, measured in the same run.

`moviegen` is what `encode` and `decode` do without gradients; `whole sounds` is its other form, which is
trained.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import torch
from dac_package import dac_classes
from measuring import apart, held
from moviegen_audio import AudioCodec, codec_preset
from moviegen_core import AudioClip, AudioLatent
from record import ROOT, device_name, fill, record
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PAGE = ROOT / "docs" / "sound" / "codec.md"
CONFIG = codec_preset("paper")
OURS = ("moviegen", "moviegen, whole sounds")
PEERS = ("descript-audio-codec", "AutoencoderOobleck")
DIRECTIONS = ("encode", "decode")

Code = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One model in one direction: median seconds, counted FLOP and peak bytes of one sound."""

    model: str
    direction: str
    length: float
    seconds: float
    flop: int
    peak_bytes: int

    @property
    def rate(self) -> float:
        """GFLOP a second."""
        return self.flop / self.seconds / 1e9


def coders(name: str) -> tuple[Code, Code]:
    """What encodes samples (1, 1, N), and what decodes that."""
    torch.manual_seed(0)
    if name in OURS:
        codec = AudioCodec(CONFIG).eval()
        if name != OURS[0]:
            return codec.encoder, lambda z: codec.decoder(z[:, : CONFIG.latent_channels])
        return (
            lambda x: codec.encode(AudioClip(x, CONFIG.sample_rate)).values,
            lambda z: (
                codec.decode(AudioLatent(z, codec.hop, z.shape[2] * codec.hop, CONFIG.sample_rate)).samples
            ),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        model: Any = dac() if name == "descript-audio-codec" else oobleck()
    model.eval()
    return model.encoder, model.decoder


def dac() -> nn.Module:
    """The encoder and the decoder of `descript-audio-codec`, without what is between them."""
    classes = dac_classes()
    rates = list(CONFIG.rates)
    return nn.ModuleDict(
        {
            "encoder": classes.Encoder(CONFIG.encoder_width, rates, CONFIG.hidden_width),
            "decoder": classes.Decoder(CONFIG.hidden_width, CONFIG.decoder_width, rates[::-1]),
        }
    )


def oobleck() -> nn.Module:
    """The autoencoder of Stable Audio in diffusers."""
    levels = len(CONFIG.rates)
    made: nn.Module = import_module("diffusers").AutoencoderOobleck(
        encoder_hidden_size=CONFIG.encoder_width,
        downsampling_ratios=list(CONFIG.rates),
        channel_multiples=[2**level for level in range(1, levels + 1)],
        decoder_channels=CONFIG.decoder_width // 2**levels,
        decoder_input_channels=CONFIG.latent_channels,
        audio_channels=1,
        sampling_rate=CONFIG.sample_rate,
    )
    return made


@torch.no_grad()
def case(name: str, direction: str, length: float, repeats: int) -> Case:
    """Measure in this process, which should be a fresh one."""
    encode, decode = coders(name)
    frames = round(length * CONFIG.sample_rate / CONFIG.hop)
    x = 2 * torch.rand(1, 1, frames * CONFIG.hop) - 1
    if direction == "decode":
        # Random latents: a peer's encoder would leave its own peak of memory behind.
        channels = CONFIG.hidden_width if name == "descript-audio-codec" else CONFIG.latent_channels
        x = torch.randn(1, channels, frames)
    code = encode if direction == "encode" else decode
    with FlopCounterMode(display=False) as counter:  # of a part, since all are linear in length
        code(x[..., : x.shape[-1] // frames * min(frames, 50)])
    flop = counter.get_total_flops() * frames // min(frames, 50)
    before = held(reset=True)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        code(x)
        seconds.append(time.perf_counter() - start)
    return Case(name, direction, length, statistics.median(seconds), flop, held() - before)


@torch.no_grad()
def limits(repeats: int) -> dict[int, float]:
    """GFLOP a second of the fastest convolution of 7 of each width, over lengths."""
    best: dict[int, float] = {}
    for width in (64, 96, 192, 384, 768):
        for length in (1024, 4096, 16384):
            conv, x = nn.Conv1d(width, width, 7, padding=3), torch.randn(1, width, length)
            conv(x)
            for _ in range(repeats):
                start = time.perf_counter()
                conv(x)
                rate = 14 * width**2 * length / (time.perf_counter() - start) / 1e9
                best[width] = max(best.get(width, 0.0), rate)
    return best


def table(cases: list[Case], limit: float) -> str:
    """Every case, and its ratios to ours of the same direction and to the limit."""
    lines = [
        "| model | direction | ms a second | times ours | GFLOP a second | GFLOP/s | of the limit "
        "| peak MB | times ours |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in cases:
        ours = next(other for other in cases if (other.model, other.direction) == (OURS[0], each.direction))
        cells = [each.model, each.direction]
        cells += [f"{1e3 * each.seconds / each.length:.0f}", f"{each.seconds / ours.seconds:.2f}"]
        cells += [f"{each.flop / each.length / 1e9:.0f}", f"{each.rate:.1f}", f"{each.rate / limit:.0%}"]
        cells += [f"{each.peak_bytes / 1e6:.0f}", f"{each.peak_bytes / ours.peak_bytes:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the sound")
    parser.add_argument("--models", nargs="+", default=[*OURS, *PEERS])
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
    widths = json.loads(apart(__file__, {"limits": 10 * given.repeats}, given.threads))
    best = ", ".join(f"{rate:.0f} of width {width}" for width, rate in widths.items())
    head = (
        f"{device_name()}, threads: {given.threads}, torch {torch.__version__}; {given.seconds:g} s of sound"
    )
    head += f"; GFLOP/s of its best convolution of 7: {best}"
    print(head, flush=True)
    cases = []
    for direction in DIRECTIONS:
        for model in given.models:
            job = {"name": model, "direction": direction, "length": given.seconds, "repeats": given.repeats}
            cases.append(Case(**json.loads(apart(__file__, job, given.threads))))
            print(f"{model}, {direction}: {cases[-1].seconds:.2f} s", file=sys.stderr, flush=True)
    printed = table(cases, max(widths.values()))
    print(printed)
    if given.write:
        figures = {"limits": widths, "cases": [asdict(each) for each in cases]}
        record("audio_codec", figures, given.threads)
        fill(PAGE, "audio-codec", f"{head}\n{printed}\n")


if __name__ == "__main__":
    main()
