"""Which tiles the attention kernels are tried with, and what they are started with.

All tiles compile for the generation
without spilling registers, in float16 and bfloat16, which the nox session `kernels` checks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from moviegen_dit.kernels.launch import INTERPRETER, Launch, Tiles

_Candidates = tuple[Tiles, ...]

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
_FLOATS = (Tiles(32, 32, 4, 2),)
_INTERPRETED = (Tiles(64, 64, 4, 1),)


def _tiles(kernel: int, generation: int, q: Tensor) -> _Candidates:
    """Candidates for a kernel: 0 forward, 1 gradient of queries, 2 gradient of keys."""
    if generation == INTERPRETER:
        return _INTERPRETED
    if q.dtype == torch.float32:
        return _FLOATS
    known = generation if (generation, 64) in _HALVES else 8  # others are nearer to it, in shared memory too
    return _HALVES[known, _padded(q)][kernel]


def forward_launches(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
    out: Tensor,
    logsumexp: Tensor,
    generation: int,
) -> list[Launch]:
    """Launches that fill `out` and `logsumexp`, one for each choice of tiles."""
    from moviegen_dit.kernels import attention_triton  # here: few need it, and it takes Triton along

    strides = (q, k, v, out, logsumexp)
    return [
        Launch(
            kernel=attention_triton.forward,
            programs=_programs(q, tiles),
            arguments=(q, k, v, key_lengths, out, logsumexp, *_strides(*strides), *_sizes(q, k)),
            constants={
                "BLOCK_S": tiles.rows,
                "BLOCK_L": tiles.columns,
                **_constants(generation, tiles, q, k, v, out),
            },
            tiles=tiles,
        )
        for tiles in _tiles(0, generation, q)
    ]


def backward_launches(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
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

    delta = torch.empty_like(logsumexp)
    given = (q, k, v, key_lengths)
    strides = _strides(q, k, v, out, logsumexp, out_grad, logsumexp_grad, q_grad)
    queries = [
        Launch(
            kernel=attention_triton.backward_queries,
            programs=_programs(q, tiles),
            arguments=(
                *(*given, out, logsumexp, out_grad, logsumexp_grad, q_grad, delta),
                *(*strides, *_sizes(q, k)),
            ),
            constants={
                "BLOCK_S": tiles.rows,
                "BLOCK_L": tiles.columns,
                **_constants(generation, tiles, q, k, v, out, out_grad),
            },
            tiles=tiles,
        )
        for tiles in _tiles(1, generation, q)
    ]
    strides = _strides(q, k, v, logsumexp, out_grad, k_grad, v_grad)
    keys = [
        Launch(
            kernel=attention_triton.backward_keys,
            programs=_programs(k, tiles),
            arguments=(*given, logsumexp, delta, out_grad, k_grad, v_grad, *strides, *_sizes(q, k)),
            constants={
                "BLOCK_L": tiles.rows,
                "BLOCK_S": tiles.columns,
                **_constants(generation, tiles, q, k, v, out_grad),
            },
            tiles=tiles,
        )
        for tiles in _tiles(2, generation, q)
    ]
    return queries, keys


def _strides(*tensors: Tensor) -> tuple[int, ...]:
    return tuple(stride for tensor in tensors for stride in tensor.stride())


def _sizes(q: Tensor, k: Tensor) -> tuple[int, int, int, float]:
    return q.shape[1], k.shape[1], q.shape[2], q.shape[3] ** -0.5


def _programs(x: Tensor, tiles: Tiles) -> int:
    return -(-x.shape[1] // tiles.rows) * x.shape[0] * x.shape[2]


def _padded(q: Tensor) -> int:
    """Channels of a tile: the power of two that a head fits into."""
    return 1 << (q.shape[3] - 1).bit_length()


def _constants(generation: int, tiles: Tiles, q: Tensor, *others: Tensor) -> dict[str, int]:
    reach = max(
        abs(stride) * extent
        for x in (q, *others)
        for stride, extent in zip(x.stride()[1::2], (max(tiles.rows, tiles.columns), _padded(q)), strict=True)
    )
    return {
        "HEAD": q.shape[3],
        "PADDED": _padded(q),
        "WIDE": 2 * reach >= 1 << 31,  # the sum of both offsets within a tile
        "UPCAST": generation == INTERPRETER,
    }
