"""Clips of the same prompts and the same noise by different solvers, and how far they are from a reference.

Legend: B clips, C latent channels, T H W latent frames, rows, columns.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from moviegen_core import TextContext, VideoLatent, VideoShape, replacing
from moviegen_dit import BlockCache, Linear, classifier_free_guidance, integrate
from moviegen_runtime import Cast
from moviegen_runtime.media.frames import to_uint8
from moviegen_runtime.metrics import Frames, psnr
from moviegen_runtime.pipelines.noise import noise
from moviegen_runtime.text import with_fps
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from moviegen_miniature.judge import Judge, Verdict
from moviegen_miniature.judge.trials import Asked
from moviegen_miniature.sampling.solvers import Solver

_LATENTS = "latents"  # in the file of a reference


@dataclass(frozen=True)
class Outcome:
    """What a solver made.

    Args:
        latent_error: mean over the reference's clips of |latent - reference| / |reference|, Euclidean.
        psnr: mean over the same of the decoded frames against those of the reference, in dB.
        verdicts: of the judge, on all clips that the solver made.
        seconds: of sampling, a clip.
    """

    solver: Solver
    latent_error: float
    psnr: float
    verdicts: Sequence[Verdict]
    seconds: float


class Study:
    """A cast before fixed prompts, each with its own noise.

    Args:
        asked: prompts and what they mean; prompt i has the noise of seed i.
        guidance: scale, the same for all solvers.
        micro_batch: clips that go through the transformer together.
    """

    def __init__(self, cast: Cast, asked: Sequence[Asked], guidance: float, micro_batch: int) -> None:
        self.cast = cast
        self.scenes = [each.scene for each in asked]
        self.guidance = guidance
        self.micro_batch = micro_batch
        self._texts = [with_fps(each.prompt, each.scene.fps) for each in asked]
        self._contexts = [encoder.encode(self._texts) for encoder in cast.encoders]

    @torch.inference_mode()
    def latents(self, solver: Solver, count: int, say: Callable[[str], None]) -> tuple[Tensor, float]:
        """Latents (B, C, T, H, W) of the first scenes in float32 on the CPU, and the seconds they took."""
        made, seconds = [], 0.0
        for start in range(0, count, self.micro_batch):
            places = range(start, min(start + self.micro_batch, count))
            before = time.perf_counter()
            made.append(self._solved(solver, places))
            seconds += time.perf_counter() - before
            say(f"{solver.name}, {solver.steps} steps: {places.stop} of {count} prompts, {seconds:.0f} s")
        return torch.cat(made), seconds

    def _solved(self, solver: Solver, places: range) -> Tensor:
        cast, shape = self.cast, self._latent_shape()
        device, dtype = cast.machine.device, cast.dit.patch_in.weight.dtype
        start = torch.cat([noise(seed, cast.tae.latent_channels, shape) for seed in places])
        some = slice(places.start, places.stop)
        contexts = [
            TextContext(each.embeddings[some], each.mask[some], each.encoder).to(device, dtype)
            for each in self._contexts
        ]
        guided = classifier_free_guidance(
            cast.dit if solver.reuse == 1 else partial(cast.dit, cache=BlockCache(solver.reuse)),
            cast.dit.placed(cast.dit.prepare(contexts), shape),
            cast.dit.null_conditions(len(places)),
            self.guidance,
            solver.interval,
        )

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return guided(x.to(dtype), t).float()

        return integrate(velocity, start.to(device), solver.times).cpu()

    def _latent_shape(self) -> VideoShape:
        scene = self.scenes[0]
        return self.cast.tae.stride.latent(VideoShape(scene.frames, scene.side, scene.side))

    @torch.inference_mode()
    def clips(self, latents: Tensor) -> list[Frames]:
        """Frames of latents, decoded one by one."""
        cast, scene = self.cast, self.scenes[0]
        dtype = cast.dit.patch_in.weight.dtype
        decoded = (
            cast.tae.decode(
                VideoLatent(
                    latent[None].to(cast.machine.device, dtype), cast.tae.stride, scene.frames, scene.fps
                )
            )
            for latent in latents
        )
        return [to_uint8(clip.to("cpu", torch.float32))[0] for clip in decoded]

    def reference(
        self, steps: int, count: int, folder: Path, say: Callable[[str], None]
    ) -> tuple[Tensor, float]:
        """Latents of linear Euler steps for the first scenes, and their seconds; kept in `folder`.

        Raises:
            ValueError: the file in `folder` is damaged.
        """
        known = {
            "weights": self.cast.weights,
            "dtype": self.cast.machine.dtype,
            "guidance": self.guidance,
            "steps": steps,
            "texts": self._texts[:count],
        }
        digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        path = folder / f"reference-{digest[:16]}.safetensors"
        if path.is_file():
            say(f"the reference of {steps} steps is in {path}")
            return self._read(path, count)
        latents, seconds = self.latents(Solver("linear", Linear(steps).times()), count, say)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            save_file({_LATENTS: latents, "seconds": torch.tensor(seconds)}, aside)
        return latents, seconds

    def _read(self, path: Path, count: int) -> tuple[Tensor, float]:
        shape = self._latent_shape()
        expected = (count, self.cast.tae.latent_channels, shape.frames, shape.height, shape.width)
        try:
            state = load_file(path)
            latents, seconds = state[_LATENTS], float(state["seconds"])
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise ValueError(f"{path} is damaged; remove it, and it is made again") from error
        if latents.shape != expected or not bool(latents.isfinite().all()):
            raise ValueError(f"{path} is damaged; remove it, and it is made again")
        return latents, seconds

    def outcome(self, solver: Solver, made: tuple[Tensor, float], reference: Tensor, judge: Judge) -> Outcome:
        """Latents and their seconds beside the reference of the first scenes, and before the judge."""
        latents, seconds = made
        clips = self.clips(latents)
        shared = min(len(latents), len(reference))
        apart = (latents[:shared] - reference[:shared]).flatten(1).norm(dim=1)
        true = self.clips(reference[:shared])
        return Outcome(
            solver=solver,
            latent_error=float((apart / reference[:shared].flatten(1).norm(dim=1)).mean()),
            psnr=float(np.mean([psnr(*pair) for pair in zip(true, clips, strict=False)])),
            verdicts=[judge.score(clip, scene) for clip, scene in zip(clips, self.scenes, strict=False)],
            seconds=seconds / len(latents),
        )
