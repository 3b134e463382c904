"""Convolution along time without padded copies: forward, backward, and on frames that come in pieces.

Legend: B batch, T frames, C channels, H rows, W columns, P = H*W positions. Frames are folded into the batch,
(B*T, C, H, W), in channels-last memory, which is (B, T, P, C) in order: a convolution along time is a 2-D
convolution over (T, P) on the same memory, so nothing is copied to go from one to the other.
"""

from __future__ import annotations

from collections import deque
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
        weight, bias = self._parameters_for(x_NCHW)
        x_BTPC = x_NCHW.to(weight.dtype).permute(0, 2, 3, 1).reshape(N // frames, frames, H * W, C)
        y_BTPC: Tensor = _Convolution.apply(x_BTPC, weight, bias, self.stride[0])
        return y_BTPC.reshape(-1, H, W, C).permute(0, 3, 1, 2)

    def stream(self, pieces: Iterator[Tensor], repeats: int = 1) -> Iterator[Tensor]:
        """The same on the frames of one clip in pieces (T, C, H, W), without gradients.

        A piece comes out when the next one is there, or as soon as its own frames are enough.

        Args:
            pieces: with stride 2 of even lengths, but for the last.
            repeats: 2 for every frame twice in a row, which is not written out; with stride 1 only.
        """
        before: Tensor | None = None
        waiting = deque[Tensor]()
        for piece in pieces:
            T, C, H, W = piece.shape
            weight, _ = self._parameters_for(piece)
            x_TPC = piece.to(weight.dtype).permute(0, 2, 3, 1).reshape(T, H * W, C)
            del piece
            if waiting:
                rows(waiting[0][-1:]).addmm_(x_TPC[0], _kernel(weight, 2).t())
                yield waiting.popleft()
            y_TPC = self._within(x_TPC, x_TPC[0] if before is None else before, repeats)
            waiting.append(y_TPC.view(-1, H, W, C).permute(0, 3, 1, 2))
            before = x_TPC[0] if T == 1 else x_TPC[-1].clone()  # a view would keep all of its piece
            del x_TPC, y_TPC
            if (T - 1) % self.stride[0]:
                yield waiting.popleft()
        if waiting and before is not None:
            rows(waiting[0][-1:]).addmm_(before, _kernel(weight, 2).t())
            yield waiting.popleft()

    def _within(self, x_TPC: Tensor, before_PC: Tensor, repeats: int) -> Tensor:
        """What a piece and the frame before it come to; its last frame lacks what the next one adds."""
        T, P, C = x_TPC.shape
        weight, bias = self._parameters_for(x_TPC)
        early_IO = _kernel(weight, 0).t()
        if repeats == 1:  # one pass over memory, where a product a tap makes three
            if x_TPC.is_meta:  # without values convolutions do not keep the layout, and a copy would count
                y_TPC = x_TPC.new_empty(-(-T // self.stride[0]), P, C)
            else:
                x_1CTP = x_TPC[None].permute(0, 3, 1, 2)
                y_1CTP = F.conv2d(x_1CTP, weight, bias, self.stride, padding=(1, 0))
                y_TPC = y_1CTP.permute(0, 2, 3, 1)[0].contiguous()  # as it is, where the layout is kept
            y_TPC[0].addmm_(before_PC, early_IO)
            return y_TPC
        # Writing into every second frame is faster by products.
        first, second = ([_kernel(kernel, tap).t() for tap in range(2)] for kernel in doubled(weight, 2))
        y_TRPC = x_TPC.new_empty(T, 2, P, C)
        for t in range(T):
            torch.addmm(bias, x_TPC[t], first[1], out=y_TRPC[t, 0])
            torch.addmm(bias, x_TPC[t], second[0], out=y_TRPC[t, 1])
            y_TRPC[t, 0].addmm_(x_TPC[t - 1] if t else before_PC, early_IO)
            if t:
                y_TRPC[t - 1, 1].addmm_(x_TPC[t], second[1])
        return y_TRPC.flatten(0, 1)

    def _parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias in the type to compute in: autocast reaches no functions or products in place."""
        assert self.bias is not None
        kind = x.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            return self.weight.to(dtype), self.bias.to(dtype)
        return self.weight, self.bias


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
            kernel_grads[tap] += torch.bmm(grad_BRC.mT, x_BTPC[:, into].flatten(1, 2)).sum(
                dim=0, dtype=precise
            )
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


def doubled(weight: Tensor, dim: int) -> list[Tensor]:
    """Kernels of 2 taps that do to positions what one of 3, along `dim`, does when each comes twice.

    The first is for the first of two equals, which sees the position before it, and itself twice; the second
    for the second one, which sees itself twice, and the position after it.
    """
    before, centre, after = weight.unbind(dim)
    return [torch.stack([before, centre + after], dim), torch.stack([before + centre, after], dim)]


def rows(x_NCHW: Tensor) -> Tensor:
    """(N*P, C) of frames in channels-last memory, the same memory."""
    N, C, H, W = x_NCHW.shape
    return x_NCHW.permute(0, 2, 3, 1).view(N * H * W, C)


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
