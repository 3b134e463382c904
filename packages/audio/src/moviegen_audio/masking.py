"""What a training step hides from the audio transformer (paper, section 6.1.2).

The paper prints the rates. How masked frames lie is ours: they are one span, which reaches the end in half of
the samples, so that sound is continued, and lies anywhere in the others, so that a gap is filled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from moviegen_core import ArchConfig
from pydantic import Field
from torch import Tensor


@dataclass(frozen=True)
class Hidden:
    """What is hidden in one batch.

    Args:
        given: (B, T) bool, True where the audio context is shown.
        drop_text: (B,) bool.
        drop_video: (B,) bool.
    """

    given: Tensor
    drop_text: Tensor
    drop_video: Tensor


class AudioMasking(ArchConfig):
    """How often, and how much, is hidden; by default as in the paper.

    Args:
        no_context: probability that no sound is given, so that all is generated.
        least_masked: otherwise the part of frames that is masked is uniform between this and 1.
        nothing: probability that context, text and video are all hidden, for guidance.
        no_text: probability that text is hidden, apart from that.
        no_video: the same of the video.
    """

    no_context: float = Field(default=0.5, ge=0, le=1)
    least_masked: float = Field(default=0.75, ge=0, le=1)
    nothing: float = Field(default=0.2, ge=0, le=1)
    no_text: float = Field(default=0.1, ge=0, le=1)
    no_video: float = Field(default=0.1, ge=0, le=1)

    def draw(self, batch: int, frames: int, generator: torch.Generator) -> Hidden:
        """Draw what is hidden; on the generator's device, and by the generator alone."""
        draws = torch.rand(7, batch, generator=generator, device=generator.device)
        masked = ((self.least_masked + (1 - self.least_masked) * draws[0]) * frames).ceil()
        last_start = frames - masked
        to_the_end = draws[1] < 0.5
        start = torch.where(to_the_end, last_start, (draws[2] * (last_start + 1)).floor())
        places = torch.arange(frames, device=generator.device)
        given = (places < start[:, None]) | (places >= (start + masked)[:, None])
        nothing = draws[3] < self.nothing
        hide_context = nothing | (draws[4] < self.no_context)
        return Hidden(
            given & ~hide_context[:, None],
            nothing | (draws[5] < self.no_text),
            nothing | (draws[6] < self.no_video),
        )
