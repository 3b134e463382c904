"""The stage as a source of captioned clips: rendered on the fly, any clip at any index, nothing stored."""

from __future__ import annotations

from typing import TypedDict, Unpack

from moviegen_runtime.data.source import CaptionedClip

from moviegen_miniature.captions import caption
from moviegen_miniature.casting import Split, check_options, place_of, scene_at
from moviegen_miniature.fetch import fetched_sprites
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites


class StageOptions(TypedDict, total=False):
    """The options of `Stage`."""

    split: Split
    num_clips: int
    seed: int
    frames: int
    size: int
    fps: float
    pan_probability: float
    two_actors_probability: float


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
        check_options(
            split,
            {"num_clips": (num_clips, 1), "seed": (seed, 0), "frames": (frames, 1), "size": (size, 16)},
            {"pan_probability": pan_probability, "two_actors_probability": two_actors_probability},
        )
        if not 0 < fps <= 240:
            raise ValueError(f"fps must be above 0 and at most 240, not {fps!r}")
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
        return scene_at(
            place_of(index, self.num_clips),
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


def open_stage(*, cache: str | None = None, **options: Unpack[StageOptions]) -> Stage:
    """Open the stage with the fetched actors: the clip source "stage". See `Stage` for the options.

    Args:
        cache: folder that `python -m moviegen_miniature fetch` built; None: the usual one.

    Raises:
        ValueError: the actors have not been fetched, or an option is out of its range.
    """
    return Stage(fetched_sprites(cache), **options)
