"""What a clip of the stage shows, as a value: every fact that the picture is made of and that a judge asks
about.

Lengths are in heights of the frame. Motion words mean motion relative to the set: a camera pan moves set
and actor alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.actors import BY_NAME

MOTIONS = ("still", "left", "right", "up", "down", "grows", "shrinks", "bounces", "diagonal", "circles")
PAN_TRAVEL = 0.2  # of the frame, over a whole clip
_GROWTH = 1.9  # largest size over smallest
_BOUNCE_SECONDS = 1.0
_CIRCLE_SECONDS = 2.0


_OFF_STAGE = -2.0  # x of an actor that has not appeared yet


@dataclass(frozen=True)
class Timing:
    """When an actor does what it does, in seconds: for clips in which something happens at a moment.

    Args:
        begin: its motion starts; the actor rests before. "bounces" never rests, and lands then.
        end: its motion stops; the actor rests after. Infinite: it does not stop, as "bounces" and "still"
            never do.
        period: from one landing of "bounces" to the next.
        appears: before that it is not in the picture.

    Raises:
        ValueError: a time that is negative or not finite, or a motion that ends before it begins.
    """

    begin: float = 0.0
    end: float = math.inf
    period: float = _BOUNCE_SECONDS
    appears: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(time) and time >= 0 for time in (self.begin, self.appears)):
            raise ValueError(f"begin and appears must be finite and at least 0, not {self}")
        if not self.end > self.begin or not 0 < self.period < math.inf:
            raise ValueError(f"end must come after begin, and period be finite and above 0, not {self}")


@dataclass(frozen=True)
class Performer:
    """An actor and what it does.

    Args:
        actor: its name.
        motion: one of `MOTIONS`.
        size: side of its square, halfway through the clip.
        x: middle of its path from the left, in a frame that is as wide as high.
        y: middle of its path from the top.
        travel: length of its path: along x or y, along both for "diagonal", height of "bounces", diameter of
            "circles"; 0 otherwise.
        turn: +1 or -1: to the right or left for "diagonal", clockwise or not for "circles"; +1 otherwise.
        climb: -1 or +1: upwards or downwards for "diagonal"; +1 otherwise.
        start: seconds into its animation, and share of the first round for "circles".
        timing: when it moves; None: as long as the clip lasts, with "bounces" landing at each whole second.
    """

    actor: str
    motion: str
    size: float
    x: float
    y: float
    travel: float = 0.0
    turn: int = 1
    climb: int = 1
    start: float = 0.0
    timing: Timing | None = None

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise ValueError(f"motion must be one of {', '.join(MOTIONS)}, not {self.motion!r}")
        endless = self.timing is not None and math.isinf(self.timing.end)
        if endless and self.motion not in ("still", "bounces", "circles"):
            raise ValueError(f"{self.motion!r} has a way to go: its timing needs an end")

    @property
    def mirrored(self) -> bool:
        """Whether its picture is turned round, so that it looks where it goes."""
        if self.motion not in ("left", "right", "diagonal"):
            return False
        heading = {"left": -1, "right": 1}.get(self.motion, self.turn)
        return BY_NAME[self.actor].faces == ("right" if heading < 0 else "left")

    def track(self, frames: int, fps: float) -> NDArray[np.float64]:
        """Its centre and size (x, y, size) in each frame, relative to the set: (frames, 3)."""
        return self.places(np.arange(frames) / fps, _shares(frames))

    def places(self, seconds: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its centre and size (x, y, size) at any times, relative to the set: (N, 3).

        Without a timing, motions along a line and growth take the whole clip, at constant speed, and bounces
        and circles take their time in seconds.

        Args:
            seconds: (N,) since the first frame.
            share: (N,) the same times as a share of the clip from its first frame to its last, less one half.
        """
        period, turning = _BOUNCE_SECONDS, seconds
        if self.timing is not None:
            since = seconds - self.timing.begin
            lasts = self.timing.end - self.timing.begin
            share = (since / lasts).clip(0, 1) - 0.5
            turning = since.clip(0, lasts)
            seconds, period = since, self.timing.period
        frames = len(seconds)
        x, y, size = np.full(frames, self.x), np.full(frames, self.y), np.full(frames, self.size)
        match self.motion:
            case "left" | "right":
                x += share * (self.travel if self.motion == "right" else -self.travel)
            case "up" | "down":
                y += share * (self.travel if self.motion == "down" else -self.travel)
            case "grows" | "shrinks":
                size *= _GROWTH ** (share if self.motion == "grows" else -share)
            case "bounces":
                flight = seconds / period % 1
                y += self.travel * (0.5 - 4 * flight * (1 - flight))
            case "diagonal":
                x += share * self.travel * self.turn
                y += share * self.travel * self.climb
            case "circles":
                angle = 2 * np.pi * (self.start + self.turn * turning / _CIRCLE_SECONDS)
                x += self.travel / 2 * np.cos(angle)
                y += self.travel / 2 * np.sin(angle)
        if self.timing is not None:
            x[since < self.timing.appears - self.timing.begin] = _OFF_STAGE
        return np.stack([x, y, size], axis=1)


@dataclass(frozen=True)
class Scene:
    """One clip: who does what where, and how it is filmed.

    Args:
        lead: the actor that the caption is about.
        setting: name of the set.
        setting_seed: where the set's landmarks stand.
        pan: -1, 0 or +1: the camera moves to the left, not at all, or to the right.
        second: another actor that stands by, drawn behind the lead; None for most clips.
        words: seed of the caption's choice of words.
        frames: length of the clip.
        side: height and width of the frame in pixels.
        fps: frames a second.
    """

    lead: Performer
    setting: str
    setting_seed: int
    pan: int = 0
    second: Performer | None = None
    words: int = 0
    frames: int = 16
    side: int = 64
    fps: float = 8.0

    def camera(self) -> NDArray[np.int64]:
        """How far the camera stands from its place halfway, to the right, in whole pixels: (frames,)."""
        return camera_path(self.pan, self.frames, self.side)

    @property
    def seconds(self) -> float:
        """How long the clip lasts, its last frame included."""
        return self.frames / self.fps

    def seen(self, performer: Performer, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Centre and size (x, y, size) of one of its actors in the frame at any times: (N, 3).

        Args:
            seconds: (N,) since the first frame.
        """
        share = seconds * self.fps / max(self.frames - 1, 1) - 0.5
        places = performer.places(seconds, share)
        places[:, 0] -= self.pan * PAN_TRAVEL * share
        return places

    def combination(self) -> tuple[str, str, str]:
        """Actor, motion and set of the lead: what is held out, and what a judge asks for."""
        return self.lead.actor, self.lead.motion, self.setting


def _shares(frames: int) -> NDArray[np.float64]:
    """Where each frame stands in the clip, from -1/2 to 1/2."""
    return np.linspace(-0.5, 0.5, frames) if frames > 1 else np.zeros(1)


def camera_path(pan: int, frames: int, side: int) -> NDArray[np.int64]:
    """Places of a camera that pans at constant speed, to the right of its middle one, in pixels: (frames,).

    Whole pixels keep the set equally sharp in every frame.
    """
    return np.rint(pan * PAN_TRAVEL * side * _shares(frames)).astype(np.int64)
