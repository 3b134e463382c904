"""Where captioned sounds come from: a source that a distribution brings by name.

A distribution offers a source through the entry-point group `moviegen.sound_sources`: a name, and a callable
that takes the recipe's options as keyword arguments and returns a `SoundSource`. This one offers `films`, a
list of files; the stage of the miniature is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
from moviegen_audio import SoundCaption
from numpy.typing import NDArray

from moviegen_runtime.data.source import CaptionedClip, open_offered

ENTRY_POINT_GROUP = "moviegen.sound_sources"


@dataclass(frozen=True)
class CaptionedSound:
    """One sound, what is heard, and what is seen meanwhile.

    Args:
        samples: (C, N) float32, nominally within [-1, 1].
        rate: samples a second.
        heard: what is heard.
        picture: the film of the sound, from its beginning on; None: there is none.

    Raises:
        ValueError: samples of another type or shape, or a rate that is not positive.
    """

    samples: NDArray[np.float32]
    rate: int
    heard: SoundCaption
    picture: CaptionedClip | None = None

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 2 or 0 in self.samples.shape:
            raise ValueError(
                f"samples must be non-empty float32 (C, N), not {self.samples.dtype} {self.samples.shape}"
            )
        if self.rate < 1:
            raise ValueError(f"rate must be at least 1, not {self.rate}")


class SoundSource(Protocol):
    """Sounds by index. An index always gives the same sound."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> CaptionedSound: ...


@runtime_checkable
class Fingerprinted(Protocol):
    """A source whose sounds depend on more than its options, on a file for instance."""

    @property
    def fingerprint(self) -> str:
        """It changes when they do."""
        ...


def open_sounds(name: str, options: Mapping[str, object]) -> SoundSource:
    """Open the source of sounds that an installed distribution offers under `name`.

    Raises:
        ValueError: no distribution offers it, or it refuses the options.
    """
    return cast(SoundSource, open_offered(ENTRY_POINT_GROUP, "sound source", name, options))
