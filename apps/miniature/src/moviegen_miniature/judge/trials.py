"""What is put before the judge: clips that a model makes of prompts, and clips that an autoencoder gives
back.

Legend: B clips, C channels, T frames of a clip, H rows, W columns.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from moviegen_core import VideoAutoencoder
from moviegen_runtime import Cast, TextToVideoRequest
from moviegen_runtime.media.frames import to_clip, to_uint8
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.metrics import Frames, psnr, ssim
from moviegen_runtime.pipelines.settings import cast_phrasebook
from moviegen_runtime.text.phrasebook import PhrasebookRewriter
from torch.nn import Module

from moviegen_miniature.captions import caption
from moviegen_miniature.casting import Split, scene_of
from moviegen_miniature.prompts import Prompt
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
        psnr: of each clip, in dB, of 8-bit frames.
        ssim: of each clip, mean over frames and channels (Wang et al. 2004).
        clips: what it gave back.
    """

    psnr: Sequence[float]
    ssim: Sequence[float]
    clips: Sequence[Frames]


class Asked(NamedTuple):
    """A prompt, and the scene that it means."""

    prompt: str
    scene: Scene


def prompts(
    sprites: Sprites,
    split: Split,
    count: int,
    *,
    frames: int = Scene.frames,
    pan_probability: float = 0.0,
    two_actors_probability: float = 0.0,
) -> list[Asked]:
    """The first of the judge's prompts, balanced over actors, motions and sets.

    Raises:
        ValueError: `count` is not positive, or an option is out of its range.
    """
    stage = Stage(
        sprites,
        split=split,
        num_clips=count,
        seed=_PROMPT_SEED,
        frames=frames,
        pan_probability=pan_probability,
        two_actors_probability=two_actors_probability,
    )
    scenes = [stage.scene(index) for index in range(count)]
    return [Asked(caption(scene), scene) for scene in scenes]


def written(listed: Sequence[Prompt]) -> list[Asked]:
    """Prompts that were written by hand, each with a scene that it means."""
    return [
        Asked(prompt.text, scene_of(prompt.combination, _PROMPT_SEED + index))
        for index, prompt in enumerate(listed)
    ]


def reworded(cast: Cast, asked: Sequence[Asked]) -> list[Asked]:
    """Prompts as `moviegen generate` gives them to a cast: in its own phrases, if it has a phrasebook."""
    book = cast_phrasebook(cast.model)
    if book is None:
        return list(asked)
    rewriter = PhrasebookRewriter(book)
    return [Asked(rewriter.rewrite(prompt), scene) for prompt, scene in asked]


def sampled(
    cast: Cast, asked: Sequence[Asked], sampling: Sampling, say: Callable[[str], None]
) -> list[Frames]:
    """What a cast makes of prompts, in their order."""
    requests = [
        TextToVideoRequest(
            prompt=prompt,
            seed=sampling.seed * _SEEDS_APART + index,
            frames=scene.frames,
            size=str(scene.side),
            fps=scene.fps,
            steps=sampling.steps,
            guidance=sampling.guidance,
        )
        for index, (prompt, scene) in enumerate(asked)
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


def half_bytes(*models: Module) -> int:
    """What models take in float16."""
    return sum(2 * value.numel() for model in models for value in model.state_dict().values())


def generate_seconds(model: str) -> float:
    """How long `moviegen generate` takes for one clip, from its start to its end.

    Raises:
        ValueError: it fails.
    """
    command = [sys.executable, "-c", "from moviegen_runtime.cli import main; main()", "generate"]
    with tempfile.TemporaryDirectory() as folder:
        options = ["a cow stands still on a green field", "--model", model, "-o", f"{folder}/clip.mp4"]
        begin = time.monotonic()
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
    if done.returncode:
        raise ValueError(f"moviegen generate failed: {done.stderr.strip()}")
    return seconds


def fidelity(sprites: Sprites, tae: VideoAutoencoder, scenes: Sequence[Scene]) -> Fidelity:
    """True clips through an autoencoder, compared with themselves."""
    true = [render(scene, sprites).frames for scene in scenes]
    given = [rebuilt(tae, frames, scene.fps) for frames, scene in zip(true, scenes, strict=True)]
    pairs = list(zip(true, given, strict=True))
    return Fidelity([psnr(*pair) for pair in pairs], [ssim(*pair) for pair in pairs], given)


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
