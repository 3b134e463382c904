"""Peak memory of the autoencoder without gradients, counted by a run of its code on tensors without values.

Such a run allocates nothing and computes nothing, but makes the same tensors and lets go of them at the same
moments. Weights, tensors handed in, and what a convolution's library takes for itself are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from moviegen_core import VideoClip, VideoLatent, VideoShape
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from moviegen_tae.config import TAEConfig
from moviegen_tae.model import TAE
from moviegen_tae.pieces import pieces_as_on


class AllocationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that operators make while it is entered, until they are gone.

    Args:
        given: tensors that do not count, whose memory operators may give back as a view.
    """

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._given = {_reference(tensor).cdata for tensor in given}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                reference = _reference(tensor)
                if reference.cdata not in self._given:
                    self._alive[reference.cdata] = (reference, tensor.untyped_storage().nbytes())
        alive = self._alive.items()
        self._alive = {key: each for key, each in alive if not each[0].expired()}  # type: ignore[no-untyped-call]
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def _reference(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]


def encoder_peak(config: TAEConfig, clip: VideoShape, like: Tensor) -> int:
    """Bytes alive at the peak of encoding a clip of frames and pixels.

    Args:
        like: of the type and on the device that the weights are.
    """
    return _peak(config, clip, True, like.dtype, like.device.type)


def decoder_peak(config: TAEConfig, tile: VideoShape, like: Tensor) -> int:
    """Bytes alive at the peak of decoding a latent of shape `tile`, the frames that are made included."""
    return _peak(config, tile, False, like.dtype, like.device.type)


@cache
def _peak(config: TAEConfig, extent: VideoShape, encodes: bool, dtype: torch.dtype, device: str) -> int:
    channels = 3 if encodes else config.latent_channels
    with torch.no_grad(), torch.device("meta"), pieces_as_on(device):
        tae = TAE(config).to(dtype)
        given = torch.empty(1, channels, extent.frames, extent.height, extent.width, dtype=dtype)
        with AllocationCounter([given, *tae.parameters(), *tae.buffers()]) as counter:
            if encodes:
                tae.encode(VideoClip(given, 1.0))
            else:
                tae.decode(VideoLatent(given, tae.stride, tae.stride.time * extent.frames, 1.0))
    return int(counter.peak)
