"""What is put before the judge: clips that a model makes of prompts, and clips that an autoencoder gives
back.

Legend: B clips, C channels, T frames of a clip, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from moviegen_core import VideoAutoencoder
from moviegen_runtime import Cast, TextToVideoRequest
from moviegen_runtime.media.frames import to_clip, to_uint8
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.metrics import Frames, psnr, ssim

from moviegen_miniature.captions import caption
from moviegen_miniature.casting import Split
from moviegen_miniature.judge.scoring import Judge, Verdict
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites
from moviegen_miniature.stage import Stage

_PROMPT_SEED = 20_000  # of the prompts: other scenes than those of any recipe's validation
_SEEDS_APART = 1_000_000  # noise seeds of two trials of the same prompts never meet
_CHUNK = 20


@dataclass(frozen=True)
class Sampling:
    """How prompts are sampled; None is the model's default.

    Args:
        seed: trial 0, 1, 2 ...; each gives every prompt a noise seed of its own.
    """

    seed: int
    steps: int | None = None
    guidance: float | None = None


@dataclass(frozen=True)
class Fidelity:
    """How close an autoencoder's clips are to what it was given.

    Args:
        psnr: mean over clips, in dB, of 8-bit frames.
        ssim: mean over frames and channels (Wang et al. 2004).
        clips: what it gave back.
        verdicts: on these.
    """

    psnr: float
    ssim: float
    clips: Sequence[Frames]
    verdicts: Sequence[Verdict]


def prompts(sprites: Sprites, split: Split, count: int) -> list[Scene]:
    """The first scenes of the judge's prompts, balanced over actors, motions and sets, before a still camera.

    Raises:
        ValueError: `count` is not positive.
    """
    stage = Stage(sprites, split=split, num_clips=count, seed=_PROMPT_SEED, pan_probability=0)
    return [stage.scene(index) for index in range(count)]


def sampled(
    cast: Cast, scenes: Sequence[Scene], sampling: Sampling, say: Callable[[str], None]
) -> list[Frames]:
    """What a cast makes of the captions, in their order."""
    requests = [
        TextToVideoRequest(
            prompt=caption(scene),
            seed=sampling.seed * _SEEDS_APART + index,
            frames=scene.frames,
            size=str(scene.side),
            fps=scene.fps,
            steps=sampling.steps,
            guidance=sampling.guidance,
        )
        for index, scene in enumerate(scenes)
    ]
    clips: list[Frames] = []
    for start in range(0, len(requests), _CHUNK):
        clips += [to_uint8(video.clip)[0] for video in cast.generate(requests[start : start + _CHUNK])]
        say(f"sampled {len(clips)} of {len(requests)} prompts")
    return clips


@torch.no_grad()
def rebuilt(tae: VideoAutoencoder, frames: Frames, fps: float) -> Frames:
    """A clip through an autoencoder and back."""
    return to_uint8(tae.decode(tae.encode(to_clip(frames, fps))))[0]


def fidelity(judge: Judge, tae: VideoAutoencoder, scenes: Sequence[Scene]) -> Fidelity:
    """True clips through an autoencoder, compared with themselves and put before the judge."""
    true = [render(scene, judge.sprites).frames for scene in scenes]
    given = [rebuilt(tae, frames, scene.fps) for frames, scene in zip(true, scenes, strict=True)]
    pairs = list(zip(true, given, strict=True))
    return Fidelity(
        psnr=float(np.mean([psnr(*pair) for pair in pairs])),
        ssim=float(np.mean([ssim(*pair) for pair in pairs])),
        verdicts=[judge.score(frames, scene) for frames, scene in zip(given, scenes, strict=True)],
        clips=given,
    )


def real_clips(path: Path, count: int) -> list[Frames]:
    """The first clips of a video file at the stage's size, length and rate; fewer if it is shorter.

    Raises:
        ValueError: the file cannot be read, or does not last for one clip.
    """
    length = Scene.frames
    read = read_clip(path, size=(Scene.side, Scene.side), fps=Scene.fps, max_frames=count * length)
    whole = len(read.frames) // length
    if whole == 0:
        raise ValueError(
            f"{path} gives {len(read.frames)} frames at {Scene.fps:g} a second; a clip has {length}"
        )
    return list(read.frames[: whole * length].reshape(whole, length, *read.frames.shape[1:]))
