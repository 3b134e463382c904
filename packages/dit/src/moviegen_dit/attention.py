"""Attention by PyTorch's own scaled dot product, as an `AttentionFn`.

Legend: B batch, S queries, L keys, N heads, K channels of a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    return out_BNSK.masked_fill((key_lengths == 0)[:, None, None, None], 0.0).transpose(1, 2)


def _scaled_dot_product(q_BNSK: Tensor, k_BNLK: Tensor, v_BNLK: Tensor, mask: Tensor | None = None) -> Tensor:
    """PyTorch's function; on a CPU under autocast in single precision: bfloat16 goes back 7 times slower."""
    if q_BNSK.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            out_BNSK = F.scaled_dot_product_attention(
                q_BNSK.float(), k_BNLK.float(), v_BNLK.float(), attn_mask=mask
            )
            return out_BNSK.to(v_BNLK.dtype)
    return F.scaled_dot_product_attention(q_BNSK, k_BNLK, v_BNLK, attn_mask=mask)
