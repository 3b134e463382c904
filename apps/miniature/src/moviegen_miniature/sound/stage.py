"""The stage with sound as a source of clips: picture, sound, and what is heard when, at any index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from moviegen_audio import SoundCaption
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.data.source import CaptionedClip
from numpy.typing import NDArray

from moviegen_miniature.captions import caption
from moviegen_miniature.casting import Split, check_options, place_of
from moviegen_miniature.fetch import fetched_sprites
from moviegen_miniature.render import render
from moviegen_miniature.sound.captions import sound_caption
from moviegen_miniature.sound.casting import FPS_CHOICES, SHORTEST, take_at
from moviegen_miniature.sound.events import Event, events
from moviegen_miniature.sound.soundtrack import RATE, Take, soundtrack
from moviegen_miniature.sound.synthesis import SMALLEST_RATE
from moviegen_miniature.sprites import Sprites


@dataclass(frozen=True)
class SoundClip(CaptionedClip):
    """One clip, its sound, and what is seen and heard. `caption` says what is seen.

    Args:
        samples: (C, N) float32 within [-1, 1], as long as the frames.
        rate: samples a second.
        heard: the caption of the sound.
        events: what happens, and when.
    """

    samples: NDArray[np.float32]
    rate: int
    heard: SoundCaption
    events: tuple[Event, ...]


class TakeOptions(TypedDict, total=False):
    """The options of `Takes`."""

    split: Split
    num_clips: int
    seed: int
    seconds: float
    size: int
    fps_choices: Sequence[float]
    rate: int
    channels: int
    pan_probability: float
    music_probability: float


class Takes:
    """Takes of one split, by index: take i is always the same one.

    Args:
        split: "train", "seen" (combinations of the training, other scenes) or "held_out".
        num_clips: length of the source.
        seed: another seed gives other clips.
        seconds: length of a clip, at least 2.
        size: height and width in pixels.
        fps_choices: frame rates, of which each clip has one; a clip must be a whole number of frames at each.
        rate: samples a second, at least 16,000.
        channels: of the sound, 1 or 2.
        pan_probability: share of the clips in which the camera pans.
        music_probability: share of the clips with music.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        *,
        split: Split = "train",
        num_clips: int = 100_000,
        seed: int = 0,
        seconds: float = 4.0,
        size: int = 64,
        fps_choices: Sequence[float] = FPS_CHOICES,
        rate: int = RATE,
        channels: int = 1,
        pan_probability: float = 0.1,
        music_probability: float = 0.25,
    ) -> None:
        check_options(
            split,
            {
                "num_clips": (num_clips, 1),
                "seed": (seed, 0),
                "size": (size, 16),
                "rate": (rate, SMALLEST_RATE),
                "channels": (channels, 1),
            },
            {"pan_probability": pan_probability, "music_probability": music_probability},
        )
        if channels > 2:
            raise ValueError(f"channels must be 1 or 2, not {channels}")
        if not SHORTEST <= seconds <= 60:
            raise ValueError(f"seconds must be from {SHORTEST:g} to 60, not {seconds!r}")
        if not fps_choices or not all(0 < fps <= 240 for fps in fps_choices):
            raise ValueError(f"fps_choices must be rates above 0 and at most 240, not {fps_choices!r}")
        if broken := [fps for fps in fps_choices if abs(seconds * fps - round(seconds * fps)) > 1e-6]:
            raise ValueError(f"{seconds:g} s are not a whole number of frames at {broken[0]:g} a second")
        self.split: Split = split
        self.num_clips = num_clips
        self.seed = seed
        self.seconds = float(seconds)
        self.size = size
        self.fps_choices = tuple(float(fps) for fps in fps_choices)
        self.rate = rate
        self.channels = channels
        self.pan_probability = pan_probability
        self.music_probability = music_probability

    def __len__(self) -> int:
        return self.num_clips

    def take(self, index: int) -> Take:
        """The take of clip `index`.

        Raises:
            IndexError: there is no such clip.
        """
        return take_at(
            place_of(index, self.num_clips),
            split=self.split,
            seed=self.seed,
            seconds=self.seconds,
            side=self.size,
            fps_choices=self.fps_choices,
            pan_probability=self.pan_probability,
            music_probability=self.music_probability,
        )

    def samples(self, take: Take) -> NDArray[np.float32]:
        """The sound of a take, (C, N)."""
        return soundtrack(take, rate=self.rate, channels=self.channels)


class SoundStage(Takes):
    """Clips with sound, as clips: a `ClipSource`.

    Args:
        sprites: pictures of the actors.
        options: see `Takes`.
    """

    def __init__(self, sprites: Sprites, **options: Unpack[TakeOptions]) -> None:
        super().__init__(**options)
        self.sprites = sprites

    def __getitem__(self, index: int) -> SoundClip:
        take = self.take(index)
        return SoundClip(
            frames=render(take.scene, self.sprites).frames,
            fps=take.scene.fps,
            caption=caption(take.scene),
            samples=self.samples(take),
            rate=self.rate,
            heard=sound_caption(take),
            events=events(take.scene),
        )


class StageSounds(Takes):
    """The same clips as sounds, with or without their pictures: a `SoundSource`.

    Args:
        sprites: pictures of the actors; None: sounds alone, which take less time.
        options: see `Takes`.
    """

    def __init__(self, sprites: Sprites | None, **options: Unpack[TakeOptions]) -> None:
        super().__init__(**options)
        self.sprites = sprites

    def __getitem__(self, index: int) -> CaptionedSound:
        take = self.take(index)
        picture = None
        if self.sprites is not None:
            frames = render(take.scene, self.sprites).frames
            picture = CaptionedClip(frames, take.scene.fps, caption(take.scene))
        return CaptionedSound(self.samples(take), self.rate, sound_caption(take), picture)


def open_sound_stage(*, cache: str | None = None, **options: Unpack[TakeOptions]) -> SoundStage:
    """Open the stage with the fetched actors: the clip source "stage-sound". See `Takes` for the options.

    Args:
        cache: folder that `python -m moviegen_miniature fetch` built; None: the usual one.

    Raises:
        ValueError: the actors have not been fetched, or an option is out of its range.
    """
    return SoundStage(fetched_sprites(cache), **options)


def open_stage_sounds(
    *, pictures: bool = False, cache: str | None = None, **options: Unpack[TakeOptions]
) -> StageSounds:
    """Open the stage's sounds: the sound source "stage". See `Takes` for the options.

    Args:
        pictures: whether each sound comes with its film, which needs the fetched actors.
        cache: folder that `python -m moviegen_miniature fetch` built; None: the usual one.

    Raises:
        ValueError: the actors have not been fetched, or an option is out of its range.
    """
    return StageSounds(fetched_sprites(cache) if pictures else None, **options)
