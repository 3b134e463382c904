# mypy: ignore-errors
# The bodies below are in Triton's language, which has no types.
"""Norm with modulation, and SwiGLU, as Triton kernels: every value is read and written once.

A row of the residual stream fits into a program's registers, so that its norm needs no second reading. The
gradients of shift, scale and gate are sums over the rows of a sample: a program walks over several rows, and
leaves one partial sum of each, which PyTorch adds up; no atomics, the same result in every run.

Legend: D width, R rows of a program; `x` is the stream, `h` what the norm reads.
"""

from __future__ import annotations

from moviegen_dit.kernels.triton_or_not import entry, jit, tl


@jit
def _row(base, columns, width, stride):
    """A row in float32, 0 beyond its width."""
    return tl.load(base + columns * stride, mask=columns < width, other=0.0).to(tl.float32)


@entry
def norm_forward(
    x, branch, gate, positions, shift, scale, stream, normed,
    x_b, x_s, x_d, br_b, br_s, br_d, ga_b, ga_d, po_s, po_d, sh_b, sh_d, sc_b, sc_d,
    rows, width, epsilon,
    BLOCK: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """One row; `stream` and `normed` are contiguous. Without a branch there is no new stream."""
    program = tl.program_id(0).to(tl.int64)
    sample, row = program // rows, program % rows
    columns = tl.arange(0, BLOCK)
    if WIDE:  # 64 bits only where strides need them: offsets take registers
        columns = columns.to(tl.int64)
    here = program * width + columns
    h_D = _row(x + sample * x_b + row * x_s, columns, width, x_d)
    if branch is not None:
        branch_D = _row(branch + sample * br_b + row * br_s, columns, width, br_d)
        if gate is not None:
            branch_D *= _row(gate + sample * ga_b, columns, width, ga_d)
        rounded_D = (h_D + branch_D).to(stream.dtype.element_ty)  # what the backward reads
        tl.store(stream + here, rounded_D, mask=columns < width)
        h_D = rounded_D.to(tl.float32)
    if positions is not None:
        h_D += _row(positions + row * po_s, columns, width, po_d)
    inverse = tl.rsqrt(tl.sum(h_D * h_D, 0) / width + epsilon)
    gain_D = 1.0 + _row(scale + sample * sc_b, columns, width, sc_d)
    normed_D = _row(shift + sample * sh_b, columns, width, sh_d) + h_D * inverse * gain_D
    tl.store(normed + here, normed_D.to(normed.dtype.element_ty), mask=columns < width)


@entry
def norm_backward(
    stream, branch, gate, positions, scale, stream_grad, normed_grad,
    x_grad, branch_grad, h_grad, shift_sums, scale_sums, gate_sums,
    x_b, x_s, x_d, br_b, br_s, br_d, ga_b, ga_d, po_s, po_d, sc_b, sc_d,
    xg_b, xg_s, xg_d, ng_b, ng_s, ng_d,
    rows, width, epsilon,
    BLOCK: tl.constexpr, ROWS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Up to ROWS rows of one sample; results are contiguous, sums (B, programs of a sample, D) in float32.

    `stream` is what the norm read less the positions; `h_grad` is the gradient of the positions before the
    sum over samples, wanted only where it is not `x_grad` itself.
    """
    program = tl.program_id(0).to(tl.int64)
    parts = tl.cdiv(rows, ROWS)
    sample, part = program // parts, program % parts
    columns = tl.arange(0, BLOCK)
    if WIDE:  # 64 bits only where strides need them: offsets take registers
        columns = columns.to(tl.int64)
    inside = columns < width
    shift_sum_D = tl.zeros((BLOCK,), tl.float32)
    scale_sum_D = tl.zeros((BLOCK,), tl.float32)
    gate_sum_D = tl.zeros((BLOCK,), tl.float32)
    first = part * ROWS
    for number in range(0, tl.minimum(rows - first, ROWS)):
        row = first + number  # 64 bits in the interpreter too
        here = (sample * rows + row) * width + columns
        h_D = _row(stream + sample * x_b + row * x_s, columns, width, x_d)
        if positions is not None:
            h_D += _row(positions + row * po_s, columns, width, po_d)
        inverse = tl.rsqrt(tl.sum(h_D * h_D, 0) / width + epsilon)
        unit_D = h_D * inverse
        grad_D = _row(normed_grad + sample * ng_b + row * ng_s, columns, width, ng_d)
        shift_sum_D += grad_D
        scale_sum_D += grad_D * unit_D
        slope_D = grad_D * (1.0 + _row(scale + sample * sc_b, columns, width, sc_d))  # read anew: registers
        grad_h_D = inverse * (slope_D - unit_D * (tl.sum(slope_D * unit_D, 0) / width))
        if h_grad is not None:
            tl.store(h_grad + here, grad_h_D.to(h_grad.dtype.element_ty), mask=inside)
        if branch is not None:
            grad_h_D += _row(stream_grad + sample * xg_b + row * xg_s, columns, width, xg_d)
            if gate is not None:
                gate_sum_D += grad_h_D * _row(branch + sample * br_b + row * br_s, columns, width, br_d)
                branch_grad_D = grad_h_D * _row(gate + sample * ga_b, columns, width, ga_d)
                tl.store(branch_grad + here, branch_grad_D.to(branch_grad.dtype.element_ty), mask=inside)
        tl.store(x_grad + here, grad_h_D.to(x_grad.dtype.element_ty), mask=inside)
    sums = program * width + columns
    tl.store(shift_sums + sums, shift_sum_D, mask=inside)
    tl.store(scale_sums + sums, scale_sum_D, mask=inside)
    if gate is not None:
        tl.store(gate_sums + sums, gate_sum_D, mask=inside)


@entry
def swiglu_forward(gate, up, out, ga_s, ga_d, up_s, up_d, width, BLOCK: tl.constexpr):
    """BLOCK values of one row: silu(gate) * up; `out` is contiguous."""
    blocks = tl.cdiv(width, BLOCK)
    program = tl.program_id(0).to(tl.int64)
    row = program // blocks
    columns = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    gate_D = _row(gate + row * ga_s, columns, width, ga_d)
    out_D = gate_D * tl.sigmoid(gate_D) * _row(up + row * up_s, columns, width, up_d)
    tl.store(out + row * width + columns, out_D.to(out.dtype.element_ty), mask=columns < width)


@entry
def swiglu_backward(
    gate, up, out_grad, gate_grad, up_grad, ga_s, ga_d, up_s, up_d, og_s, og_d, width, BLOCK: tl.constexpr
):
    """Gradients of BLOCK values of one row, contiguous."""
    blocks = tl.cdiv(width, BLOCK)
    program = tl.program_id(0).to(tl.int64)
    row = program // blocks
    columns = (program % blocks) * BLOCK + tl.arange(0, BLOCK)
    here = row * width + columns
    gate_D = _row(gate + row * ga_s, columns, width, ga_d)
    up_D = _row(up + row * up_s, columns, width, up_d)
    grad_D = _row(out_grad + row * og_s, columns, width, og_d)
    open_D = tl.sigmoid(gate_D)
    gate_grad_D = grad_D * up_D * open_D * (1.0 + gate_D * (1.0 - open_D))
    tl.store(gate_grad + here, gate_grad_D.to(gate_grad.dtype.element_ty), mask=columns < width)
    up_grad_D = grad_D * gate_D * open_D
    tl.store(up_grad + here, up_grad_D.to(up_grad.dtype.element_ty), mask=columns < width)
