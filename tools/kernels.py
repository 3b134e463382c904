"""What the kernels of moviegen-dit become on a GPU, and the least that they can take there; needs no GPU.

    python tools/kernels.py binaries [--generation 9]    compiles all of them; fails on spills in 16 bits
    python tools/kernels.py roofline                     bytes, operations and floor times, for the docs

Binaries are read back: registers and shared memory from what the driver would be told, spills as stores to
local memory, matrix instructions from the PTX.
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import triton
from moviegen_dit import VideoDiTConfig, preset
from moviegen_dit.kernels import adaln
from moviegen_dit.kernels.attention_launches import Given, backward_launches, forward_launches
from moviegen_dit.kernels.launch import Launch
from moviegen_dit.kernels.swiglu import backward_launch as swiglu_backward
from moviegen_dit.kernels.swiglu import forward_launch as swiglu_forward
from moviegen_dit.kernels.triton_or_not import EXTENTS
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

NVIDIA = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
TYPES = {
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
INSTRUCTIONS = {8: ("mma.sync", "A100"), 9: ("wgmma.mma_async", "H100"), 10: ("tcgen05.mma", "B200")}
"""Matrix instruction of a generation, and its usual device."""


@dataclass(frozen=True)
class Binary:
    """What a compiled kernel takes.

    Args:
        registers: of a thread.
        shared: bytes of shared memory of a program.
        spills: instructions that store to local memory.
        products: matrix instructions of its generation.
    """

    registers: int
    shared: int
    spills: int
    products: int


def source(launch: Launch) -> ASTSource:
    """The kernel, specialised on the arguments of a launch as a run would: those that are 1, or 16 n, are."""
    names = launch.kernel.arg_names
    signature: dict[str, str] = {}
    constants: dict[str, object] = dict(launch.constants)
    attributes: dict[tuple[int], list[list[str | int]]] = {}
    for place, (name, value) in enumerate(zip(names, launch.arguments, strict=False)):
        if value is None or (isinstance(value, int) and value == 1 and name not in EXTENTS):
            signature[name], constants[name] = "constexpr", value
            continue
        if isinstance(value, Tensor):
            signature[name] = TYPES[value.dtype]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i64" if value >= 1 << 31 else "i32"
        aligned = isinstance(value, Tensor) or (isinstance(value, int) and value % 16 == 0)
        if aligned and name not in EXTENTS:
            attributes[place,] = [["tt.divisibility", 16]]
    signature |= dict.fromkeys(launch.constants, "constexpr")
    return ASTSource(launch.kernel, signature, constants, attributes)


def compiled(launch: Launch, generation: int) -> Binary:
    """Compile for the first device of a generation, and read the binary."""
    options = {"num_warps": launch.tiles.warps, "num_stages": launch.tiles.stages}
    made = triton.compile(source(launch), target=GPUTarget("cuda", 10 * generation, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage = printed("cuobjdump", "-res-usage", file.name)
        assembly = printed("nvdisasm", "-c", file.name)
    found = re.search(r"REG:(\d+)", usage)
    if found is None:
        raise RuntimeError(f"cuobjdump named no registers of {launch.kernel.__name__}: {usage}")
    products = re.findall(rf"\b{re.escape(INSTRUCTIONS[generation][0])}\b", made.asm["ptx"])
    spills = re.findall(r"\bSTL\b", assembly)
    return Binary(int(found.group(1)), made.metadata.shared, len(spills), len(products))


def printed(tool: str, *arguments: str) -> str:
    return subprocess.run([NVIDIA / tool, *arguments], capture_output=True, text=True, check=True).stdout


def attention(generation: int, dtype: torch.dtype, channels: int, packed: bool) -> Iterator[Launch]:
    """All launches of attention with tensors that have no memory: 2 samples, or 24 that are packed."""
    q, k, v, out, *gradients = (
        torch.empty(1 if packed else 2, 8192, 24, channels, dtype=dtype, device="meta") for _ in range(8)
    )
    lengths = torch.empty(24 if packed else 2, dtype=torch.int64, device="meta")
    starts = torch.empty(25, dtype=torch.int32, device="meta") if packed else None
    logsumexp = torch.empty(q.shape[0], 24, 8192, device="meta").transpose(1, 2)
    given = Given(q, k, v, lengths, starts, starts)
    yield from forward_launches(given, out, logsumexp, generation)
    known = (given, out, logsumexp, gradients[0], logsumexp)
    for launches in backward_launches(*known, gradients[1], gradients[2], gradients[3], generation):
        yield from launches


def fused(dtype: torch.dtype, width: int) -> Iterator[Launch]:
    """All launches of norms and SwiGLU, with everything that they can take and with as little as they can."""

    def meta(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    x, modulation, positions = meta(2, 8192, width), meta(2, 1, width), meta(8192, width)
    sums = meta(2, 256, width, dtype=torch.float32)
    yield adaln.forward_launch(x, None, None, modulation, modulation, positions, None, x)
    yield adaln.forward_launch(x, x, modulation, modulation, modulation, positions, x, x)
    yield adaln.backward_launch(
        x, None, None, modulation, positions, None, x, x, None, None, (sums, sums, None)
    )
    yield adaln.backward_launch(x, x, modulation, modulation, positions, x, x, x, x, x, (sums, sums, sums))
    rows = meta(16384, width)
    yield swiglu_forward(rows, rows, rows)
    yield swiglu_backward(rows, rows, rows, rows, rows)


def jobs(generation: int) -> Iterator[tuple[str, torch.dtype, Launch]]:
    """Everything that is compiled for a generation, with its name."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        forms = (False, True) if dtype != torch.float32 else (False,)  # float32 is reported only, and slow
        for channels, packed in itertools.product((64, 96, 128), forms):
            what = "packed attention" if packed else "attention"
            for launch in attention(generation, dtype, channels, packed):
                yield f"{what} {launch.kernel.__name__}, K = {channels}", dtype, launch
        for width in (1536, 3072, 4096, 6144):
            for launch in fused(dtype, width):
                yield f"{launch.kernel.__name__}, D = {width}", dtype, launch


def binaries(generations: list[int]) -> int:
    """Print a row for each binary; the number of those that break a rule."""
    print("| kernel | dtype | device | tiles, warps, stages | registers | shared KB | spills | products |")
    print("|---|---|---|---|---:|---:|---:|---:|")
    broken = 0
    for generation in generations:
        instruction, device = INSTRUCTIONS[generation]
        for name, dtype, launch in jobs(generation):
            made, tiles = compiled(launch, generation), launch.tiles
            wrong = dtype != torch.float32 and (made.spills or ("attention" in name and not made.products))
            broken += bool(wrong)
            print(
                f"| {name} | {str(dtype).removeprefix('torch.')} | {device} "
                f"| {tiles.rows} x {tiles.columns}, {tiles.warps}, {tiles.stages} | {made.registers} "
                f"| {made.shared / 1024:.0f} | {made.spills} | {made.products} {instruction} |",
                flush=True,
            )
            if wrong:
                print(f"{name} on {device} spills, or does not use {instruction}", file=sys.stderr)
    return broken


@dataclass(frozen=True)
class Device:
    """Peak rates of a data sheet: dense bfloat16 products, and memory.

    Args:
        tflops: 1e12 operations a second.
        gigabytes: 1e9 bytes a second.
    """

    tflops: float
    gigabytes: float


DEVICES = {"A100": Device(312, 2039), "H100": Device(989, 3350), "B200": Device(2250, 8000)}
"""80 GB, SXM where there is a choice."""


@dataclass(frozen=True)
class Work:
    """The least that a kernel moves and computes: each tensor once.

    Args:
        gigabytes: 1e9 bytes.
        eager: the same, one operation of PyTorch after another; None: not of that kind.
        tflop: 1e12 operations of matrix products.
    """

    gigabytes: float
    eager: float | None
    tflop: float

    def floor(self, device: Device) -> float:
        """Milliseconds."""
        return 1e3 * max(self.gigabytes / device.gigabytes, self.tflop / device.tflops)


def works(config: VideoDiTConfig, tokens: int, text: int) -> dict[str, Work]:
    """Every kernel at the size of one layer and one sample, in bfloat16; sums and statistics are left out."""
    stream = 2e-9 * tokens * config.width
    hidden = 2e-9 * tokens * config.mlp_width
    found = {}
    for name, keys in (("self", tokens), ("cross", text)):
        side = 2e-9 * keys * config.width
        product = 2e-12 * tokens * keys * config.width
        found[f"{name}-attention, forward"] = Work(2 * stream + 2 * side, None, 2 * product)
        found[f"{name}-attention, gradient of queries"] = Work(4 * stream + 2 * side, None, 3 * product)
        found[f"{name}-attention, gradient of keys"] = Work(2 * stream + 4 * side, None, 4 * product)
    return found | {
        "positions + norm, forward": Work(3 * stream, 7 * stream, 0),
        "positions + norm, backward": Work(4 * stream, None, 0),
        "gated residual + norm, forward": Work(4 * stream, 7 * stream, 0),
        "gated residual + norm, backward": Work(6 * stream, None, 0),
        "SwiGLU, forward": Work(3 * hidden, 5 * hidden, 0),
        "SwiGLU, backward": Work(5 * hidden, None, 0),
    }


def roofline() -> None:
    """Print the floor of every kernel of the largest preset at the paper's longest video."""
    head = " | ".join(f"{name} ms" for name in DEVICES)
    print(f"| kernel | GB | GB eager | TFLOP | {head} | bound |")
    print(f"|---|---:|---:|---:|{'---:|' * len(DEVICES)}---|")
    for name, work in works(preset("30b"), tokens=73_728, text=656).items():
        times = " | ".join(f"{work.floor(device):.3g}" for device in DEVICES.values())
        bound = {work.tflop / d.tflops > work.gigabytes / d.gigabytes for d in DEVICES.values()}
        by = "products" if bound == {True} else "memory" if bound == {False} else "either"
        eager = "-" if work.eager is None else f"{work.eager:.2f}"
        print(f"| {name} | {work.gigabytes:.2f} | {eager} | {work.tflop:.3g} | {times} | {by} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Binaries and floor times of the kernels; needs no GPU.")
    parser.add_argument("what", choices=["binaries", "roofline"])
    parser.add_argument("--generation", type=int, choices=list(INSTRUCTIONS), action="append")
    given = parser.parse_args()
    if given.what == "roofline":
        roofline()
        return
    sys.exit(min(binaries(given.generation or list(INSTRUCTIONS)), 1))


if __name__ == "__main__":
    main()
