"""Layers of the codec: weight-normed convolutions along time and Snake (DAC, arXiv 2306.06546, section 3).

Legend: B batch, C channels, N positions at a layer's own rate, I and O channels in and out, K kernel.

Every layer is a function of windows: outputs from as many positions as it needs and not one more, with zeros
before and after the whole sound. So a sound gives the same in one window, which is trained, and in many,
which hold a few positions of each level, whatever the length of the sound (`windows`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_EPSILON = 1e-9  # beside Snake's frequency, as in DAC
_UNIT_KERNEL = 7
_DILATIONS = (1, 3, 9)
_VALUES_ON_CPU = 2**19  # 2 MB in single precision, of all sizes among the fastest
_VALUES_ELSEWHERE = 2**26


class _Snake(torch.autograd.Function):
    """Keeps its input alone for the way back, where autograd would keep four tensors of that size.

    Both ways go sample by sample on CPUs, so that what lies between stays in a cache: measured, the way back
    is three times as fast. Sines are taken at the precision of `alpha`; what leaves has that of `x`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha)
        y, inverse = torch.empty_like(x), (alpha + _EPSILON).reciprocal()
        for place in _blocks(x):
            squares = (x[place] * alpha).sin_().square_()
            y[place] = torch.addcmul(x[place], squares, inverse)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        x, alpha = ctx.saved_tensors
        inverse = (alpha + _EPSILON).reciprocal()
        for_x, for_alpha = torch.empty_like(x), torch.zeros_like(alpha)
        for place in _blocks(x):
            g, angle = gradient[place], x[place] * alpha
            half = angle.cos()
            sine = angle.sin_()
            half.mul_(sine).mul_(g)  # of the sine of twice the angle
            for_x[place] = torch.addcmul(g, half, 2 * alpha * inverse)
            squares = sine.square_().mul_(g)
            for_alpha += inverse * (2 * half.mul_(x[place]) - inverse * squares).sum(dim=(0, 2), keepdim=True)
        return for_x, for_alpha


def _blocks(x: Tensor) -> list[slice]:
    """Samples that are handled together."""
    return [slice(i, i + 1) for i in range(len(x))] if x.device.type == "cpu" else [slice(None)]


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha, with one frequency a channel (Ziyin et al. 2020, arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x_BCN: Tensor) -> Tensor:
        y: Tensor = _Snake.apply(x_BCN, self.alpha)
        return y


class _Normed(nn.Module):
    """A kernel whose slices along its first axis are `weight_v` scaled to the length `weight_g`."""

    def __init__(self, shape: tuple[int, int, int], outputs: int, fan_in: int) -> None:
        super().__init__()
        self.weight_v = nn.Parameter(nn.init.uniform_(torch.empty(shape), -(fan_in**-0.5), fan_in**-0.5))
        self.weight_g = nn.Parameter(torch.ones(shape[0], 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        if not self.weight_v.is_meta:  # where lengths are nothing, and PyTorch would import its compiler
            # As long as its slice is, so that a new kernel is `weight_v` itself.
            self.weight_g.data.copy_(_lengths(self.weight_v.detach()))

    @property
    def weight(self) -> Tensor:
        """The kernel."""
        return self.weight_v * (self.weight_g / _lengths(self.weight_v))


def _lengths(weight_v: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(weight_v, dim=(1, 2), keepdim=True)
    return lengths


class Layer(nn.Module, ABC):
    """A function of windows.

    `extent` positions make the first output, `step` further ones each further output; the whole sound has
    `padding` zeros before and after it. `values` is how many values a layer handles for an output, at most.
    """

    extent: int
    step: int
    padding: int
    values: int

    @abstractmethod
    def kernels(self) -> tuple[Tensor, ...]:
        """What `window` needs, computed once a sound."""

    @abstractmethod
    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        """Outputs of ((outputs - 1) * step + extent) positions."""

    def forward(self, x_BCN: Tensor) -> Tensor:
        """Outputs of a whole sound."""
        return self.window(F.pad(x_BCN, (self.padding, self.padding)), *self.kernels())

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same of a sound that comes in pieces, of any lengths, without gradients."""
        kernels = self.kernels()
        return map(lambda x: self.window(x, *kernels), windows(pieces, self))  # noqa: C417, holds on to no x


def windows(pieces: Iterator[Tensor], layer: Layer) -> Iterator[Tensor]:
    """The windows of a layer over a sound that comes in pieces."""
    waiting: list[Tensor] = []
    length, fits = 0, 0
    for piece in chain(pieces, [None]):
        if piece is None:
            if not waiting:
                return
            waiting.append(waiting[-1].new_zeros(*waiting[-1].shape[:2], layer.padding))
        elif not waiting:
            outputs = max(_values(piece) // (layer.values * len(piece)), 1)
            fits = (outputs - 1) * layer.step + layer.extent
            waiting = [F.pad(piece, (layer.padding, 0))]
            length = layer.padding
        else:
            waiting.append(piece)
        length += layer.padding if piece is None else piece.shape[-1]
        last = piece is None
        del piece
        if length < fits and not last:
            continue
        held = torch.cat(waiting, dim=-1) if len(waiting) > 1 else waiting[0]
        waiting.clear()
        start = 0
        while length - start >= (layer.extent if last else fits):
            outputs = (min(length - start, fits) - layer.extent) // layer.step + 1
            yield held[..., start : start + (outputs - 1) * layer.step + layer.extent]
            start += outputs * layer.step
        waiting.append(held[..., start:].clone())
        length -= start
        del held


def _values(piece: Tensor) -> int:
    return _VALUES_ON_CPU if piece.device.type == "cpu" else _VALUES_ELSEWHERE


class Conv(Layer):
    """A convolution that keeps the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = _Normed((outputs, inputs, kernel), outputs, inputs * kernel)
        self.extent, self.step, self.padding = kernel, 1, kernel // 2
        self.values = max(inputs, outputs)

    def kernels(self) -> tuple[Tensor, ...]:
        return (self.conv.weight,)

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        return F.conv1d(x_BCN, kernels[0], self.conv.bias)


class ActivatedConv(Conv):
    """Snake, then a convolution that keeps the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.snake = Snake(inputs)

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        return super().window(self.snake(x_BCN), *kernels)


class ResidualUnit(Layer):
    """Snake, a dilated convolution of 7, Snake, a convolution of 1, around a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.snake1 = Snake(channels)
        self.conv1 = _Normed((channels, channels, _UNIT_KERNEL), channels, channels * _UNIT_KERNEL)
        self.snake2 = Snake(channels)
        self.conv2 = _Normed((channels, channels, 1), channels, channels)
        self.padding = _UNIT_KERNEL // 2 * dilation
        self.extent, self.step = 2 * self.padding + 1, 1
        self.values = channels

    def kernels(self) -> tuple[Tensor, ...]:
        return self.conv1.weight, self.conv2.weight

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        y_BCN = F.conv1d(self.snake1(x_BCN), kernels[0], self.conv1.bias, dilation=self.dilation)
        y_BCN = F.conv1d(self.snake2(y_BCN), kernels[1], self.conv2.bias)
        return x_BCN[..., self.padding : x_BCN.shape[-1] - self.padding] + y_BCN


class Downsample(Layer):
    """Snake, then a convolution that makes one position of `rate`, each from twice as many."""

    def __init__(self, inputs: int, outputs: int, rate: int) -> None:
        super().__init__()
        self.snake = Snake(inputs)
        self.conv = _Normed((outputs, inputs, 2 * rate), outputs, inputs * 2 * rate)
        self.extent, self.step, self.padding = 2 * rate, rate, math.ceil(rate / 2)
        self.values = max(rate * inputs, outputs)

    def kernels(self) -> tuple[Tensor, ...]:
        return (self.conv.weight,)

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        return F.conv1d(self.snake(x_BCN), kernels[0], self.conv.bias, stride=self.step)


class Upsample(Layer):
    """Snake, then a transposed convolution that makes `rate` positions of one, its kernel of twice as many.

    It is computed as a convolution of 2 with `rate` times the channels, whose outputs are then put in a row:
    on CPUs that is faster than the transposed convolution, and the sums are the same.
    """

    def __init__(self, inputs: int, outputs: int, rate: int) -> None:
        super().__init__()
        self.rate = rate
        self.snake = Snake(inputs)
        self.conv = _Normed((inputs, outputs, 2 * rate), outputs, inputs * 2)
        self.extent, self.step, self.padding = 3, 1, 1
        self.values = max(inputs, rate * outputs)

    def kernels(self) -> tuple[Tensor, ...]:
        weight_OKI = self.conv.weight.permute(1, 2, 0)
        # Where the first half of one input's outputs lies, the second half of the input's before it does.
        first_ORI, second_ORI = weight_OKI[:, : self.rate], weight_OKI[:, self.rate :]
        kernel = torch.stack([second_ORI, first_ORI], dim=-1).flatten(0, 1)
        return kernel, self.conv.bias.repeat_interleave(self.rate)

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        y_BCN = F.conv1d(self.snake(x_BCN), kernels[0], kernels[1])
        B, C, N = y_BCN.shape
        in_a_row_BCN = y_BCN.view(B, C // self.rate, self.rate, N).transpose(2, 3).flatten(2)
        first = math.ceil(self.rate / 2)  # the padding of the transposed convolution
        return in_a_row_BCN[..., first : first + (x_BCN.shape[-1] - 2) * self.rate]


class Decode(ActivatedConv):
    """Snake and the convolution to one channel of sound, whose range is (-1, 1)."""

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 1, _UNIT_KERNEL)

    def window(self, x_BCN: Tensor, *kernels: Tensor) -> Tensor:
        return torch.tanh(super().window(x_BCN, *kernels))


def encoder_layers(width: int, rates: tuple[int, ...], hidden: int, moments: int) -> list[Layer]:
    """From one channel of sound to the moments of its latent."""
    layers: list[Layer] = [Conv(1, width, _UNIT_KERNEL)]
    for rate in rates:
        layers += [ResidualUnit(width, dilation) for dilation in _DILATIONS]
        layers.append(Downsample(width, 2 * width, rate))
        width *= 2
    return [*layers, ActivatedConv(width, hidden, 3), Conv(hidden, moments, 1)]


def decoder_layers(width: int, rates: tuple[int, ...], hidden: int, latents: int) -> list[Layer]:
    """From a latent to one channel of sound."""
    layers: list[Layer] = [Conv(latents, hidden, 1), Conv(hidden, width, _UNIT_KERNEL)]
    for rate in rates:
        layers.append(Upsample(width, width // 2, rate))
        width //= 2
        layers += [ResidualUnit(width, dilation) for dilation in _DILATIONS]
    return [*layers, Decode(width)]


class Stack(nn.Module):
    """Layers one after the other, on whole sounds or on pieces."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x_BCN: Tensor) -> Tensor:
        for layer in self.layers:
            x_BCN = layer(x_BCN)
        return x_BCN

    def stream(self, pieces: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same of a sound that comes in pieces, without gradients."""
        for layer in self.layers:
            assert isinstance(layer, Layer)
            pieces = layer.stream(pieces)
        return pieces
