"""Building blocks of the audio transformer (paper, section 6.1.2 and Fig. 28).

A block is one of DiT (Peebles and Xie 2023, arXiv 2212.09748), with LayerNorm, biases and a plain perceptron,
and with cross-attention to the text between self-attention and perceptron.

Legend: B batch, T latent frames of sound, L text tokens, D width, E width of an encoder, N heads, K channels
of a head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from moviegen_core import AttentionFn
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPSILON = 1e-6
"""Under the root of every norm, as in DiT."""

MODULATIONS = 6
"""Shift, scale and gate, of self-attention and of the perceptron."""

TIME_CHANNELS = 256
_LONGEST_PERIOD = 10_000.0
_TIME_SCALE = 1000.0


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that keeps the variance of its input; the paper is silent on this."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that starts at zero, for the ends of branches (adaLN-Zero of DiT)."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def modulated_norm(x_BTD: Tensor, shift_B1D: Tensor, scale_B1D: Tensor) -> Tensor:
    """LayerNorm whose gain and offset come from the time."""
    channels, gain_B1D = (x_BTD.shape[-1],), 1.0 + scale_B1D
    if x_BTD.shape[0] == 1:  # the norm's own gain and offset: fewer passes over memory
        return F.layer_norm(x_BTD, channels, gain_B1D[0, 0], shift_B1D[0, 0], EPSILON)
    return torch.addcmul(shift_B1D, F.layer_norm(x_BTD, channels, eps=EPSILON), gain_B1D)


def rotations(frames: int, channels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (T, 1, K) of the angle of each frame in each pair of channels."""
    exponents = torch.arange(0, channels, 2, device=like.device, dtype=torch.float32) / channels
    frequencies = torch.exp(-math.log(_LONGEST_PERIOD) * exponents)
    angles_T1K = torch.arange(frames, device=like.device, dtype=torch.float32)[:, None, None] * frequencies
    cosine, sine = angles_T1K.cos().to(like.dtype), angles_T1K.sin().to(like.dtype)
    return torch.cat([cosine, cosine], dim=-1), torch.cat([-sine, sine], dim=-1)


def rotated(x_BTNK: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first half of the channels, as real parts, and the second, as imaginary ones, by frame."""
    cosine, signed_sine = rotation
    swapped = x_BTNK.roll(x_BTNK.shape[-1] // 2, dims=-1)
    return torch.addcmul(x_BTNK * cosine, swapped, signed_sine)


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


class GatedProjection(nn.Module):
    """What a video adds to each frame of sound: tanh(gate) * LayerNorm(projection).

    The paper says "gated linear projection" only; the form is that of Meta's later public model. Its gate is
    0 at first, ours 0.5: a closed one opens by no more than the rate a step, which hundreds of thousands of
    steps can afford and a short training cannot.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.projection = linear(inputs, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.gate = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, features_BTE: Tensor) -> Tensor:
        projected_BTD = self.norm(self.projection(features_BTE.to(self.projection.weight.dtype)))
        gated_BTD: Tensor = torch.tanh(self.gate) * projected_BTD
        return gated_BTD


class _TrainedHeadNorm(torch.autograd.Function):
    """RMSNorm with a derivative of its own: on a CPU PyTorch's goes over memory far more often."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_K: Tensor, eps: float) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square()
        inverse = torch.rsqrt(squares / x.shape[-1] + eps)
        ctx.save_for_backward(x, weight_K, inverse)
        return (x * inverse * weight_K).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight_K, inverse = ctx.saved_tensors
        normed = x * inverse
        product = grad * normed
        along = (product @ weight_K.to(product.dtype)).unsqueeze(-1) / x.shape[-1]
        grad_x = torch.addcmul(grad * weight_K, normed, along, value=-1) * inverse
        return grad_x.to(x.dtype), product.flatten(0, -2).sum(0).to(weight_K.dtype), None


class HeadNorm(nn.RMSNorm):
    """RMSNorm whose gain follows the precision of what it scales, which under autocast differs."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        assert self.eps is not None
        weight_K = self.weight.to(x.dtype)
        if x.device.type == "cpu" and torch.is_grad_enabled() and x.requires_grad:
            trained: Tensor = _TrainedHeadNorm.apply(x, weight_K, self.eps)
            return trained
        return F.rms_norm(x, self.normalized_shape, weight_K, self.eps)


class SelfAttention(nn.Module):
    """Every frame attends to every other.

    Positions turn queries and keys (RoPE, arXiv 2104.09864), so that only distances count and any length is
    read. Queries and keys are RMS-normed in each head. The paper is silent on both; our choices.
    """

    def __init__(self, width: int, heads: int, attention: AttentionFn) -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.qkv = linear(width, 3 * width)
        self.query_norm = HeadNorm(width // heads, eps=EPSILON)
        self.key_norm = HeadNorm(width // heads, eps=EPSILON)
        self.out = linear(width, width)

    def forward(self, x_BTD: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        q_BTNK, k_BTNK, v_BTNK = self.qkv(x_BTD).unflatten(-1, (3, self.heads, -1)).unbind(2)
        q_BTNK, k_BTNK = (
            rotated(normed, rotation) for normed in (self.query_norm(q_BTNK), self.key_norm(k_BTNK))
        )
        out_BTD: Tensor = self.out(self.attention(q_BTNK, k_BTNK, v_BTNK).flatten(2))
        return out_BTD


class CrossAttention(nn.Module):
    """Every frame attends to the text; the output starts at zero, in place of a gate."""

    def __init__(self, width: int, heads: int, attention: AttentionFn) -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.query = linear(width, width)
        self.key_value = linear(width, 2 * width)
        self.query_norm = HeadNorm(width // heads, eps=EPSILON)
        self.key_norm = HeadNorm(width // heads, eps=EPSILON)
        self.out = zero_linear(width, width)

    def prepare(self, text_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, L, N, K) of the text: the same at every solver step."""
        k_BLNK, v_BLNK = self.key_value(text_BLD).unflatten(-1, (2, self.heads, -1)).unbind(2)
        return self.key_norm(k_BLNK), v_BLNK

    def forward(self, x_BTD: Tensor, k_BLNK: Tensor, v_BLNK: Tensor, key_lengths_B: Tensor) -> Tensor:
        q_BTNK = self.query_norm(self.query(x_BTD).unflatten(-1, (self.heads, -1)))
        attended_BTNK = self.attention(q_BTNK, k_BLNK, v_BLNK, key_lengths=key_lengths_B)
        out_BTD: Tensor = self.out(attended_BTNK.flatten(2))
        return out_BTD


class Block(nn.Module):
    """Self-attention, cross-attention, perceptron.

    The six modulations are the sum of a projection of the time that all blocks share and of this block's own
    offsets ("layer-dependent biases only", section 6.1.2). Offsets start at zero, hence gates too.
    """

    def __init__(self, width: int, heads: int, mlp_width: int, attention: AttentionFn) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(MODULATIONS, width))
        self.self_attention = SelfAttention(width, heads, attention)
        self.cross_attention = CrossAttention(width, heads, attention)
        self.up = linear(width, mlp_width)
        self.down = linear(mlp_width, width)

    def forward(
        self,
        x_BTD: Tensor,
        rotation: tuple[Tensor, Tensor],
        modulation_B6D: Tensor,
        k_BLNK: Tensor,
        v_BLNK: Tensor,
        key_lengths_B: Tensor,
    ) -> Tensor:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = (
            (modulation_B6D + self.offsets).unsqueeze(2).unbind(1)  # six of (B, 1, D)
        )
        attended_BTD = self.self_attention(modulated_norm(x_BTD, shift, scale), rotation)
        x_BTD = torch.addcmul(x_BTD, gate, attended_BTD)
        x_BTD = x_BTD + self.cross_attention(x_BTD, k_BLNK, v_BLNK, key_lengths_B)
        hidden = F.gelu(self.up(modulated_norm(x_BTD, mlp_shift, mlp_scale)))
        return torch.addcmul(x_BTD, mlp_gate, self.down(hidden))
