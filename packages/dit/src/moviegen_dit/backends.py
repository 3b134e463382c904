"""Which attention a model is built with: chosen once, by name, and refused where it cannot do what is asked.

    VideoDiT(config, attention=resolve_attention("triton", "cuda", torch.bfloat16, head_width=128))

Every choice is an `AttentionFn`, or a `PackedAttentionFn` for samples without padding: nothing looks at the
device again, and nothing falls back while it runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from moviegen_core import AttentionFn
from torch import Tensor

from moviegen_dit.attention import PackedAttentionFn, sdpa_attention, sdpa_packed_attention
from moviegen_dit.kernels.attention import attention, packed_attention, unable
from moviegen_dit.kernels.launch import unusable
from moviegen_dit.kernels.packing import Packing

AttentionKind = Literal["auto", "sdpa", "triton", "flash", "reference"]

_FLASH_4_FROM = 9  # compute capability; older devices have flash-attn 2 only


def resolve_attention(
    kind: AttentionKind, device: torch.device | str, dtype: torch.dtype, *, head_width: int
) -> AttentionFn:
    """The attention of a kind, for tensors of a device and a dtype.

    Args:
        kind: "sdpa" for PyTorch's own; "triton" for the kernels of this package; "flash" for flash-attn,
            of the extras `flash` and `flash4`; "reference" for the definition, which holds the matrix of
            scores in memory; "auto" for "flash" where it can run, else "sdpa".
        device, dtype: of queries, keys and values.
        head_width: channels of a head.

    Raises:
        ValueError: there is no such kind, or it cannot do this here, with the reason.
    """
    chosen = choose_attention(kind, device, dtype, head_width=head_width)
    if chosen == "flash":
        module = importlib.import_module(_flash_module(torch.device(device)))
        return flash_attention(module.flash_attn_func, module.flash_attn_varlen_func)
    return {"sdpa": sdpa_attention, "triton": triton_attention, "reference": reference_attention}[chosen]


def resolve_packed_attention(
    kind: AttentionKind, device: torch.device | str, dtype: torch.dtype, *, head_width: int
) -> PackedAttentionFn:
    """As `resolve_attention`, for `VideoDiT.forward_packed`.

    Raises:
        ValueError: there is no such kind, or it cannot do this here, with the reason.
    """
    chosen = choose_attention(kind, device, dtype, head_width=head_width)
    if chosen == "flash":
        module = importlib.import_module(_flash_module(torch.device(device)))
        return flash_packed_attention(module.flash_attn_varlen_func)
    if chosen == "sdpa":
        return sdpa_packed_attention
    return triton_packed_attention if chosen == "triton" else reference_packed_attention


def choose_attention(
    kind: AttentionKind, device: torch.device | str, dtype: torch.dtype, *, head_width: int
) -> AttentionKind:
    """What "auto" is for such tensors, or the kind itself; the arguments are those of `resolve_attention`.

    Raises:
        ValueError: there is no such kind, or it cannot do this here, with the reason.
    """
    device = torch.device(device)
    if kind == "auto":
        return "sdpa" if _flash_unable(device, dtype, head_width) else "flash"
    if kind in ("sdpa", "reference"):
        return kind
    if kind == "triton":
        reason = unable(device, dtype, head_width)
    elif kind == "flash":
        reason = _flash_unable(device, dtype, head_width)
    else:
        raise ValueError(f"attention must be auto, sdpa, triton, flash or reference, not {kind!r}")
    if reason:
        raise ValueError(f"attention cannot run on {kind}: {reason}")
    return kind


def reference_attention(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
    """The definition, as an `AttentionFn`."""
    return attention(q, k, v, key_lengths=key_lengths, backend="reference").out


def triton_attention(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
    """The kernels of this package, as an `AttentionFn`.

    Raises:
        ValueError: they cannot do this, with the reason.
    """
    return attention(q, k, v, key_lengths=key_lengths, backend="triton").out


def reference_packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    queries: Packing,
    keys: Packing,
    key_lengths: Tensor | None = None,
) -> Tensor:
    """The definition, as a `PackedAttentionFn`."""
    packings = {"queries": queries, "keys": keys}
    return packed_attention(q, k, v, **packings, key_lengths=key_lengths, backend="reference").out


def triton_packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    queries: Packing,
    keys: Packing,
    key_lengths: Tensor | None = None,
) -> Tensor:
    """The kernels of this package, as a `PackedAttentionFn`.

    Raises:
        ValueError: they cannot do this, with the reason.
    """
    packings = {"queries": queries, "keys": keys}
    return packed_attention(q, k, v, **packings, key_lengths=key_lengths, backend="triton").out


def _flash_unable(device: torch.device, dtype: torch.dtype, head_width: int) -> str | None:
    """Why flash-attn cannot run; None if it can. It is looked for last, for importing it takes seconds."""
    if device.type != "cuda":
        return f"flash-attn needs a CUDA device, and got {device.type}"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"flash-attn takes float16 and bfloat16, not {str(dtype).removeprefix('torch.')}"
    if head_width > 128 or head_width % 8:
        return f"flash-attn takes heads of a multiple of 8 up to 128 channels, not {head_width}"
    if reason := unusable(device):
        return reason
    try:
        importlib.import_module(_flash_module(device))
    except ImportError as error:
        return f"flash-attn cannot be imported ({error}); install the extra flash or flash4 of moviegen-dit"
    return None


def _flash_module(device: torch.device) -> str:
    if torch.cuda.get_device_capability(device)[0] < _FLASH_4_FROM:
        return "flash_attn"
    try:
        importlib.import_module("flash_attn.cute")
    except ImportError:
        return "flash_attn"
    return "flash_attn.cute"


def flash_attention(whole: Callable[..., object], packed: Callable[..., object]) -> AttentionFn:
    """flash-attn as an `AttentionFn`.

    It knows lengths of packed sequences only: with key lengths, the samples are packed.

    Args:
        whole: its `flash_attn_func`.
        packed: its `flash_attn_varlen_func`.
    """
    attend_packed = flash_packed_attention(packed)

    def attend(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
        if key_lengths is None:
            return _first(whole(q, k, v))
        queries, keys = (Packing([x.shape[1]] * x.shape[0], x.device) for x in (q, k))
        flat = (x.flatten(0, 1) for x in (q, k, v))
        return attend_packed(*flat, queries=queries, keys=keys, key_lengths=key_lengths).view(q.shape)

    return attend


def flash_packed_attention(packed: Callable[..., object]) -> PackedAttentionFn:
    """flash-attn as a `PackedAttentionFn`; packed: its `flash_attn_varlen_func`.

    With key lengths, the keys that count are gathered first, which waits for the device.
    """

    def attend(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        queries: Packing,
        keys: Packing,
        key_lengths: Tensor | None = None,
    ) -> Tensor:
        key_starts = keys.starts
        if key_lengths is not None:
            counted = zip(keys.lengths, key_lengths, strict=True)
            counts_L = torch.cat([torch.arange(rows, device=k.device) < length for rows, length in counted])
            k, v = k[counts_L], v[counts_L]
            lengths_B = key_lengths.clamp(min=0).minimum(key_starts.diff())
            key_starts = F.pad(lengths_B.cumsum(0), (1, 0)).to(torch.int32)
        out_SNK = _first(
            packed(
                *(q, k, v),
                cu_seqlens_q=queries.starts,
                cu_seqlens_k=key_starts,
                max_seqlen_q=queries.longest,
                max_seqlen_k=keys.longest,
            )
        )
        keyless_B = key_starts.diff() == 0
        keyless_S = keyless_B.repeat_interleave(queries.starts.diff(), output_size=queries.total)
        return out_SNK.masked_fill(keyless_S[:, None, None], 0.0)

    return attend


def _first(result: object) -> Tensor:
    """Version 4 gives the logsumexp as well."""
    out = result[0] if isinstance(result, tuple) else result
    assert isinstance(out, Tensor)
    return out
