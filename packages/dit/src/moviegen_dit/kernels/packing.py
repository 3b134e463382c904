"""Samples of different lengths one after the other along one axis: a batch without padding."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

import torch
from torch import Tensor


class Packing:
    """Where each sample lies in a packed tensor.

    Args:
        lengths: rows of each sample, in order; some may have none.
        device: where attention will be.

    Attributes:
        lengths: as given, on the host.
        starts: (samples + 1,) int32 on the device, first row of each sample, and the end of the last.
        total: rows of the packed tensor.
        longest: rows of the longest sample.

    Raises:
        ValueError: there is no sample, a length is negative, or they add up to 2^31 or more.
        TypeError: a length is no whole number.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.lengths = tuple(map(index, lengths))
        if not self.lengths or min(self.lengths) < 0:
            raise ValueError(f"a packing needs a sample or more of length 0 or more, not {self.lengths}")
        self.total = sum(self.lengths)
        if self.total >= 1 << 31:
            raise ValueError(f"a packing must have fewer than 2^31 rows, not {self.total}")
        self.longest = max(self.lengths)
        starts = torch.tensor((0, *self.lengths)).cumsum(0).to(torch.int32)
        self.starts = starts.to(device, non_blocking=True)

    def samples(self, packed: Tensor) -> tuple[Tensor, ...]:
        """Each sample's rows of a tensor that is packed along its first axis, as views."""
        return tuple(packed.split_with_sizes(self.lengths))
