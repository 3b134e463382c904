"""Which tiles the attention kernels are tried with, and what they are started with.

All tiles compile for the generation
without spilling registers, in float16 and bfloat16, which the nox session `kernels` checks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from moviegen_dit.kernels.launch import INTERPRETER, Launch, Tiles

_Candidates = tuple[Tiles, ...]


class Given(NamedTuple):
    """What attention reads, forward and backward.

    Args:
        q, k, v: (B, S, N, K) and (B, L, N, K); packed samples have B = 1.
        key_lengths: one a sample, or None.
        query_starts, key_starts: of packed samples, as in `Packing`; both None: samples lie along B.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    key_lengths: Tensor | None
    query_starts: Tensor | None
    key_starts: Tensor | None

    @property
    def samples(self) -> int:
        return self.q.shape[0] if self.query_starts is None else self.query_starts.shape[0] - 1

    def programs(self, x: Tensor, tiles: Tiles) -> int:
        """Tiles that the rows of all samples fit into, in every head; x: q or k."""
        if self.query_starts is None:
            return -(-x.shape[1] // tiles.rows) * x.shape[0] * x.shape[2]
        return (x.shape[1] // tiles.rows + self.samples) * x.shape[2]

    def sizes(self) -> tuple[int, int, int, int, float]:
        return self.q.shape[1], self.k.shape[1], self.samples, self.q.shape[2], self.q.shape[3] ** -0.5


# By generation and channels of a head, for float16 and bfloat16: forward, gradient of queries, that of keys.
# Generation 8 holds operands in registers, so a warp needs 16 rows of its own and short tiles to walk along.
_HALVES: dict[tuple[int, int], tuple[_Candidates, _Candidates, _Candidates]] = {
    (8, 64): (
        (Tiles(128, 64, 8, 3), Tiles(128, 32, 8, 3)),
        (Tiles(128, 32, 8, 2),),
        (Tiles(128, 32, 8, 2), Tiles(128, 16, 8, 2)),
    ),
    (8, 128): (
        (Tiles(128, 64, 8, 2), Tiles(128, 32, 8, 3)),
        (Tiles(128, 32, 8, 2),),
        (Tiles(128, 16, 8, 2),),
    ),
    (9, 64): (
        (Tiles(128, 128, 8, 3), Tiles(128, 64, 8, 3)),
        (Tiles(128, 64, 8, 2),),
        (Tiles(128, 64, 8, 2),),
    ),
    (9, 128): (
        (Tiles(128, 128, 8, 2), Tiles(128, 64, 8, 3)),
        (Tiles(128, 64, 8, 2),),
        (Tiles(128, 32, 8, 2), Tiles(64, 32, 4, 3)),
    ),
    (10, 64): (
        (Tiles(128, 64, 8, 3), Tiles(128, 64, 4, 3)),
        (Tiles(128, 64, 8, 2),),
        (Tiles(128, 64, 8, 2),),
    ),
    (10, 128): (
        (Tiles(128, 64, 8, 3), Tiles(128, 64, 8, 2)),
        (Tiles(128, 64, 8, 2),),
        (Tiles(128, 64, 8, 2),),
    ),
}
# Where packed samples take a register too many for those.
_PACKED: dict[tuple[int, int], tuple[_Candidates, _Candidates, _Candidates]] = {
    (8, 128): ((Tiles(128, 32, 8, 3),), (Tiles(128, 16, 8, 2),), (Tiles(128, 16, 8, 2),)),
}
_FLOATS = (Tiles(32, 32, 4, 2),)
_INTERPRETED = (Tiles(64, 64, 4, 1),)


def _tiles(kernel: int, generation: int, given: Given) -> _Candidates:
    """Candidates for a kernel: 0 forward, 1 gradient of queries, 2 gradient of keys."""
    if generation == INTERPRETER:
        return _INTERPRETED
    if given.q.dtype == torch.float32:
        return _FLOATS
    known = generation if (generation, 64) in _HALVES else 8  # others are nearer to it, in shared memory too
    sizes = (known, _padded(given.q))
    special = _PACKED.get(sizes) if given.query_starts is not None else None
    return (special or _HALVES[sizes])[kernel]


def forward_launches(given: Given, out: Tensor, logsumexp: Tensor, generation: int) -> list[Launch]:
    """Launches that fill `out` and `logsumexp`, one for each choice of tiles."""
    from moviegen_dit.kernels import attention_triton  # here: few need it, and it takes Triton along

    q, k, v, *_ = given
    strides = _strides(q, k, v, out, logsumexp)
    return [
        Launch(
            kernel=attention_triton.forward,
            programs=given.programs(q, tiles),
            arguments=(*given, out, logsumexp, *strides, *given.sizes()),
            constants={
                "BLOCK_S": tiles.rows,
                "BLOCK_L": tiles.columns,
                **_constants(generation, tiles, given, out),
            },
            tiles=tiles,
        )
        for tiles in _tiles(0, generation, given)
    ]


def backward_launches(
    given: Given,
    out: Tensor,
    logsumexp: Tensor,
    out_grad: Tensor,
    logsumexp_grad: Tensor,
    q_grad: Tensor,
    k_grad: Tensor,
    v_grad: Tensor,
    generation: int,
) -> tuple[list[Launch], list[Launch]]:
    """Launches that fill `q_grad`, then those that fill `k_grad` and `v_grad` by what the first ones left."""
    from moviegen_dit.kernels import attention_triton

    q, k, v, *_ = given
    delta = torch.empty_like(logsumexp)
    strides = _strides(q, k, v, out, logsumexp, out_grad, logsumexp_grad, q_grad)
    read = (*given, out, logsumexp, out_grad, logsumexp_grad)
    queries = [
        Launch(
            kernel=attention_triton.backward_queries,
            programs=given.programs(q, tiles),
            arguments=(*read, q_grad, delta, *strides, *given.sizes()),
            constants={
                "BLOCK_S": tiles.rows,
                "BLOCK_L": tiles.columns,
                **_constants(generation, tiles, given, out, out_grad),
            },
            tiles=tiles,
        )
        for tiles in _tiles(1, generation, given)
    ]
    strides = _strides(q, k, v, logsumexp, out_grad, k_grad, v_grad)
    keys = [
        Launch(
            kernel=attention_triton.backward_keys,
            programs=given.programs(k, tiles),
            arguments=(*given, logsumexp, delta, out_grad, k_grad, v_grad, *strides, *given.sizes()),
            constants={
                "BLOCK_L": tiles.rows,
                "BLOCK_S": tiles.columns,
                **_constants(generation, tiles, given, out_grad),
            },
            tiles=tiles,
        )
        for tiles in _tiles(2, generation, given)
    ]
    return queries, keys


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    return tuple(stride for tensor in tensors for stride in tensor.stride())


def _padded(q: Tensor) -> int:
    """Channels of a tile: the power of two that a head fits into."""
    return 1 << (q.shape[3] - 1).bit_length()


def _constants(generation: int, tiles: Tiles, given: Given, *others: Tensor) -> dict[str, int]:
    q, k, v, *_ = given
    reach = max(
        abs(stride) * extent
        for x in (q, k, v, *others)
        for stride, extent in zip(x.stride()[1::2], (max(tiles.rows, tiles.columns), _padded(q)), strict=True)
    )
    return {
        "HEAD": q.shape[3],
        "PADDED": _padded(q),
        # Packed samples are looked for all at once; few powers of two, few binaries.
        "SAMPLES": 1 if given.query_starts is None else max(16, 1 << (given.samples - 1).bit_length()),
        "WIDE": 2 * reach >= 1 << 31,  # the sum of both offsets within a tile
        "UPCAST": generation == INTERPRETER,
    }
