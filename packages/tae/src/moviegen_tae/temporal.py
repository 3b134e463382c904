"""Convolution along time without padded copies, forward and backward.

Legend: B batch, T frames, C channels, H rows, W columns, P = H*W positions. Frames are folded into the batch,
(B*T, C, H, W), in channels-last memory, which is (B, T, P, C) in order: a convolution along time is a 2-D
convolution over (T, P) on the same memory, so nothing is copied to go from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TemporalConv(nn.Conv2d):
    """Convolution along time, kernel 3, symmetric replicate padding; starts as the identity.

    With stride 2 it makes ceil(T / 2) frames of T, and starts by keeping every second one. Identity at the
    centre tap is our choice: the paper does not say how temporal kernels start.
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(channels, channels, (3, 1), stride=(stride, 1))

    def reset_parameters(self) -> None:
        assert self.bias is not None
        nn.init.zeros_(self.bias)
        nn.init.dirac_(self.weight)

    def forward(self, x_NCHW: Tensor, frames: int) -> Tensor:  # type: ignore[override]
        """(B*T, C, H, W) to (B*ceil(T / stride), C, H, W), where T = `frames`."""
        N, C, H, W = x_NCHW.shape
        assert self.bias is not None
        dtype, device = self.weight.dtype, x_NCHW.device.type
        if torch.is_autocast_enabled(device):  # which changes the types of convolutions, not of functions
            dtype = torch.get_autocast_dtype(device)
        x_NCHW, weight, bias = x_NCHW.to(dtype), self.weight.to(dtype), self.bias.to(dtype)
        x_BTPC = x_NCHW.permute(0, 2, 3, 1).reshape(N // frames, frames, H * W, C)
        y_BTPC: Tensor = _Convolution.apply(x_BTPC, weight, bias, self.stride[0])
        return y_BTPC.reshape(-1, H, W, C).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    """Zero padding, then what replicated frames add at both ends; backward in matrix products.

    Both ends cost one small product each, where padding would copy the whole video. The products take half to
    a seventh of the time that the backward pass of a convolution with such a kernel takes on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x_BTPC: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x_BTPC, weight)
        ctx.stride = stride
        x_BCTP = x_BTPC.permute(0, 3, 1, 2)
        y_BTPC = F.conv2d(x_BCTP, weight, bias, stride=(stride, 1), padding=(1, 0)).permute(0, 2, 3, 1)
        for tap, out, into in _ends(x_BTPC.shape[1], stride):
            y_BTPC[:, out].baddbmm_(x_BTPC[:, into], _kernel(weight, tap).t().expand(len(y_BTPC), -1, -1))
        return y_BTPC

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x_BTPC, weight = ctx.saved_tensors
        grad_BTPC = grads[0].contiguous()
        B, T, _, C = x_BTPC.shape
        x_grad_BTPC = x_BTPC.new_zeros(x_BTPC.shape)  # contiguous, whatever the input is
        precise = torch.promote_types(weight.dtype, torch.float32)  # to sum over clips
        kernel_grads = torch.zeros(3, C, C, dtype=precise, device=weight.device)
        for tap, out, into in _taps(T, ctx.stride):
            grad_BRC = grad_BTPC[:, out].flatten(1, 2)
            kernel_grads[tap] += (grad_BRC.mT @ x_BTPC[:, into].flatten(1, 2)).sum(dim=0, dtype=precise)
            kernel_BCC = _kernel(weight, tap).expand(B, -1, -1)
            if ctx.stride == 1:  # rows of all frames follow each other: added up in place
                x_grad_BTPC[:, into].view(grad_BRC.shape).baddbmm_(grad_BRC, kernel_BCC)
            else:
                x_grad_BTPC[:, into] += (grad_BRC @ kernel_BCC).view_as(grad_BTPC[:, out])
        weight_grad = kernel_grads.permute(1, 2, 0)[..., None].to(weight.dtype)
        return x_grad_BTPC, weight_grad, grad_BTPC.sum(dim=(0, 1, 2)), None


def _kernel(weight: Tensor, tap: int) -> Tensor:
    """(out, in) channels of a tap: -1, 0 or 1 frames away for taps 0, 1 and 2."""
    return weight[:, :, tap, 0]


def _ends(frames: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(tap, frame of the output, frame of the input) where a tap reads a replicated frame."""
    yield 0, 0, 0
    if (frames - 1) % stride == 0:
        yield 2, (frames - 1) // stride, frames - 1


def _taps(frames: int, stride: int) -> Iterator[tuple[int, slice, slice]]:
    """(tap, frames of the output, frames of the input that it reads for them), replicated ones as well."""
    outputs = -(-frames // stride)
    followed = (frames - 2) // stride + 1  # outputs whose last tap reads no replicated frame
    yield 0, slice(1, outputs), slice(stride - 1, stride * (outputs - 1), stride)
    yield 1, slice(outputs), slice(0, frames, stride)
    yield 2, slice(followed), slice(1, frames, stride)
    for tap, out, into in _ends(frames, stride):
        yield tap, slice(out, out + 1), slice(into, into + 1)
