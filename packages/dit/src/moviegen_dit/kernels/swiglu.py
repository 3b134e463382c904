"""The gate of the feed-forward, silu(gate) * up (paper, Table 1: SwiGLU), in one pass each way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from moviegen_dit.kernels.launch import Backend, Launch, Tiles, chosen, missing

_TILES = Tiles(1, 1024, 4, 1)


def swiglu(gate: Tensor, up: Tensor, *, backend: Backend | None = None) -> Tensor:
    """silu(gate) * up, contiguous, of the dtype of the inputs, which are all that the backward keeps.

    Args:
        gate, up: of one shape, dtype and device; copied if their leading dimensions cannot be seen as one.
        backend: "triton", "reference", or None: Triton on a CUDA device, else the reference.

    Raises:
        ValueError: the inputs differ, or the backend cannot do this, with the reason.
    """
    if gate.shape != up.shape or gate.dtype != up.dtype or gate.device != up.device or not gate.ndim:
        raise ValueError(
            f"gate and up must be of one shape, dtype and device, not {tuple(gate.shape)} {gate.dtype} on "
            f"{gate.device} and {tuple(up.shape)} {up.dtype} on {up.device}"
        )
    if chosen(backend, gate.device) == "reference":
        return swiglu_reference(gate, up)
    width = gate.shape[-1]
    out: Tensor = _swiglu(gate.reshape(-1, width), up.reshape(-1, width))
    return out.view(gate.shape)


def swiglu_reference(gate: Tensor, up: Tensor) -> Tensor:
    """The definition in plain PyTorch."""
    return F.silu(gate) * up


def _launch(kernel: object, tensors: tuple[Tensor, ...], strided: int) -> Launch:
    """`strided` of the (rows, width) tensors come first; the others are contiguous."""
    rows, width = tensors[0].shape
    strides = [stride for tensor in tensors[:strided] for stride in tensor.stride()]
    programs = rows * -(-width // _TILES.columns)
    return Launch(kernel, programs, (*tensors, *strides, width), {"BLOCK": _TILES.columns}, _TILES)


def forward_launch(gate: Tensor, up: Tensor, out: Tensor) -> Launch:
    from moviegen_dit.kernels.fused_triton import swiglu_forward  # here: it takes Triton along

    return _launch(swiglu_forward, (gate, up, out), strided=2)


def backward_launch(gate: Tensor, up: Tensor, out_grad: Tensor, gate_grad: Tensor, up_grad: Tensor) -> Launch:
    from moviegen_dit.kernels.fused_triton import swiglu_backward

    return _launch(swiglu_backward, (gate, up, out_grad, gate_grad, up_grad), strided=3)


@torch.library.custom_op("moviegen_dit::swiglu", mutates_args=())
def _swiglu(gate: Tensor, up: Tensor) -> Tensor:
    if reason := missing(gate.device, gate.dtype):
        raise ValueError(f"swiglu cannot run on triton: {reason}")
    out = gate.new_empty(gate.shape)
    forward_launch(gate, up, out).run()
    return out


@_swiglu.register_fake
def _(gate: Tensor, *_: object) -> Tensor:
    return gate.new_empty(gate.shape)


@torch.library.custom_op("moviegen_dit::swiglu_backward", mutates_args=())
def _swiglu_backward(gate: Tensor, up: Tensor, out_grad: Tensor) -> tuple[Tensor, Tensor]:
    gate_grad, up_grad = gate.new_empty(gate.shape), up.new_empty(up.shape)
    backward_launch(gate, up, out_grad, gate_grad, up_grad).run()
    return gate_grad, up_grad


@_swiglu_backward.register_fake
def _(gate: Tensor, up: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    return gate.new_empty(gate.shape), up.new_empty(up.shape)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 - its name is asked for
    ctx.save_for_backward(*inputs)


def _backward(ctx: torch.autograd.function.BackwardCFunction, out_grad: Tensor) -> tuple[Tensor, Tensor]:
    gate_grad, up_grad = _swiglu_backward(*ctx.saved_tensors, out_grad)
    return gate_grad, up_grad


_swiglu.register_autograd(_backward, setup_context=_save)
