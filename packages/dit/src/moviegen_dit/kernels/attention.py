"""Scaled dot-product attention, bidirectional, with its logsumexp (paper, section 3.1.3 and Fig. 8).

`attention` is differentiable in both results, so that attention over parts of the keys can be put together:
with results (o_1, l_1) and (o_2, l_2) of two parts, l = logaddexp(l_1, l_2) is the logsumexp of all keys and
exp(l_1 - l) o_1 + exp(l_2 - l) o_2 their attention. Context parallelism is that sum over devices.

Legend: B batch, S queries, L keys, N heads, K channels of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from moviegen_dit.kernels.attention_launches import Given, backward_launches, forward_launches
from moviegen_dit.kernels.launch import Backend, chosen, generation, missing, run_fastest
from moviegen_dit.kernels.packing import Packing

HEAD_WIDTHS = (64, 96, 128)
"""Channels of a head that the kernels take: those of the presets. 96 costs as much as 128."""


class Attended(NamedTuple):
    """What attention gives.

    Args:
        out: (B, S, N, K), of the dtype of the queries; 0 for a sample without keys.
        logsumexp: (B, S, N), of the scores of each query, natural; float32 (float64 for float64 inputs);
            -inf for a sample without keys.
    """

    out: Tensor
    logsumexp: Tensor


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None, backend: Backend | None = None
) -> Attended:
    """Attend from q (B, S, N, K) to k, v (B, L, N, K), with scores q . k / sqrt(K).

    Args:
        q, k, v: of one dtype and device, with any strides, none of which is changed by a copy.
        key_lengths: (B,) integers, the number of keys of each sample that count, from the first on; None:
            all. They are not looked at, which would wait for the device: `lengths_of` makes them and refuses
            those that do not fit. What is beyond 0 to L counts as 0 or L.
        backend: "triton" for the kernels, "reference" for plain PyTorch, which holds the matrix of scores in
            memory; None: the kernels on a CUDA device, else the reference.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the backend cannot do this, with the reason.
    """
    _check(q, k, v, key_lengths, q.shape[0])
    if chosen(backend, q.device) == "reference":
        return attention_reference(q, k, v, key_lengths)
    return Attended(*_attention(q, k, v, key_lengths, None, None))


def packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    queries: Packing,
    keys: Packing,
    key_lengths: Tensor | None = None,
    backend: Backend | None = None,
) -> Attended:
    """Attend within samples of different lengths that lie one after the other: a batch without padding.

    Args:
        q: (S, N, K), the queries of all samples.
        k, v: (L, N, K), their keys and values.
        queries, keys: which rows are whose; the same object for self-attention.
        key_lengths: as in `attention`, of the keys that each sample has in `keys`. Padded keys (B, L, N, K)
            are packed keys of B times the length L.
        backend: as in `attention`.

    Returns:
        `out` (S, N, K) and `logsumexp` (S, N).

    Raises:
        ValueError: shapes, dtypes, devices or packings do not fit, or the backend cannot do this.
    """
    _check_packed(q, k, queries, keys)
    _check(q[None], k[None], v[None], key_lengths, len(queries.lengths))
    if chosen(backend, q.device) == "reference":
        return packed_attention_reference(q, k, v, queries, keys, key_lengths)
    out, logsumexp = _attention(q[None], k[None], v[None], key_lengths, queries.starts, keys.starts)
    return Attended(out.squeeze(0), logsumexp.squeeze(0))


def unable(device: torch.device, dtype: torch.dtype, head_width: int) -> str | None:
    """Why the kernels cannot do attention on such tensors; None if they can."""
    if head_width not in HEAD_WIDTHS:
        return f"heads must have {', '.join(map(str, HEAD_WIDTHS))} channels, not {head_width}"
    return missing(device, dtype)


def lengths_of(lengths: Sequence[int], longest: int, device: torch.device | str = "cpu") -> Tensor:
    """Key lengths on a device.

    Args:
        lengths: of each sample.
        longest: number of keys that the tensor of keys has room for.

    Raises:
        ValueError: a length is negative, or beyond the keys.
    """
    for sample, length in enumerate(lengths):
        if not 0 <= length <= longest:
            raise ValueError(f"the length of sample {sample} must be from 0 to {longest}, not {length}")
    return torch.tensor(lengths, dtype=torch.int32).to(device, non_blocking=True)


def attention_reference(q: Tensor, k: Tensor, v: Tensor, key_lengths: Tensor | None = None) -> Attended:
    """The definition in plain PyTorch: products in the dtype of the inputs, softmax in float32 at least."""
    scores_BNSL = torch.einsum("bsnk,blnk->bnsl", q, k)
    scores_BNSL = scores_BNSL.to(torch.promote_types(q.dtype, torch.float32)) * q.shape[3] ** -0.5
    if key_lengths is not None:
        absent_BL = torch.arange(k.shape[1], device=k.device) >= key_lengths[:, None]
        scores_BNSL = scores_BNSL.masked_fill(absent_BL[:, None, None], float("-inf"))
    logsumexp_BNS1 = scores_BNSL.logsumexp(-1, keepdim=True)
    finite_BNS1 = logsumexp_BNS1.masked_fill(logsumexp_BNS1.isneginf(), 0.0)
    weights_BNSL = (scores_BNSL - finite_BNS1).exp()
    out_BSNK = torch.einsum("bnsl,blnk->bsnk", weights_BNSL.to(q.dtype), v)
    return Attended(out_BSNK, logsumexp_BNS1.squeeze(-1).transpose(1, 2))


def packed_attention_reference(
    q: Tensor, k: Tensor, v: Tensor, queries: Packing, keys: Packing, key_lengths: Tensor | None = None
) -> Attended:
    """The definition in plain PyTorch: one sample after another."""
    parts = (queries.samples(q), keys.samples(k), keys.samples(v))
    lengths = [None] * len(queries.lengths) if key_lengths is None else key_lengths[:, None].unbind()
    results = [
        attention_reference(one[None], its_k[None], its_v[None], length)
        for one, its_k, its_v, length in zip(*parts, lengths, strict=True)
    ]
    out, logsumexp = (torch.cat(each, dim=1).squeeze(0) for each in zip(*results, strict=True))
    return Attended(out, logsumexp)


def _check(q: Tensor, k: Tensor, v: Tensor, key_lengths: Tensor | None, samples: int) -> None:
    if q.ndim != 4 or k.ndim != 4 or q.shape[0::2] != k.shape[0::2] or q.shape[3] != k.shape[3]:
        raise ValueError(
            f"q must be (B, S, N, K) and k (B, L, N, K), not {tuple(q.shape)} and {tuple(k.shape)}"
        )
    if v.shape != k.shape:
        raise ValueError(f"v must have the shape of k, {tuple(k.shape)}, not {tuple(v.shape)}")
    if not q.is_floating_point() or not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"q, k and v must be of one floating dtype, not {q.dtype}, {k.dtype} and {v.dtype}")
    if not q.device == k.device == v.device:
        raise ValueError(f"q, k and v must be on one device, not {q.device}, {k.device} and {v.device}")
    if key_lengths is None:
        return
    if key_lengths.shape != (samples,) or key_lengths.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"key_lengths must be int32 or int64 of shape ({samples},), "
            f"not {key_lengths.dtype} {tuple(key_lengths.shape)}"
        )
    if key_lengths.device != q.device:
        raise ValueError(f"key_lengths must be on the device of q, {q.device}, not {key_lengths.device}")


def _check_packed(q: Tensor, k: Tensor, queries: Packing, keys: Packing) -> None:
    if q.ndim != 3 or k.ndim != 3:
        raise ValueError(f"packed q, k and v must have 3 axes, not {q.ndim} and {k.ndim}")
    if len(queries.lengths) != len(keys.lengths):
        raise ValueError(
            f"queries and keys must be of as many samples, not {len(queries.lengths)} and {len(keys.lengths)}"
        )
    for name, x, packing in (("q", q, queries), ("k", k, keys)):
        if x.shape[0] != packing.total or x.device != packing.starts.device:
            raise ValueError(
                f"{name} must have the {packing.total} rows of its packing on {packing.starts.device}, "
                f"not {x.shape[0]} on {x.device}"
            )


def _empty(q: Tensor) -> tuple[Tensor, Tensor]:
    """Uninitialised results: `out` contiguous, the logsumexp with the queries innermost."""
    batch, queries, heads, _ = q.shape
    logsumexp_BNS = q.new_empty((batch, heads, queries), dtype=torch.float32)
    return q.new_empty(q.shape), logsumexp_BNS.transpose(1, 2)


@torch.library.custom_op("moviegen_dit::attention", mutates_args=())
def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
    query_starts: Tensor | None,
    key_starts: Tensor | None,
) -> tuple[Tensor, Tensor]:
    if reason := unable(q.device, q.dtype, q.shape[3]):
        raise ValueError(f"attention cannot run on triton: {reason}")
    out, logsumexp = _empty(q)
    given = Given(q, k, v, key_lengths, query_starts, key_starts)
    run_fastest(forward_launches(given, out, logsumexp, generation(q.device)))
    return out, logsumexp


@_attention.register_fake
def _(q: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return _empty(q)


@torch.library.custom_op("moviegen_dit::attention_backward", mutates_args=())
def _attention_backward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    key_lengths: Tensor | None,
    query_starts: Tensor | None,
    key_starts: Tensor | None,
    out: Tensor,
    logsumexp: Tensor,
    out_grad: Tensor,
    logsumexp_grad: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    q_grad, k_grad, v_grad = (x.new_empty(x.shape) for x in (q, k, v))
    given = Given(q, k, v, key_lengths, query_starts, key_starts)
    known = (given, out, logsumexp, out_grad, logsumexp_grad)
    for launches in backward_launches(*known, q_grad, k_grad, v_grad, generation(q.device)):
        run_fastest(launches)
    return q_grad, k_grad, v_grad


@_attention_backward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: Attended) -> None:
    ctx.save_for_backward(*inputs, *output)


def _backward(
    ctx: torch.autograd.function.BackwardCFunction, out_grad: Tensor, logsumexp_grad: Tensor
) -> tuple[Tensor | None, ...]:
    return *_attention_backward(*ctx.saved_tensors, out_grad, logsumexp_grad), None, None, None


_attention.register_autograd(_backward, setup_context=_save)
