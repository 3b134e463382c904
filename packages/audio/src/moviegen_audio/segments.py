"""How a long sound is cut into segments that are made one after the other (paper, section 6 and Fig. 27).

The paper's example makes 58 s in three segments, and shows the model the last 5 s of what is there whenever
it makes more. Ours are as few as can be, and of about equal length: a short rest at the end would be shown
more sound than it has to make, while a training step hides three quarters at least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Segment:
    """A part of a sound that is made at once, in latent frames of the whole sound.

    Args:
        seen: the sound that is given before, what is made, and the sound that is given after.
        made: what is made.
    """

    seen: slice
    made: slice

    @property
    def frames(self) -> int:
        """How many the model sees."""
        return int(self.seen.stop - self.seen.start)

    @property
    def before(self) -> int:
        """How many are given before what is made."""
        return int(self.made.start - self.seen.start)

    @property
    def after(self) -> int:
        """How many are given after what is made."""
        return int(self.seen.stop - self.made.stop)

    @property
    def inside(self) -> slice:
        """What is made, counted from the first frame that the model sees."""
        return slice(self.before, self.frames - self.after)


@dataclass(frozen=True)
class Segmenting:
    """How long segments are.

    Args:
        length: seconds that the model sees at once, at most; 25 in the paper's example, of the 30 that it is
            trained on.
        context: seconds of sound that is there already and is shown, before what is made and after it; 5 in
            the paper.

    Raises:
        ValueError: not finite, a negative context, or a length that does not leave room between two contexts.
    """

    length: float = 25.0
    context: float = 5.0

    def __post_init__(self) -> None:
        if not (0 <= self.context < math.inf and math.isfinite(self.length)):
            raise ValueError(
                f"length and context must be seconds from 0 on, not {self.length} and {self.context}"
            )
        if self.length <= 2 * self.context:
            raise ValueError(
                f"a segment of {self.length} s must be longer than twice its context of {self.context} s"
            )

    def context_frames(self, frame_rate: float) -> int:
        """Latent frames that are shown on either side."""
        return round(self.context * frame_rate)

    def cut(
        self, start: int, stop: int, frame_rate: float, *, before: int = 0, after: int = 0
    ) -> tuple[Segment, ...]:
        """Segments that make the frames from `start` to `stop`, in their order.

        Args:
            before: frames that are given before `start`; no more than the context are shown.
            after: frames that are given after `stop`, likewise; the last segment sees them.

        Raises:
            ValueError: there is nothing to make, a number is negative, or a segment is too short to make a
                latent frame.
        """
        if not 0 <= start < stop:
            raise ValueError(f"frames to make must begin at 0 or later, and end later, not {start} to {stop}")
        if not (0 <= before <= start and after >= 0):
            raise ValueError(
                f"frames given before must be from 0 to {start}, and those after 0 or more, "
                f"not {before} and {after}"
            )
        seen, context = round(self.length * frame_rate), self.context_frames(frame_rate)
        if seen <= 2 * context:
            raise ValueError(
                f"a segment of {seen} latent frames must be longer than twice its context of {context}"
            )
        room = _room(stop - start, seen, context, min(context, before), min(context, after))
        total = sum(room)
        edges = [start + held * (stop - start) // total for held in accumulate(room, initial=0)]
        return tuple(
            Segment(
                slice(
                    max(first - context, start - before), last + (min(context, after) if last == stop else 0)
                ),
                slice(first, last),
            )
            for first, last in pairwise(edges)
        )


def _room(frames: int, seen: int, context: int, before: int, after: int) -> list[int]:
    """How many frames each of the fewest segments could make at most."""
    if frames <= seen - before - after:
        return [seen - before - after]
    first, between, last = seen - before, seen - context, seen - context - after
    count = max(-(-(frames - first - last) // between), 0)
    return [first, *[between] * count, last]
