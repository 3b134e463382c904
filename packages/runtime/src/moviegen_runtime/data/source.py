"""Where captioned clips come from: shards, or a source that another distribution brings by name.

A distribution offers a source through the entry-point group `moviegen.clip_sources`: a name, and a callable
that takes the recipe's options as keyword arguments and returns a `ClipSource`. The stage of the miniature
is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

ENTRY_POINT_GROUP = "moviegen.clip_sources"


@dataclass(frozen=True)
class CaptionedClip:
    """One clip and what it shows.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        fps: frames a second.
        caption: what the clip shows, without the FPS prefix.
    """

    frames: NDArray[np.uint8]
    fps: float
    caption: str

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[3] != 3:
            raise ValueError(
                f"frames must be uint8 (T, H, W, 3), not {self.frames.dtype} {self.frames.shape}"
            )


class ClipSource(Protocol):
    """Clips by index. An index always gives the same clip, so an order of indices is one of clips."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> CaptionedClip: ...


def open_source(name: str, options: Mapping[str, object]) -> ClipSource:
    """Open the source that an installed distribution offers under `name`.

    Raises:
        ValueError: no distribution offers it, or it refuses the options.
    """
    return cast(ClipSource, open_offered(ENTRY_POINT_GROUP, "clip source", name, options))


def open_offered(group: str, what: str, name: str, options: Mapping[str, object]) -> object:
    """What the entry point of a group makes of options.

    Args:
        what: what the group offers, for the sentences.

    Raises:
        ValueError: no distribution offers it, or it refuses the options.
    """
    offered = {point.name: point for point in entry_points(group=group)}
    if name not in offered:
        known = ", ".join(sorted(offered)) or "none is installed"
        raise ValueError(f"no {what} is called {name!r}; offered: {known}")
    try:
        return offered[name].load()(**options)
    except TypeError as error:
        raise ValueError(f"{what} {name!r} refuses its options: {error}") from error
