"""Scoring a clip as it was produced against the scene that was asked for.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from moviegen_core import load_pretrained, locate_pretrained, save_pretrained
from numpy.typing import NDArray
from torch import Tensor

from moviegen_miniature.judge.networks import JudgeConfig, Networks, to_grey
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites

KIND = "miniature-judge"
SHIPPED = {"miniature": Path(__file__).parent / "weights" / "miniature"}


@dataclass(frozen=True)
class Verdict:
    """What of a scene its clip shows.

    Args:
        actor_colour: the actor is read right, from the frames in colour.
        actor_grey: likewise from grey frames, so from its form.
        setting: the set is right.
        motion: the motion is right, by the track that the actor was found on.
        sharpness: gradient energy inside the found actor over that of the true clip; 1 is as sharp.
    """

    actor_colour: bool
    actor_grey: bool
    setting: bool
    motion: bool
    sharpness: float

    @property
    def all_right(self) -> bool:
        return self.actor_colour and self.actor_grey and self.setting and self.motion


@dataclass(frozen=True)
class Reading:
    """What a clip shows, whatever was asked for.

    Args:
        track: (T, 3) centre x, y and size of the actor, in heights of the frame.
        energy: mean square gradient of the grey picture inside the actor's box, over all frames.
    """

    actor_colour: str
    actor_grey: str
    setting: str
    motion: str
    track: NDArray[np.float32]
    energy: float


class Judge:
    """Reads clips of one length and size, and compares them with scenes.

    Args:
        networks: trained by `train_judge`.
        sprites: pictures of the actors, for the true clips that sharpness is measured against.
    """

    def __init__(self, networks: Networks, sprites: Sprites) -> None:
        self.networks = networks
        self.sprites = sprites

    @classmethod
    def load(cls, source: Path | str | None, sprites: Sprites) -> Judge:
        """Read a judge from a folder; None: the one that is shipped.

        Raises:
            ValueError: there are no such weights, or they are damaged.
        """
        folder = locate_pretrained("miniature" if source is None else source, SHIPPED)
        return cls(load_pretrained(folder, kind=KIND, config_type=JudgeConfig, build=Networks), sprites)

    @torch.no_grad()
    def read(self, frames: NDArray[np.uint8]) -> Reading:
        """Read a clip of (T, H, W, 3) uint8.

        Raises:
            ValueError: the clip is not of the length and size that this judge reads.
        """
        config = self.networks.config
        expected = (config.frames, config.side, config.side, 3)
        if frames.dtype != np.uint8 or frames.shape != expected:
            raise ValueError(f"the judge reads uint8 clips of {expected}, not {frames.dtype} {frames.shape}")
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
        setting, place = self.networks.find(pixels)
        colour, grey = self.networks.name(pixels, place)
        track = torch.cat([place.centre, place.size[:, None]], 1)
        return Reading(
            actor_colour=config.actors[_agreed(colour)],
            actor_grey=config.actors[_agreed(grey)],
            setting=config.settings[_agreed(setting)],
            motion=config.motions[int(self.networks.motion(track[None])[0].argmax())],
            track=track.numpy(),
            energy=gradient_energy(to_grey(pixels)[:, 0], track),
        )

    def score(self, frames: NDArray[np.uint8], scene: Scene) -> Verdict:
        """Compare a clip with the scene that was asked for.

        Raises:
            ValueError: the clip is not of the length and size that this judge reads, or the camera pans:
                tracks are read in the frame, so a pan would be taken for the actor's motion.
        """
        if scene.pan:
            raise ValueError(
                "the judge scores scenes without a camera pan; open the stage with pan_probability 0"
            )
        return compare(self.read(frames), scene, self.read(render(scene, self.sprites).frames))


def compare(reading: Reading, scene: Scene, truth: Reading) -> Verdict:
    """What of a scene a clip shows, by what was read in it and in the scene's true clip."""
    actor, motion, setting = scene.combination()
    return Verdict(
        actor_colour=reading.actor_colour == actor,
        actor_grey=reading.actor_grey == actor,
        setting=reading.setting == setting,
        motion=reading.motion == motion,
        sharpness=reading.energy / max(truth.energy, 1e-9),
    )


def save_judge(networks: Networks, folder: Path) -> None:
    """Write a judge's networks in half precision."""
    save_pretrained(networks, networks.config, folder, kind=KIND, dtype=torch.float16)


def _agreed(logits: Tensor) -> int:
    """The class that all frames together find likeliest."""
    return int(logits.log_softmax(1).mean(0).argmax())


def gradient_energy(grey_THW: Tensor, track_T3: Tensor) -> float:
    """Mean square gradient inside the actor's box, over all frames."""
    _, height, width = grey_THW.shape
    across = (grey_THW[:, :-1, 1:] - grey_THW[:, :-1, :-1]).square()
    down = (grey_THW[:, 1:, :-1] - grey_THW[:, :-1, :-1]).square()
    x = torch.arange(1, width) / width
    y = torch.arange(1, height) / height
    half = track_T3[:, 2:] / 2
    columns = ((x - track_T3[:, :1]).abs() <= half).float()
    rows = ((y - track_T3[:, 1:2]).abs() <= half).float()
    inside = rows[:, :, None] * columns[:, None]
    return float(((across + down) * inside).sum() / inside.sum().clamp(min=1))
