"""A kernel with everything that starting it needs: to run it, to compile it without a GPU, to time variants.

What is launched is a value, so that ahead-of-time compilation (`tools/kernels.py`) sees exactly the arguments
that a run has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor

INTERPRETER = 0
"""Generation that stands for Triton's interpreter, where tiles cost time only."""

Backend = Literal["triton", "reference"]
_BACKENDS = ("triton", "reference")
_OLDEST = 8  # major compute capability, from which on tensor cores take bfloat16

Argument = Tensor | int | float | None


@dataclass(frozen=True)
class Tiles:
    """How a kernel cuts its work.

    Args:
        rows, columns: of the tile that a program holds, and of those that it walks along.
        warps: of a program.
        stages: tiles in flight from memory.
    """

    rows: int
    columns: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Launch:
    """One start of a kernel.

    Args:
        kernel: a function under `jit`.
        programs: how many run.
        arguments: those of the kernel that are not compile-time constants, in its order.
        constants: those that are.
        tiles: which of its candidates this is.
    """

    kernel: Any
    programs: int
    arguments: tuple[Argument, ...]
    constants: Mapping[str, int]
    tiles: Tiles

    def run(self) -> None:
        if self.programs:
            options = {"num_warps": self.tiles.warps, "num_stages": self.tiles.stages}
            self.kernel[(self.programs,)](*self.arguments, **self.constants, **options)


_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def missing(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels cannot run on a device with a dtype; None if they can.

    Operators ask when they run, not when they are traced: this is nothing that a compiler can look into.
    """
    if find_spec("triton") is None:
        return "Triton is not installed (it exists for Linux only)"
    if not _interpreted():
        if device.type != "cuda":
            return (
                f"Triton needs a CUDA device or TRITON_INTERPRET=1 in the environment, and got {device.type}"
            )
        if reason := unusable(device):
            return reason
    if dtype not in _DTYPES:
        return f"the kernels take float16, bfloat16 and float32, not {str(dtype).removeprefix('torch.')}"
    return None


def unusable(device: torch.device) -> str | None:
    """Why kernels of the generations from A100 on cannot run on a CUDA device; None if they can."""
    if not torch.cuda.is_available():
        return "there is no CUDA device here, or this PyTorch is built without CUDA"
    if device.index is not None and device.index >= torch.cuda.device_count():
        return f"there is no {device} here"
    major, minor = torch.cuda.get_device_capability(device)
    if major < _OLDEST:
        return f"the device must have compute capability {_OLDEST}.0 or more, not {major}.{minor}"
    return None


def _interpreted() -> bool:
    """Whether Triton's interpreter stands in for the device, whatever that is."""
    if find_spec("triton") is None:
        return False
    import triton  # here: importing this package brings Triton only where it is used

    return bool(triton.knobs.runtime.interpret)


def chosen(backend: Backend | None, device: torch.device) -> Backend:
    """The backend that is asked for; None: Triton on a CUDA device, else the reference.

    Raises:
        ValueError: there is no such backend.
    """
    if backend is not None and backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(_BACKENDS)}, not {backend!r}")
    return backend or ("triton" if device.type == "cuda" else "reference")


def generation(device: torch.device) -> int:
    """Major compute capability of a CUDA device (8: A100, 9: H100, 10: B200), or `INTERPRETER`."""
    return INTERPRETER if _interpreted() else torch.cuda.get_device_capability(device)[0]


_fastest: dict[object, Tiles] = {}


def run_fastest(
    launches: Sequence[Launch], measure: Callable[[Callable[[], None]], float] | None = None
) -> None:
    """Run the fastest of launches that do the same with other tiles.

    The first call with a kernel, device, dtypes and sizes times each of them; later ones remember. Launches
    must therefore write nothing that they read. A single one runs untimed.

    Args:
        measure: milliseconds of a call; None: Triton's own benchmark.

    Raises:
        RuntimeError: the device has too little shared memory for every one of them.
    """
    if len(launches) == 1 or not launches[0].programs:
        launches[0].run()
        return
    key = _key(launches)
    if key not in _fastest:
        _fastest[key] = _timed(launches, measure)
    next(launch for launch in launches if launch.tiles == _fastest[key]).run()


def _key(launches: Sequence[Launch]) -> object:
    """What decides on the fastest: sizes count by their power of two, the device by its name."""
    first = launches[0]
    described: list[object] = [first.kernel, *first.constants.items(), *(each.tiles for each in launches)]
    tensors = [argument for argument in first.arguments if isinstance(argument, Tensor)]
    if tensors[0].is_cuda:
        described.append(torch.cuda.get_device_name(tensors[0].device))
    for tensor in tensors:
        described += [tensor.dtype, *(extent.bit_length() for extent in tensor.shape)]
    described += [argument is None for argument in first.arguments]
    return tuple(described)


def _timed(launches: Sequence[Launch], measure: Callable[[Callable[[], None]], float] | None) -> Tiles:
    from triton.runtime.errors import OutOfResources  # here: there is no Triton on some systems
    from triton.testing import do_bench

    times: dict[Tiles, float] = {}
    for launch in launches:
        try:
            times[launch.tiles] = (measure or do_bench)(launch.run)
        except OutOfResources:  # a smaller device of the generation; another candidate fits
            continue
    if not times:
        raise RuntimeError(f"no tiles of {launches[0].kernel.__name__} fit into this device's shared memory")
    return min(times, key=times.__getitem__)
