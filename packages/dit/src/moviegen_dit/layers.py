"""Building blocks of the video transformer (paper, section 3.1.3, Table 1 and Fig. 8).

A block is one of LLaMa 3 with three changes: cross-attention between self-attention and feed-forward,
modulation by time (adaLN), and bidirectional attention. No linear layer has a bias.

A packed batch is one row of tokens, B = 1, in which samples of different lengths follow each other; what
belongs to a sample, its prompt and its modulations, keeps B samples.

Legend: B batch, C latent channels, T H W latent frames, rows, columns, S video tokens, L prompt tokens,
D width, E width of a text encoder, N heads, K channels of a head.
"""

from __future__ import annotations

import math
from math import prod

import torch
import torch.nn.functional as F
from einops import rearrange
from moviegen_core import AttentionFn, VideoShape
from torch import Tensor, nn

from moviegen_dit.attention import PackedAttentionFn
from moviegen_dit.conditions import Packed
from moviegen_dit.config import VideoDiTConfig

EPSILON = 1e-6
"""Under the root of every norm. The paper is silent."""

MODULATIONS = 6
"""Shift, scale and gate, of self-attention and of the feed-forward (Fig. 8)."""

TIME_CHANNELS = 256
"""Sinusoids of a time."""

_LONGEST_PERIOD = 10_000.0
_TIME_SCALE = 1000.0


def patchify(x: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Cut a latent (B, C, T, H, W) into tokens (B, S, C * patch volume).

    A linear layer on these is a 3-D convolution whose kernel and stride are the patch.
    """
    frames, rows, columns = patch
    return rearrange(
        x, "B C (T f) (H r) (W c) -> B (T H W) (C f r c)", f=frames, r=rows, c=columns
    )  # (B, S, C f r c)


def unpatchify(x_BSC: Tensor, patch: tuple[int, int, int], tokens: VideoShape) -> Tensor:
    """Put tokens (B, S, C * patch volume) back together: the inverse of `patchify`."""
    return rearrange(
        x_BSC,
        "B (T H W) (C f r c) -> B C (T f) (H r) (W c)",
        T=tokens.frames,
        H=tokens.height,
        f=patch[0],
        r=patch[1],
        c=patch[2],
    )  # (B, C, T, H, W)


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without bias that keeps the variance of its input; the paper is silent on this."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    return layer


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without bias that starts at zero, for the ends of branches (adaLN-Zero of DiT)."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def patch_projection(config: VideoDiTConfig) -> nn.Linear:
    """Tokens of what the model reads to its width; whatever it is shown besides the noisy latent starts at 0.

    So a model that is shown more starts as the one that is not (section 3.1.5).
    """
    layer = nn.Linear(config.input_channels * prod(config.patch), config.width, bias=False)
    nn.init.normal_(layer.weight, std=config.patch_channels**-0.5)
    nn.init.zeros_(layer.weight.detach()[:, config.patch_channels :])
    return layer


def modulated_norm(x_BSD: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """RMSNorm whose gain and offset come from the time ("Scale/Shift Norm" in Fig. 8)."""
    normed_BSD = F.rms_norm(x_BSD, (x_BSD.shape[-1],), eps=EPSILON)
    return torch.addcmul(shift_B1D, normed_BSD, 1.0 + scale_B1D)


def modulations(table_BMD: Tensor, packed: Packed | None) -> tuple[Tensor, ...]:
    """Each of the M modulations, (B, 1, D); of a packed batch (1, S, D), every token having its sample's."""
    if packed is None:
        return table_BMD.unsqueeze(2).unbind(1)
    # Not by an index, whose gradient would add up in another order each time.
    rows = zip(table_BMD, packed.tokens.lengths, strict=True)
    return torch.cat([table_MD.expand(length, -1, -1) for table_MD, length in rows]).unsqueeze(0).unbind(2)


class TimeEmbedding(nn.Module):
    """Sinusoids of the time through a two-layer perceptron, as in DiT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = linear(TIME_CHANNELS, width)
        self.down = linear(width, width)

    def forward(self, t_B: Tensor) -> Tensor:
        """Embed times in [0, 1]; (B, D), ready for the projections to modulations."""
        half = TIME_CHANNELS // 2
        exponent = torch.arange(half, device=t_B.device, dtype=torch.float32) / half
        angles = _TIME_SCALE * t_B.float()[:, None] * torch.exp(-math.log(_LONGEST_PERIOD) * exponent)
        waves = math.sqrt(2.0) * torch.cat([angles.cos(), angles.sin()], dim=-1)  # mean square 1
        return F.silu(self.down(F.silu(self.up(waves.to(self.up.weight.dtype)))))


class PromptProjection(nn.Module):
    """Linear projection and LayerNorm of one encoder's token states (section 3.1.4), and its absent prompt.

    An absent prompt is one learned token, so that guidance has something to attend to. The paper is silent.
    """

    def __init__(self, encoder_width: int, width: int) -> None:
        super().__init__()
        self.projection = linear(encoder_width, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.null = nn.Parameter(nn.init.normal_(torch.empty(width)))  # as large as normed tokens

    def forward(
        self, embeddings_BLE: Tensor, mask_BL: Tensor, drop_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, L, D) and their mask, with the absent prompt where `drop_B` is True."""
        tokens_BLD = self.norm(self.projection(embeddings_BLE.to(self.projection.weight.dtype)))
        if drop_B is None:
            return tokens_BLD, mask_BL
        first_L = torch.arange(mask_BL.shape[1], device=mask_BL.device) == 0
        tokens_BLD = torch.where(drop_B[:, None, None], self.null, tokens_BLD)
        return tokens_BLD, torch.where(drop_B[:, None], first_L, mask_BL)


class SelfAttention(nn.Module):
    """Every video token attends to every other.

    Queries and keys are RMS-normed in each head, here and in cross-attention. The paper is silent; this
    bounds the logits, so that training stays stable at large learning rates.
    """

    def __init__(
        self, width: int, heads: int, attention: AttentionFn, packed_attention: PackedAttentionFn
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.packed_attention = packed_attention
        self.qkv = linear(width, 3 * width)
        self.query_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.key_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.out = linear(width, width)

    def forward(self, x_BSD: Tensor, packed: Packed | None) -> Tensor:
        q_BSNK, k_BSNK, v_BSNK = self.qkv(x_BSD).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q_BSNK, k_BSNK = self.query_norm(q_BSNK), self.key_norm(k_BSNK)
        if packed is None:
            attended_BSNK = self.attention(q_BSNK, k_BSNK, v_BSNK)
        else:
            qkv = (q_BSNK[0], k_BSNK[0], v_BSNK[0])
            tokens = packed.tokens
            attended_BSNK = self.packed_attention(*qkv, queries=tokens, keys=tokens)[None]
        out_BSD: Tensor = self.out(attended_BSNK.flatten(2))
        return out_BSD


class CrossAttention(nn.Module):
    """Every video token attends to the prompt.

    Fig. 8 draws neither norm nor gate here. The query norm makes a norm before it redundant, and the output
    starts at zero in place of a gate.
    """

    def __init__(
        self, width: int, heads: int, attention: AttentionFn, packed_attention: PackedAttentionFn
    ) -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.packed_attention = packed_attention
        self.query = linear(width, width)
        self.key_value = linear(width, 2 * width)
        self.query_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.key_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.out = zero_linear(width, width)

    def prepare(self, prompt_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, L, N, K) of the prompt: the same at every solver step."""
        k_BLNK, v_BLNK = self.key_value(prompt_BLD).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return self.key_norm(k_BLNK), v_BLNK

    def forward(
        self,
        x_BSD: Tensor,
        k_BLNK: Tensor,
        v_BLNK: Tensor,
        key_lengths_B: Tensor,
        packed: Packed | None,
    ) -> Tensor:
        q_BSNK = self.query_norm(self.query(x_BSD).unflatten(-1, (self.heads, -1)))
        if packed is None:
            attended_BSNK = self.attention(q_BSNK, k_BLNK, v_BLNK, key_lengths=key_lengths_B)
        else:
            attended_BSNK = self.packed_attention(
                q_BSNK[0],
                k_BLNK.flatten(0, 1),
                v_BLNK.flatten(0, 1),
                queries=packed.tokens,
                keys=packed.prompts,
                key_lengths=key_lengths_B,
            )[None]
        out_BSD: Tensor = self.out(attended_BSNK.flatten(2))
        return out_BSD


class SwiGLU(nn.Module):
    """Feed-forward with a gated hidden layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = linear(width, hidden)
        self.up = linear(width, hidden)
        self.down = linear(hidden, width)

    def forward(self, x_BSD: Tensor) -> Tensor:
        out_BSD: Tensor = self.down(F.silu(self.gate(x_BSD)) * self.up(x_BSD))
        return out_BSD


class Block(nn.Module):
    """Self-attention, cross-attention, feed-forward, in the order of Fig. 8.

    The six modulations are the sum of a projection of the time that all blocks share and of this block's own
    offsets: only that brings Table 1 to 30 billion parameters. Offsets start at zero, hence gates too.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_width: int,
        attention: AttentionFn,
        packed_attention: PackedAttentionFn,
    ) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(MODULATIONS, width))
        self.self_attention = SelfAttention(width, heads, attention, packed_attention)
        self.cross_attention = CrossAttention(width, heads, attention, packed_attention)
        self.mlp = SwiGLU(width, mlp_width)

    def forward(
        self,
        x_BSD: Tensor,
        positions_SD: Tensor,
        modulation_B6D: Tensor,
        k_BLNK: Tensor,
        v_BLNK: Tensor,
        key_lengths_B: Tensor,
        packed: Packed | None = None,
    ) -> Tensor:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulations(
            modulation_B6D + self.offsets, packed
        )
        # Our choice: positions enter what the norm reads, not the residual stream, which would drown in them.
        attended_BSD = self.self_attention(modulated_norm(x_BSD + positions_SD, shift, scale), packed)
        x_BSD = torch.addcmul(x_BSD, gate, attended_BSD)
        x_BSD = x_BSD + self.cross_attention(x_BSD, k_BLNK, v_BLNK, key_lengths_B, packed)
        return torch.addcmul(x_BSD, mlp_gate, self.mlp(modulated_norm(x_BSD, mlp_shift, mlp_scale)))
