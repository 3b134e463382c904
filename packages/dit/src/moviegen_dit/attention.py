"""Attention by PyTorch's own scaled dot product, as an `AttentionFn`, and for samples without padding.

Legend: B batch, S queries, L keys, N heads, K channels of a head.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from moviegen_dit.kernels.packing import Packing


class PackedAttentionFn(Protocol):
    """Attention within samples of different lengths that lie one after the other."""

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        queries: Packing,
        keys: Packing,
        key_lengths: Tensor | None = None,
    ) -> Tensor:
        """Attend from q (S, N, K) to k, v (L, N, K), each sample to its own keys.

        Args:
            queries, keys: which rows are whose.
            key_lengths: (B,) number of keys of each sample that count, from its first on; None: all.

        Returns:
            (S, N, K); 0 for a sample without keys.
        """
        ...


def sdpa_attention(q: Tensor, k: Tensor, v: Tensor, *, key_lengths: Tensor | None = None) -> Tensor:
    """Attend from q (B, S, N, K) to k, v (B, L, N, K).

    Args:
        key_lengths: (B,) number of keys of each sample that count, from the first on; None: all.

    Returns:
        (B, S, N, K); 0 for a sample without keys.
    """
    q_BNSK, k_BNLK, v_BNLK = (heads.transpose(1, 2) for heads in (q, k, v))
    if key_lengths is None:
        return _scaled_dot_product(q_BNSK, k_BNLK, v_BNLK).transpose(1, 2)
    index_L = torch.arange(k.shape[1], device=k.device)
    # A softmax over no key is 0 or NaN, as PyTorch's backend likes it, and NaN would poison the gradient even
    # if it were replaced afterwards: such a sample attends to its first key, and the result is zeroed.
    counts_B1 = key_lengths.clamp(min=1)[:, None]
    mask_B11L = (index_L < counts_B1)[:, None, None]
    out_BNSK = _scaled_dot_product(q_BNSK, k_BNLK, v_BNLK, mask_B11L)
    return out_BNSK.masked_fill((key_lengths <= 0)[:, None, None, None], 0.0).transpose(1, 2)


def _scaled_dot_product(q_BNSK: Tensor, k_BNLK: Tensor, v_BNLK: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's function; on a CPU under autocast in single precision: bfloat16 goes back 7 times slower."""
    if q_BNSK.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            out_BNSK = F.scaled_dot_product_attention(
                q_BNSK.float(), k_BNLK.float(), v_BNLK.float(), attn_mask=mask
            )
            return out_BNSK.to(v_BNLK.dtype)
    return F.scaled_dot_product_attention(q_BNSK, k_BNLK, v_BNLK, attn_mask=mask)


def sdpa_packed_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    queries: Packing,
    keys: Packing,
    key_lengths: Tensor | None = None,
) -> Tensor:
    """One sample after another, as a `PackedAttentionFn`."""
    lengths = [None] * len(queries.lengths) if key_lengths is None else key_lengths[:, None].unbind()
    parts = zip(queries.samples(q), keys.samples(k), keys.samples(v), lengths, strict=True)
    attended = [
        sdpa_attention(one[None], its_k[None], its_v[None], key_lengths=length)[0]
        if len(its_k)
        else torch.zeros_like(one)
        for one, its_k, its_v, length in parts
    ]
    return torch.cat(attended)
