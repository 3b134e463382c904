"""RMSNorm with gain and offset from the time, and what stands before it, in one pass each way (adaLN of DiT).

`modulated_norm` adds positions, norms, scales and shifts: the entrance of self-attention (paper, Fig. 8).
`residual_norm` first adds a branch to the residual stream, through a gate or not: the end of one half of a
block and the entrance of the next.

Legend: B batch, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from moviegen_dit.kernels.launch import Backend, Launch, Tiles, chosen, missing

EPSILON = 1e-6
"""Under the root, as in `moviegen_dit.layers`."""

WIDEST = 16384
"""A row stays in the registers of one program."""

_ROWS = 32


class Residual(NamedTuple):
    """What `residual_norm` gives, both (B, S, D).

    Args:
        stream: x + gate * branch, the residual stream from here on.
        normed: (1 + scale) * rms_norm(stream + positions) + shift.
    """

    stream: Tensor
    normed: Tensor


def modulated_norm(
    x: Tensor,
    shift: Tensor,
    scale: Tensor,
    *,
    positions: Tensor | None = None,
    backend: Backend | None = None,
) -> Tensor:
    """(1 + scale) * rms_norm(x + positions) + shift.

    Args:
        x: (B, S, D).
        shift, scale: (B, 1, D).
        positions: (S, D), the same for all samples; None: none are added.
        backend: "triton", "reference", or None: Triton on a CUDA device, else the reference.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the backend cannot do this, with the reason.
    """
    if _by_reference(backend, x, None, None, shift, scale, positions):
        return modulated_norm_reference(x, shift, scale, positions)
    normed: Tensor = _norm(x, None, None, shift, scale, positions)[1]
    return normed


def residual_norm(
    x: Tensor,
    branch: Tensor,
    gate: Tensor | None,
    shift: Tensor,
    scale: Tensor,
    *,
    positions: Tensor | None = None,
    backend: Backend | None = None,
) -> Residual:
    """Add a branch to the stream, then norm and modulate it.

    Args:
        x, branch: (B, S, D).
        gate: (B, 1, D); None: the branch is added as it is.
        shift, scale, positions, backend: as in `modulated_norm`.

    Raises:
        ValueError: shapes, dtypes or devices do not fit, or the backend cannot do this, with the reason.
    """
    if _by_reference(backend, x, branch, gate, shift, scale, positions):
        return residual_norm_reference(x, branch, gate, shift, scale, positions)
    return Residual(*_norm(x, branch, gate, shift, scale, positions))


def modulated_norm_reference(
    x: Tensor, shift: Tensor, scale: Tensor, positions: Tensor | None = None
) -> Tensor:
    """The definition in plain PyTorch."""
    h_BSD = x if positions is None else x + positions
    return torch.addcmul(shift, F.rms_norm(h_BSD, (x.shape[-1],), eps=EPSILON), 1.0 + scale)


def residual_norm_reference(
    x: Tensor,
    branch: Tensor,
    gate: Tensor | None,
    shift: Tensor,
    scale: Tensor,
    positions: Tensor | None = None,
) -> Residual:
    """The definition in plain PyTorch."""
    stream_BSD = x + branch if gate is None else torch.addcmul(x, gate, branch)
    return Residual(stream_BSD, modulated_norm_reference(stream_BSD, shift, scale, positions))


def _by_reference(backend: Backend | None, x: Tensor, *others: Tensor | None) -> bool:
    """Whether the reference is to run, after a look at branch, gate, shift, scale and positions."""
    if x.ndim != 3 or not x.is_floating_point():
        raise ValueError(f"x must be floating (B, S, D), not {x.dtype} {tuple(x.shape)}")
    batch, tokens, width = x.shape
    modulation = (batch, 1, width)
    shapes = [(batch, tokens, width), modulation, modulation, modulation, (tokens, width)]
    names = ["branch", "gate", "shift", "scale", "positions"]
    for name, tensor, shape in zip(names, others, shapes, strict=True):
        if tensor is None:
            continue
        if tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device:
            raise ValueError(
                f"{name} must be {x.dtype} {shape} on {x.device}, as x is {tuple(x.shape)}, "
                f"not {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}"
            )
    return chosen(backend, x.device) == "reference"


def _tiles(width: int) -> Tiles:
    """Eight values a thread or fewer, unless that takes more than 16 warps."""
    block = 1 << (width - 1).bit_length()
    return Tiles(_ROWS, block, min(max(block // 256, 1), 16), 1)


def forward_launch(
    x: Tensor,
    branch: Tensor | None,
    gate: Tensor | None,
    shift: Tensor,
    scale: Tensor,
    positions: Tensor | None,
    stream: Tensor | None,
    normed: Tensor,
) -> Launch:
    from moviegen_dit.kernels.fused_triton import norm_forward  # here: it takes Triton along

    tiles = _tiles(x.shape[2])
    strides = (*_of(x, 3), *_of(branch, 3), *_of(gate, 2), *_of(positions, 2), *_of(shift, 2), *_of(scale, 2))
    tensors = (x, branch, gate, positions, shift, scale, stream, normed)
    columns = [tensor.stride(-1) for tensor in tensors if tensor is not None]
    arguments = (*tensors, *strides, x.shape[1], x.shape[2], EPSILON)
    return Launch(
        norm_forward,
        x.shape[0] * x.shape[1],
        arguments,
        {"BLOCK": tiles.columns, "WIDE": _wide(tiles, columns)},
        tiles,
    )


def backward_launch(
    stream: Tensor,
    branch: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    positions: Tensor | None,
    stream_grad: Tensor | None,
    normed_grad: Tensor,
    x_grad: Tensor,
    branch_grad: Tensor | None,
    h_grad: Tensor | None,
    sums: tuple[Tensor, Tensor, Tensor | None],
) -> Launch:
    from moviegen_dit.kernels.fused_triton import norm_backward

    tiles = _tiles(stream.shape[2])
    strides = (
        *(*_of(stream, 3), *_of(branch, 3), *_of(gate, 2), *_of(positions, 2), *_of(scale, 2)),
        *(*_of(stream_grad, 3), *_of(normed_grad, 3)),
    )
    tensors = (stream, branch, gate, positions, scale, stream_grad, normed_grad, x_grad, branch_grad, h_grad)
    columns = [tensor.stride(-1) for tensor in tensors if tensor is not None]
    arguments = (*tensors, *sums, *strides, stream.shape[1], stream.shape[2], EPSILON)
    constants = {"BLOCK": tiles.columns, "ROWS": tiles.rows, "WIDE": _wide(tiles, columns)}
    return Launch(norm_backward, sums[0].shape[0] * sums[0].shape[1], arguments, constants, tiles)


def _wide(tiles: Tiles, column_strides: Iterable[int]) -> bool:
    """Whether offsets within a row need 64 bits."""
    return max(column_strides) * tiles.columns >= 1 << 31


def _of(tensor: Tensor | None, count: int) -> tuple[int, ...]:
    """Strides along sample, token and channel; a modulation (B, 1, D) has no token, positions no sample."""
    if tensor is None:
        return (1,) * count
    strides = tensor.stride()
    return (strides[0], strides[-1]) if count == 2 else strides


def _empty(x: Tensor, branch: Tensor | None) -> tuple[Tensor, Tensor]:
    """Stream (without a branch of no element, for it is x itself) and normed."""
    return x.new_empty(0 if branch is None else x.shape), x.new_empty(x.shape)


@torch.library.custom_op("moviegen_dit::norm", mutates_args=())
def _norm(
    x: Tensor,
    branch: Tensor | None,
    gate: Tensor | None,
    shift: Tensor,
    scale: Tensor,
    positions: Tensor | None,
) -> tuple[Tensor, Tensor]:
    reason = missing(x.device, x.dtype)
    if x.shape[2] > WIDEST:
        reason = f"rows may be {WIDEST} wide at most, not {x.shape[2]}"
    if reason:
        raise ValueError(f"the norm cannot run on triton: {reason}")
    stream, normed = _empty(x, branch)
    written = None if branch is None else stream
    forward_launch(x, branch, gate, shift, scale, positions, written, normed).run()
    return stream, normed


@_norm.register_fake
def _(x: Tensor, branch: Tensor | None, *_: object) -> tuple[Tensor, Tensor]:
    return _empty(x, branch)


def _empty_gradients(
    stream: Tensor, gate: Tensor | None, apart: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of x, the branch, what the norm reads, shift, scale and gate; those not needed have no element."""
    batch, _, width = stream.shape
    modulation = (batch, 1, width)
    gated = gate is not None
    return (
        stream.new_empty(stream.shape),
        stream.new_empty(stream.shape if gated else 0),
        stream.new_empty(stream.shape if apart else 0),
        stream.new_empty(modulation),
        stream.new_empty(modulation),
        stream.new_empty(modulation if gated else 0),
    )


@torch.library.custom_op("moviegen_dit::norm_backward", mutates_args=())
def _norm_backward(
    stream: Tensor,
    branch: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    positions: Tensor | None,
    stream_grad: Tensor | None,
    normed_grad: Tensor,
    apart: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    x_grad, branch_grad, h_grad, *modulations = _empty_gradients(stream, gate, apart)
    batch, tokens, width = stream.shape
    parts = stream.new_empty((3, batch, -(-tokens // _ROWS), width), dtype=torch.float32)
    gated = gate is not None
    backward_launch(
        *(stream, branch, gate, scale, positions, stream_grad, normed_grad, x_grad),
        branch_grad if gated else None,
        h_grad if apart else None,
        (parts[0], parts[1], parts[2] if gated else None),
    ).run()
    for modulation, part in zip(modulations[: 2 + gated], parts, strict=False):
        modulation.copy_(part.sum(1, keepdim=True))
    return x_grad, branch_grad, h_grad, modulations[0], modulations[1], modulations[2]


@_norm_backward.register_fake
def _(
    stream: Tensor, _: Tensor | None, gate: Tensor | None, *others: object
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _empty_gradients(stream, gate, apart=bool(others[-1]))


def _save(
    ctx: torch.autograd.function.FunctionCtx,
    inputs: tuple[Tensor, ...],
    output: tuple[Tensor, Tensor],
) -> None:
    x, branch, gate, _, scale, positions = inputs
    ctx.save_for_backward(x if branch is None else output[0], branch, gate, scale, positions)


def _backward(ctx: Any, stream_grad: Tensor, normed_grad: Tensor) -> tuple[Tensor | None, ...]:
    stream, branch, gate, scale, positions = ctx.saved_tensors
    joined = branch is not None
    apart = joined and positions is not None and ctx.needs_input_grad[5]
    x_grad, branch_grad, h_grad, shift_grad, scale_grad, gate_grad = _norm_backward(
        stream, branch, gate, scale, positions, stream_grad if joined else None, normed_grad, apart
    )
    return (
        x_grad,
        None if not joined else x_grad if gate is None else branch_grad,
        None if gate is None else gate_grad,
        shift_grad,
        scale_grad,
        None if positions is None else (h_grad if apart else x_grad).sum(0),
    )


_norm.register_autograd(_backward, setup_context=_save)
