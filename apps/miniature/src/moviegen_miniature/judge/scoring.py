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

from moviegen_miniature.judge.camera import found_pan
from moviegen_miniature.judge.likeness import Likeness, like_coloured, likeness
from moviegen_miniature.judge.networks import JudgeConfig, Networks, to_grey
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene, camera_path
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
        motion: the motion relative to the set is right, by the track that the actor was found on.
        camera: the camera pans as asked, or stands still as asked.
        steady: the first and the last quarter of the clip show the same actor in grey, right or wrong.
        sharpness: gradient energy inside the found actor over that of the true clip; 1 is as sharp.
    """

    actor_colour: bool
    actor_grey: bool
    setting: bool
    motion: bool
    camera: bool
    steady: bool
    sharpness: float

    @property
    def all_three(self) -> bool:
        """Actor in colour, set and motion."""
        return self.actor_colour and self.setting and self.motion

    @property
    def all_four(self) -> bool:
        """The same, and the actor in grey."""
        return self.all_three and self.actor_grey


@dataclass(frozen=True)
class Reading:
    """What a clip shows, whatever was asked for.

    Args:
        pan: -1, 0 or +1: the camera moves to the left, not at all, or to the right.
        steady: the first and the last quarter show the same actor in grey.
        track: (T, 3) centre x, y and size of the actor in the frame, in heights.
        energy: mean square gradient of the grey picture inside the actor's box, over all frames.
    """

    actor_colour: str
    actor_grey: str
    setting: str
    motion: str
    pan: int
    steady: bool
    track: NDArray[np.float32]
    energy: float


class Judge:
    """Reads clips of one size and of one length or twice that, and compares them with scenes.

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
        expected = [(length, config.side, config.side, 3) for length in (config.frames, 2 * config.frames)]
        if frames.dtype != np.uint8 or frames.shape not in expected:
            raise ValueError(
                f"the judge reads uint8 clips of {expected[0]} or {expected[1]}, "
                f"not {frames.dtype} {frames.shape}"
            )
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
        setting, place = self.networks.find(pixels)
        colour, grey = self.networks.name(pixels, place)
        track = torch.cat([place.centre, place.size[:, None]], 1)
        pan = found_pan(to_grey(pixels)[:, 0].numpy(), track.numpy())
        on_set = track.clone()
        on_set[:, 0] += torch.from_numpy(camera_path(pan, len(frames), config.side)) / config.side
        quarter = max(1, len(frames) // 4)
        return Reading(
            actor_colour=config.actors[_agreed(colour)],
            actor_grey=config.actors[_agreed(grey)],
            setting=config.settings[_agreed(setting)],
            motion=config.motions[int(self.networks.motion(on_set[None])[0].argmax())],
            pan=pan,
            steady=_agreed(grey[:quarter]) == _agreed(grey[-quarter:]),
            track=track.numpy(),
            energy=gradient_energy(to_grey(pixels)[:, 0], track),
        )

    def score(self, frames: NDArray[np.uint8], scene: Scene) -> Verdict:
        """Compare a clip with the scene that was asked for.

        Raises:
            ValueError: the clip is not of a length and size that this judge reads.
        """
        return compare(self.read(frames), scene, self.read(render(scene, self.sprites).frames))

    def likeness(self, frames: NDArray[np.uint8], reading: Reading, scene: Scene) -> Likeness:
        """How like the scene's actor the actor of a clip looks, by what was read in the clip."""
        actor = scene.lead.actor
        right, wrong = (
            likeness(frames, reading.track, name, self.sprites)
            for name in (actor, like_coloured(actor, self.sprites))
        )
        return Likeness(right, wrong)


def compare(reading: Reading, scene: Scene, truth: Reading) -> Verdict:
    """What of a scene a clip shows, by what was read in it and in the scene's true clip."""
    actor, motion, setting = scene.combination()
    return Verdict(
        actor_colour=reading.actor_colour == actor,
        actor_grey=reading.actor_grey == actor,
        setting=reading.setting == setting,
        motion=reading.motion == motion,
        camera=reading.pan == scene.pan,
        steady=reading.steady,
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
