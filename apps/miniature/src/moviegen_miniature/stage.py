"""The stage as a source of captioned clips: rendered on the fly, any clip at any index, nothing stored."""

from __future__ import annotations

import operator
from pathlib import Path

from moviegen_runtime.data.source import CaptionedClip

from moviegen_miniature.captions import caption
from moviegen_miniature.casting import SPLITS, Split, scene_at
from moviegen_miniature.fetch import SPRITES_FILE, default_cache
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites, load_sprites


class Stage:
    """Clips of one split, by index: clip i is always the same one.

    Args:
        sprites: pictures of the actors.
        split: "train", "seen" (combinations of the training, other scenes) or "held_out".
        num_clips: length of the source.
        seed: another seed gives other clips.
        frames: length of a clip.
        size: height and width in pixels.
        fps: frames a second.
        pan_probability: share of the clips in which the camera pans.
        two_actors_probability: share of the clips in which another actor stands by.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        sprites: Sprites,
        *,
        split: Split = "train",
        num_clips: int = 100_000,
        seed: int = 0,
        frames: int = 16,
        size: int = 64,
        fps: float = 8.0,
        pan_probability: float = 0.1,
        two_actors_probability: float = 0.0,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")
        for name, value, smallest in (
            ("num_clips", num_clips, 1),
            ("seed", seed, 0),
            ("frames", frames, 1),
            ("size", size, 16),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ValueError(f"{name} must be a whole number of at least {smallest}, not {value!r}")
        if not 0 < fps <= 240:
            raise ValueError(f"fps must be above 0 and at most 240, not {fps!r}")
        for name, share in (
            ("pan_probability", pan_probability),
            ("two_actors_probability", two_actors_probability),
        ):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {share!r}")
        self.sprites = sprites
        self.split = split
        self.num_clips = num_clips
        self.seed = seed
        self.frames = frames
        self.size = size
        self.fps = float(fps)
        self.pan_probability = pan_probability
        self.two_actors_probability = two_actors_probability

    def __len__(self) -> int:
        return self.num_clips

    def scene(self, index: int) -> Scene:
        """The scene of clip `index`.

        Raises:
            IndexError: there is no such clip.
        """
        place = operator.index(index)
        if not -self.num_clips <= place < self.num_clips:
            raise IndexError(f"clip {place} is beyond the {self.num_clips} clips of this source")
        return scene_at(
            place % self.num_clips,
            split=self.split,
            seed=self.seed,
            frames=self.frames,
            side=self.size,
            fps=self.fps,
            pan_probability=self.pan_probability,
            two_actors_probability=self.two_actors_probability,
        )

    def __getitem__(self, index: int) -> CaptionedClip:
        scene = self.scene(index)
        return CaptionedClip(render(scene, self.sprites).frames, self.fps, caption(scene))


def open_stage(
    *,
    cache: str | None = None,
    split: Split = "train",
    num_clips: int = 100_000,
    seed: int = 0,
    frames: int = 16,
    size: int = 64,
    fps: float = 8.0,
    pan_probability: float = 0.1,
    two_actors_probability: float = 0.0,
) -> Stage:
    """Open the stage with the fetched actors: the clip source "stage". See `Stage` for the options.

    Args:
        cache: folder that `python -m moviegen_miniature fetch` built; None: the usual one.

    Raises:
        ValueError: the actors have not been fetched, or an option is out of its range.
    """
    folder = default_cache() if cache is None else Path(cache).expanduser()
    return Stage(
        load_sprites(folder / SPRITES_FILE),
        split=split,
        num_clips=num_clips,
        seed=seed,
        frames=frames,
        size=size,
        fps=fps,
        pan_probability=pan_probability,
        two_actors_probability=two_actors_probability,
    )
