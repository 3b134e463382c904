"""The rule of kernels: at most about twice as far from the truth as plain PyTorch in the same dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from moviegen_dit.kernels import Attended
from torch import Tensor

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def made(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def results(inputs: list[Tensor], attend: Callable[..., Attended]) -> list[Tensor]:
    """Both outputs, and the gradients of the inputs for gradients of both outputs."""
    out, logsumexp = attend(*inputs)
    cotangents = [
        made(*x.shape, seed=9 + i).to(inputs[0].dtype).to(x.dtype) for i, x in enumerate((out, logsumexp))
    ]
    return [out, logsumexp, *torch.autograd.grad((out, logsumexp), inputs, cotangents)]


def doubled(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies in float64 that have gradients of their own."""
    return [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in tensors]


def assert_near(kernel: Sequence[Tensor], eager: Sequence[Tensor], exact: Sequence[Tensor]) -> None:
    """Of every result: max|kernel - exact| <= 2 max|eager - exact| + 2 max|(exact + 0.3 - 0.3) - exact|.

    The last term is in the dtype of the result.
    """
    for index, (given, plain, true) in enumerate(zip(kernel, eager, exact, strict=True)):
        assert given.dtype == plain.dtype, index
        assert given.shape == plain.shape == true.shape, index
        finite = true.isfinite()
        torch.testing.assert_close(given.double()[~finite], true[~finite])
        rounded = true.to(given.dtype)[finite]
        allowed = 2 * _largest(plain[finite] - true[finite])
        allowed += 2 * _largest((rounded + 0.3 - 0.3) - rounded)
        error = _largest(given[finite] - true[finite])
        assert error <= allowed, f"result {index} is off by {error:.3g}, {allowed:.3g} is allowed"


def _largest(difference: Tensor) -> float:
    return difference.abs().max().item() if difference.numel() else 0.0
