"""The kernels of moviegen-dit beside PyTorch's attention, flash-attn and eager operations, on a GPU.

    python benchmarks/kernels.py                   every kernel at sizes of the 5B preset
    python benchmarks/kernels.py --tokens 73728    at another length of the video
    python benchmarks/kernels.py --write           also writes benchmarks/results/DEVICE.json

It prints one table: milliseconds of the forward and of the backward, median of Triton's own timer, and the
TFLOP/s (attention) or GB/s (all else) that they stand for. The first rows are the device's own limit, a large
matrix product and a large copy. Without a GPU it says so and ends with status 1: a CPU is not measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod

import torch
from moviegen_dit import (
    AttentionKind,
    VideoDiTConfig,
    preset,
    resolve_attention,
    resolve_packed_attention,
)
from moviegen_dit.kernels import Backend, Packing, lengths_of, modulated_norm, residual_norm, swiglu
from record import device_name, record
from torch import Tensor

DTYPE = torch.bfloat16
KINDS: tuple[AttentionKind, ...] = ("triton", "sdpa", "flash")

Call = Callable[..., Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class Row:
    """What was measured of one function.

    Args:
        forward_ms, backward_ms: median milliseconds; None: it has no backward.
        rate: 1e12 operations (attention, products) or 1e9 bytes (all else) a second, of the forward.
    """

    what: str
    by: str
    forward_ms: float
    backward_ms: float | None
    rate: float


def timed(function: Callable[[], object]) -> float:
    """Median milliseconds."""
    from triton.testing import do_bench  # here: the message about a missing GPU needs no Triton

    return float(do_bench(function, return_mode="median"))


def measured(what: str, by: str, call: Call, inputs: Sequence[Tensor], amount: float) -> Row:
    """Time a function and its gradient; `amount` is 1e9 operations or 1e6 bytes of a forward."""
    forward = timed(lambda: call(*inputs))
    made = call(*inputs)
    outs = (made,) if isinstance(made, Tensor) else tuple(made)
    cotangents = [torch.randn_like(out) for out in outs]
    backward = timed(lambda: torch.autograd.grad(outs, inputs, cotangents, retain_graph=True))
    return Row(what, by, forward, backward, amount / forward)


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, device="cuda", dtype=DTYPE, requires_grad=True) for shape in shapes]


def limits() -> Iterator[Row]:
    """The device's own: a product of 8192 x 8192 matrices, a copy of 2 GB."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=DTYPE) for _ in range(2))
    spent = timed(lambda: a @ b)
    yield Row("matrix product", "PyTorch", spent, None, 2e-9 * 8192**3 / spent)
    source = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
    copy = torch.empty_like(source)
    spent = timed(lambda: copy.copy_(source))
    yield Row("copy", "PyTorch", spent, None, 2e-6 * source.numel() / spent)


def attentions(config: VideoDiTConfig, tokens: int, text: int) -> Iterator[Row]:
    """Self-attention, and cross-attention to a text whose last quarter is padding, by whoever can."""
    heads = (config.heads, config.head_width)
    for what, keys in (("self-attention", tokens), ("cross-attention", text)):
        lengths = None if keys == tokens else torch.tensor([3 * keys // 4], device="cuda")
        amount = 4e-9 * tokens * keys * config.width
        for kind in KINDS:
            try:
                chosen = resolve_attention(kind, "cuda", DTYPE, head_width=config.head_width)
            except ValueError as reason:
                print(f"left out: {reason}", file=sys.stderr)
                continue

            def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                return chosen(q, k, v, key_lengths=lengths)  # noqa: B023 - called before the next round

            inputs = tensors((1, tokens, *heads), (1, keys, *heads), (1, keys, *heads))
            yield measured(what, kind, call, inputs, amount)


def packed(config: VideoDiTConfig, tokens: int) -> Iterator[Row]:
    """A video with seven images of a 32nd of its tokens, one after the other, and padded to its length."""
    heads = (config.heads, config.head_width)
    lengths = [tokens, *[tokens // 32] * 7]
    packing = Packing(lengths, "cuda")
    amount = 4e-9 * sum(length**2 for length in lengths) * config.width
    for kind in KINDS:
        try:
            chosen = resolve_packed_attention(kind, "cuda", DTYPE, head_width=config.head_width)
        except ValueError as reason:
            print(f"left out: {reason}", file=sys.stderr)
            continue

        def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return chosen(q, k, v, queries=packing, keys=packing)  # noqa: B023 - called before the next round

        yield measured(
            "video and images, packed", kind, call, tensors(*[(packing.total, *heads)] * 3), amount
        )
    padded = resolve_attention("triton", "cuda", DTYPE, head_width=config.head_width)
    counted = lengths_of(lengths, tokens, "cuda")

    def padded_call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return padded(q, k, v, key_lengths=counted)

    inputs = tensors(*[(len(lengths), tokens, *heads)] * 3)
    yield measured("video and images, padded", "triton", padded_call, inputs, amount)


def fused(config: VideoDiTConfig, tokens: int) -> Iterator[Row]:
    """SwiGLU and both norms, in one kernel, in eager operations, and those compiled."""
    stream, modulation = (1, tokens, config.width), (1, 1, config.width)
    hidden = (1, tokens, config.mlp_width)

    def gate(backend: Backend) -> Call:
        return lambda *given: swiglu(*given, backend=backend)

    def entrance(backend: Backend) -> Call:
        return lambda x, shift, scale, positions: modulated_norm(
            x, shift, scale, positions=positions, backend=backend
        )

    def residual(backend: Backend) -> Call:
        return lambda *given: residual_norm(*given, backend=backend)

    for what, make, shapes, passes in (
        ("SwiGLU", gate, (hidden, hidden), 3 * prod(hidden)),
        ("positions + norm", entrance, (stream, modulation, modulation, stream[1:]), 3 * prod(stream)),
        ("residual + norm", residual, (stream, stream, *[modulation] * 3), 4 * prod(stream)),
    ):
        for by, call in (
            ("triton", make("triton")),
            ("eager", make("reference")),
            ("compiled", torch.compile(make("reference"))),
        ):
            yield measured(what, by, call, tensors(*shapes), 2e-6 * passes)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kernels against their peers, on a GPU.")
    parser.add_argument("--preset", default="5b", help="whose sizes are taken")
    parser.add_argument("--tokens", type=int, default=8192, help="of the video")
    parser.add_argument("--text", type=int, default=656, help="tokens of the prompt")
    parser.add_argument("--write", action="store_true", help="write the results into benchmarks/results")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here, so there is nothing to measure")
    config, device = preset(given.preset), device_name()
    rows = []
    print(f"{device}; preset {given.preset}, {given.tokens} video tokens, {given.text} text tokens, bfloat16")
    print("| what | by | forward ms | backward ms | TFLOP/s or GB/s |")
    print("|---|---|---:|---:|---:|")
    parts = (
        limits(),
        attentions(config, given.tokens, given.text),
        packed(config, given.tokens),
        fused(config, given.tokens),
    )
    for part in parts:
        for row in part:
            backward = "-" if row.backward_ms is None else f"{row.backward_ms:.3f}"
            print(
                f"| {row.what} | {row.by} | {row.forward_ms:.3f} | {backward} | {row.rate:.0f} |", flush=True
            )
            rows.append(asdict(row))
    if given.write:
        sizes = {"preset": given.preset, "tokens": given.tokens, "text": given.text}
        record("kernels", {"sizes": sizes, "rows": rows})


if __name__ == "__main__":
    main()
