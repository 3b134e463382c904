"""Triton where it is installed, and what lets modules that define kernels be imported where it is not.

`jit` marks a kernel; `tl` is the language that kernels are written in. Without Triton (macOS, Windows) a
kernel stays a plain function that nobody can start: `moviegen_dit.kernels.launch.missing` says so before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:
    triton = tl = None

EXTENTS = ("queries", "keys", "samples", "heads", "rows")
"""Names of kernel arguments that are sizes along which nothing is loaded in one piece.

A row's width is none of them: only where the compiler knows that 16 divides it, it knows that neighbours are
masked alike, and loads them together. Else each has an address and a mask of its own, and registers run out.
"""


def jit(function: Callable[..., Any]) -> Any:
    """`triton.jit`, which interprets the function instead if TRITON_INTERPRET=1 is set now."""
    return function if triton is None else triton.jit(function)


def entry(function: Callable[..., Any]) -> Any:
    """`jit` of a kernel that is started from outside: one binary serves all `EXTENTS`, that of 1 too."""
    if triton is None:
        return function
    sizes = [name for name in EXTENTS if name in function.__code__.co_varnames]
    return triton.jit(do_not_specialize=sizes)(function)
