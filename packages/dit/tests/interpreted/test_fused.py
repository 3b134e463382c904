"""Fused norms and SwiGLU in Triton's interpreter against float64, and as operators of PyTorch.

`test_kernels.py` runs this folder; without TRITON_INTERPRET=1 everything here fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from checking import assert_near, doubled
from moviegen_dit.kernels import modulated_norm, residual_norm, swiglu
from torch import Tensor

Calls = Callable[[Sequence[Tensor], str], Sequence[Tensor]]


def made(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).requires_grad_()


def of_norm(inputs: Sequence[Tensor], backend: str) -> list[Tensor]:
    x, shift, scale, *positions = inputs
    given = positions[0] if positions else None
    return [modulated_norm(x, shift, scale, positions=given, backend=backend)]  # type: ignore[arg-type]


def of_gated(inputs: Sequence[Tensor], backend: str) -> list[Tensor]:
    x, shift, scale, branch, gate, *positions = inputs
    given = positions[0] if positions else None
    return list(residual_norm(x, branch, gate, shift, scale, positions=given, backend=backend))  # type: ignore[arg-type]


def of_sum(inputs: Sequence[Tensor], backend: str) -> list[Tensor]:
    x, shift, scale, branch = inputs
    return list(residual_norm(x, branch, None, shift, scale, backend=backend))  # type: ignore[arg-type]


def of_swiglu(inputs: Sequence[Tensor], backend: str) -> list[Tensor]:
    return [swiglu(inputs[0], inputs[1], backend=backend)]  # type: ignore[arg-type]


def results(inputs: Sequence[Tensor], calls: Calls, backend: str) -> list[Tensor]:
    outputs = calls(inputs, backend)
    cotangents = [made(*x.shape, seed=7 + i).detach().to(inputs[0].dtype) for i, x in enumerate(outputs)]
    return [*outputs, *torch.autograd.grad(outputs, inputs, cotangents)]


def inputs_of(calls: Calls, tokens: int, width: int, dtype: torch.dtype, positions: bool) -> list[Tensor]:
    stream, modulation = (2, tokens, width), (2, 1, width)
    shapes: list[tuple[int, ...]] = {
        of_norm: [stream, modulation, modulation],
        of_gated: [stream, modulation, modulation, stream, modulation],
        of_sum: [stream, modulation, modulation, stream],
        of_swiglu: [stream, stream],
    }[calls]
    if positions:
        shapes.append((tokens, width))
    return [made(*shape, dtype=dtype, seed=seed) for seed, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("calls", "tokens", "width", "dtype", "positions"),
    [
        (of_norm, 3, 127, torch.float32, True),
        (of_norm, 1, 1000, torch.bfloat16, False),
        (of_gated, 33, 129, torch.float32, True),
        (of_gated, 33, 64, torch.float16, False),
        (of_gated, 3, 1000, torch.bfloat16, True),
        (of_sum, 3, 96, torch.bfloat16, False),
        (of_swiglu, 3, 1000, torch.float32, False),
        (of_swiglu, 1, 1025, torch.bfloat16, False),
        (of_swiglu, 129, 1, torch.float16, False),
    ],
)
def test_results_and_gradients_are_as_near_as_eager(
    calls: Calls, tokens: int, width: int, dtype: torch.dtype, positions: bool
) -> None:
    inputs = inputs_of(calls, tokens, width, dtype, positions)
    given, eager = (results(inputs, calls, backend) for backend in ("triton", "reference"))
    assert_near(given, eager, results(doubled(inputs), calls, "reference"))


def test_any_strides_will_do() -> None:
    """As the model has them: six modulations side by side, one layer for gate and up, channels apart."""
    six = made(2, 6, 48).detach()
    shift, scale, gate = six.unsqueeze(2).unbind(1)[:3]
    x, branch = made(5, 2, 48, seed=1).detach().transpose(0, 1), made(2, 5, 96, seed=2).detach()[..., ::2]
    positions = made(48, 5, seed=3).detach().t()
    strided = [t.detach().requires_grad_() for t in (x, shift, scale, branch, gate, positions)]
    plain = [t.detach().contiguous().requires_grad_() for t in strided]
    given, expected = (results(inputs, of_gated, "triton") for inputs in (strided, plain))
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one, other)
    halves = [t.detach().requires_grad_() for t in made(2, 3, 40).chunk(2, dim=-1)]
    given, expected = (results(halves, of_swiglu, backend) for backend in ("triton", "reference"))
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_offsets_beyond_32_bits() -> None:
    """Memory is reserved, not filled: rows, or the channels of one row, reach beyond 2^31 elements."""
    wide = torch.empty((1 << 32) + (1 << 16), dtype=torch.float16)
    rows = [wide.as_strided((1, 3, 16), (1 << 32, 1 << 30, 1), start) for start in (0, 1 << 10)]
    channels = [wide.as_strided((1, 3, 16), (1 << 32, 1 << 10, 1 << 28), start) for start in (64, 128)]
    small = [made(1, 3, 16, dtype=torch.float16, seed=seed).detach() for seed in range(2)]
    modulation = [made(1, 1, 16, dtype=torch.float16, seed=seed) for seed in range(2, 5)]
    for views in (rows, channels):
        for view, values in zip(views, small, strict=True):
            view.copy_(values)
        for calls, more in ((of_gated, modulation), (of_swiglu, [])):
            pairs = []
            for stream, branch in (views, small):
                inputs = [stream, *more[:2], branch, *more[2:]] if more else [stream, branch]
                pairs.append(results([x.detach().requires_grad_() for x in inputs], calls, "triton"))
            for one, other in zip(*pairs, strict=True):
                assert torch.equal(one, other)


@pytest.mark.parametrize("output", [0, 1])
def test_one_output_and_some_inputs_are_enough(output: int) -> None:
    inputs = inputs_of(of_gated, 3, 8, torch.float32, positions=True)
    inputs[-1] = inputs[-1].detach()  # positions
    wanted = [inputs[0], inputs[4]]  # x and gate
    given, expected = (
        torch.autograd.grad(of_gated(inputs, backend)[output].square().sum(), wanted)
        for backend in ("triton", "reference")
    )
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck's own
def test_pytorch_accepts_the_operators() -> None:
    ops = torch.ops.moviegen_dit
    x, shift, scale, branch, gate, positions = inputs_of(of_gated, 3, 8, torch.float32, positions=True)
    torch.library.opcheck(ops.norm.default, (x, branch, gate, shift, scale, positions))
    torch.library.opcheck(ops.norm.default, (x, None, None, shift, scale, None))
    given = [t.detach() for t in (x, branch, gate, scale, positions, x, x)]
    torch.library.opcheck(ops.norm_backward.default, (*given, True))
    rows = made(3, 8, seed=1), made(3, 8, seed=2)
    torch.library.opcheck(ops.swiglu.default, rows)
    torch.library.opcheck(ops.swiglu_backward.default, (*(t.detach() for t in rows), rows[0].detach()))


@pytest.mark.parametrize("calls", [of_gated, of_norm, of_swiglu])
def test_it_compiles_whole(calls: Calls) -> None:
    inputs = inputs_of(calls, 3, 8, torch.float32, positions=False)
    compiled = torch.compile(calls, fullgraph=True, backend="aot_eager")
    given, expected = (results(inputs, each, "triton") for each in (compiled, calls))
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one, other)
