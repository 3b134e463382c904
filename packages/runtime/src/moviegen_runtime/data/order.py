"""The order in which training sees its samples: a pure function of seed, epoch and position.

Every epoch is a new permutation, and epochs follow each other without end, so a resumed run that knows how
many samples it has consumed goes on with exactly those that it would have seen. A permutation sorts keys
from the raw stream of numpy's Philox generator, which numpy promises never to change: the order does not
depend on numpy's version, on the platform or on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def permutation(length: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of one epoch.

    Args:
        length: number of samples, at least 1.
        seed, epoch: not negative; each pair has its own order.

    Returns:
        (length,) every index from 0 to length - 1 once.

    Raises:
        ValueError: a number is out of its range.
    """
    if length < 1:
        raise ValueError(f"an order needs at least one sample, not {length}")
    if seed < 0 or epoch < 0:
        raise ValueError(f"seed and epoch must not be negative, not {seed} and {epoch}")
    # The epoch is a spawn key, so (seed, epoch) can never run into another seed's words.
    keys = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(epoch,))).random_raw(length)
    return np.argsort(keys, kind="stable").astype(np.int64)


class SampleOrder:
    """The endless stream of sample indices: epoch 0, then epoch 1, and so on.

    Args:
        length: number of samples in the set.
        seed: which of the orders.
    """

    def __init__(self, length: int, seed: int) -> None:
        self.length = length
        self.seed = seed
        self._epoch = 0
        self._permutation = permutation(length, seed, 0)

    def index_at(self, position: int) -> int:
        """The index of the sample at a position of the stream, counted from 0.

        Raises:
            ValueError: a negative position.
        """
        if position < 0:
            raise ValueError(f"a position must not be negative, not {position}")
        epoch, place = divmod(position, self.length)
        if (
            epoch != self._epoch
        ):  # one epoch is kept: neighbouring positions are asked for one after the other
            self._epoch, self._permutation = epoch, permutation(self.length, self.seed, epoch)
        return int(self._permutation[place])

    def batches(self, batch_size: int, *, start: int = 0) -> Iterator[list[int]]:
        """Endless batches of indices from a position on; a batch may reach into the next epoch.

        Args:
            batch_size: samples in a batch, at least 1.
            start: samples consumed before; any number, not only multiples of the batch size.

        Raises:
            ValueError: a batch without samples, or a negative start.
        """
        if batch_size < 1:
            raise ValueError(f"a batch needs at least one sample, not {batch_size}")
        if start < 0:
            raise ValueError(f"a position must not be negative, not {start}")
        return self._batches(batch_size, start)

    def _batches(self, batch_size: int, position: int) -> Iterator[list[int]]:
        while True:
            yield [self.index_at(position + offset) for offset in range(batch_size)]
            position += batch_size
