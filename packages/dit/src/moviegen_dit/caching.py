"""Slow-changing blocks, reused between calls of one solver's run; not from the paper.

From one solver step to the next, what the middle blocks add to the residual stream changes little (as noted
for other transformers by FORA and Delta-DiT). It is kept, and at the calls in between added without running
them. The first and the last quarter of the blocks run always, one block at either end of
three or more: they see the step's own state and time.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

RunBlocks = Callable[[Tensor, int, int], Tensor]
"""Residual stream (B, S, D) through the blocks from one index up to another."""


class BlockCache:
    """What the middle blocks of a `VideoDiT` added last; one for each run of a solver.

    Args:
        every: they run at the first call, and then at every so many calls; 1: at all.

    Raises:
        ValueError: `every` is not positive.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self._every = every
        self._age = 0
        self._added_BSD: Tensor | None = None

    def through(self, run: RunBlocks, x_BSD: Tensor, layers: int) -> Tensor:
        """Residual stream behind all layers.

        A batch of another size than the last, as where an interval of guidance begins or ends, runs all.
        """
        edge = min(max(layers // 4, 1), (layers - 1) // 2)
        x_BSD = run(x_BSD, 0, edge)
        self._age += 1
        known = self._added_BSD
        if known is not None and known.shape == x_BSD.shape and self._age < self._every:
            return run(x_BSD + known, layers - edge, layers)
        after_BSD = run(x_BSD, edge, layers - edge)
        self._age = 0
        self._added_BSD = after_BSD - x_BSD if self._every > 1 else None
        return run(after_BSD, layers - edge, layers)
