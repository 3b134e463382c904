"""What a clip of the stage shows, as a value: every fact that the picture is made of and that a judge asks
about.

Lengths are in heights of the frame. Motion words mean motion relative to the set: a camera pan moves set
and actor alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.actors import BY_NAME

MOTIONS = ("still", "left", "right", "up", "down", "grows", "shrinks", "bounces", "diagonal", "circles")
PAN_TRAVEL = 0.2  # of the frame, over a whole clip
_GROWTH = 1.9  # largest size over smallest
_BOUNCE_SECONDS = 1.0
_CIRCLE_SECONDS = 2.0


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

    def __post_init__(self) -> None:
        if self.motion not in MOTIONS:
            raise ValueError(f"motion must be one of {', '.join(MOTIONS)}, not {self.motion!r}")

    @property
    def mirrored(self) -> bool:
        """Whether its picture is turned round, so that it looks where it goes."""
        if self.motion not in ("left", "right", "diagonal"):
            return False
        heading = {"left": -1, "right": 1}.get(self.motion, self.turn)
        return BY_NAME[self.actor].faces == ("right" if heading < 0 else "left")

    def track(self, frames: int, fps: float) -> NDArray[np.float64]:
        """Its centre and size (x, y, size) in each frame, relative to the set: (frames, 3).

        Motions along a line and growth take the whole clip, at constant speed; bounces and circles take their
        time in seconds.
        """
        share = np.linspace(-0.5, 0.5, frames) if frames > 1 else np.zeros(1)
        seconds = np.arange(frames) / fps
        x, y, size = np.full(frames, self.x), np.full(frames, self.y), np.full(frames, self.size)
        match self.motion:
            case "left" | "right":
                x += share * (self.travel if self.motion == "right" else -self.travel)
            case "up" | "down":
                y += share * (self.travel if self.motion == "down" else -self.travel)
            case "grows" | "shrinks":
                size *= _GROWTH ** (share if self.motion == "grows" else -share)
            case "bounces":
                flight = seconds / _BOUNCE_SECONDS % 1
                y += self.travel * (0.5 - 4 * flight * (1 - flight))
            case "diagonal":
                x += share * self.travel * self.turn
                y += share * self.travel * self.climb
            case "circles":
                angle = 2 * np.pi * (self.start + self.turn * seconds / _CIRCLE_SECONDS)
                x += self.travel / 2 * np.cos(angle)
                y += self.travel / 2 * np.sin(angle)
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
        """How far the camera stands from its place halfway, to the right, in whole pixels: (frames,).

        Whole pixels keep the set equally sharp in every frame.
        """
        share = np.linspace(-0.5, 0.5, self.frames) if self.frames > 1 else np.zeros(1)
        return np.rint(self.pan * PAN_TRAVEL * self.side * share).astype(np.int64)

    def combination(self) -> tuple[str, str, str]:
        """Actor, motion and set of the lead: what is held out, and what a judge asks for."""
        return self.lead.actor, self.lead.motion, self.setting
