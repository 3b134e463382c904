"""Triton where it is installed, and what lets modules that define kernels be imported where it is not.

`jit` marks a kernel; `tl` is the language that kernels are written in. Without Triton (macOS, Windows) a
kernel stays a plain function that nobody can start: `missing` says so before anybody tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:
    triton = tl = None

EXTENTS = ("queries", "keys", "heads", "rows", "width", "samples")
"""Names of kernel arguments that are sizes."""

_HALVES_AND_FLOAT = (torch.float16, torch.bfloat16, torch.float32)


def jit(function: Callable[..., Any]) -> Any:
    """`triton.jit`, which interprets the function instead if TRITON_INTERPRET=1 is set now."""
    return function if triton is None else triton.jit(function)


def entry(function: Callable[..., Any]) -> Any:
    """`jit` of a kernel that is started from outside: one binary serves all sizes, an extent of 1 too."""
    return function if triton is None else triton.jit(do_not_specialize=EXTENTS)(function)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # Dynamo cannot look into Triton's settings
def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: on any device, slowly."""
    return triton is not None and bool(triton.knobs.runtime.interpret)


def missing(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot run on a device with a dtype; None if they can."""
    if triton is None:
        return "Triton is not installed (it exists for Linux only)"
    if device.type != "cuda" and not interpreted():
        return f"Triton needs a CUDA device or TRITON_INTERPRET=1 in the environment, and got {device.type}"
    if dtype not in _HALVES_AND_FLOAT:
        return f"the kernels take float16, bfloat16 and float32, not {str(dtype).removeprefix('torch.')}"
    return None
