"""The frames of one clip on their way through the layers, a few at a time: (T, C, H, W) with T of any length.

What a layer gives on it must not hold on to: the lifetime of every piece is what makes the peak of memory. So
functions are mapped, since a generator's own variables would live until its next piece is asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_VALUES_ON_CPU = 2**20  # 4 MB in single precision: a few pieces fit a cache, and freed ones are used again
_VALUES_ELSEWHERE = 2**26


_device_of_meta: ContextVar[str] = ContextVar("_device_of_meta", default="cpu")


@contextmanager
def pieces_as_on(device: str) -> Iterator[None]:
    """Let tensors without values go in the pieces that they would go in on a device of that type."""
    token = _device_of_meta.set(device)
    try:
        yield
    finally:
        _device_of_meta.reset(token)


def piece_frames(values: float, device: torch.device, multiple: int = 1) -> int:
    """How many frames a piece has, of so many values each; a multiple of `multiple`."""
    kind = _device_of_meta.get() if device.type == "meta" else device.type
    size = _VALUES_ON_CPU if kind == "cpu" else _VALUES_ELSEWHERE
    return max(int(size / values) // multiple, 1) * multiple


def regrouped(pieces: Iterator[Tensor], multiple: int = 1, growth: float = 1.0) -> Iterator[Tensor]:
    """The same frames in pieces of the length that is best for a layer.

    Args:
        multiple: what all lengths but the last are multiples of.
        growth: how many values the layer makes of one, if that is more.
    """
    ready: list[Tensor] = []
    for piece in pieces:
        size = piece_frames(piece[0].numel() * max(growth, 1.0), piece.device, multiple)
        ready.append(piece)
        del piece
        while sum(map(len, ready)) >= size:
            joined = torch.cat(ready) if len(ready) > 1 else ready[0]
            ready = [joined[:size], joined[size:]] if len(joined) > size else [joined]
            del joined
            yield ready.pop(0)
    if ready:
        yield torch.cat(ready) if len(ready) > 1 else ready.pop()


class Kept(Iterator[Tensor]):
    """Pieces on their way into a branch, kept until what the branch makes of each is added to it."""

    def __init__(self, pieces: Iterator[Tensor]) -> None:
        self._pieces = pieces
        self._kept = deque[Tensor]()

    def __next__(self) -> Tensor:
        self._kept.append(next(self._pieces))
        return self._kept[-1]

    def added(self, branch: Iterator[Tensor], add: Callable[[Tensor, Tensor], Tensor]) -> Iterator[Tensor]:
        """Every piece of the branch after `add` of it and of the piece that it comes from."""
        return map(lambda y: add(y, self._kept.popleft()), branch)  # noqa: C417, a generator would hold on to y
