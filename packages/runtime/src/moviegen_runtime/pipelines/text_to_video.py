"""Text to video (paper sections 3.1 and 3.4.2): prompt, noise, solver, decoder, and perhaps the upsampler.

Legend: B batch, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import torch
from moviegen_core import TextContext, VideoClip, VideoLatent, VideoShape
from moviegen_dit import (
    BlockCache,
    Linear,
    LinearQuadratic,
    Quadratic,
    Schedule,
    StepCallback,
    classifier_free_guidance,
    integrate,
)
from pydantic import JsonValue
from torch import Tensor
from torch.nn import functional

from moviegen_runtime.pipelines.noise import noise, upsampling_seed
from moviegen_runtime.pipelines.upsample import Upsampling, check_upsampling, upsample
from moviegen_runtime.requests import SamplingSettings, TextToVideoRequest, parse_size
from moviegen_runtime.results import GeneratedVideo, Progress, ProgressCallback
from moviegen_runtime.text import with_fps

if TYPE_CHECKING:
    from moviegen_runtime.pipelines.cast import Cast

UPSAMPLER = "upsampler"
"""Name of the upsampler among a cast's weights, and of its folder."""

# Steps of the linear schedule that a linear-quadratic one stands for (paper section 3.4.2).
_EMULATED_STEPS = 250


@dataclass(frozen=True)
class _Sample:
    """A request on its way: checked, and its prompt read."""

    request: TextToVideoRequest
    settings: SamplingSettings
    contexts: tuple[TextContext, ...]


@torch.inference_mode()
def generate_videos(
    cast: Cast, requests: Sequence[TextToVideoRequest], on_progress: ProgressCallback | None
) -> list[GeneratedVideo]:
    """One video of each request, in their order.

    Requests with equal settings share micro-batches of one fixed size, so that what surrounds a sample never
    changes the shapes that it is computed with. With a size of one nothing surrounds it: its bits depend on
    its own request alone. In larger ones they also depend on its place (decision 0005).

    Raises:
        ValueError: the cast cannot do what is asked; nothing has been sampled then.
    """
    report = on_progress or _ignore
    resolved = [request.resolved(cast.settings.defaults) for request in requests]
    for request in resolved:
        _check(cast, request)
    samples = _read_prompts(cast, resolved, report)
    latents = _sample(cast, samples, report)
    results = []
    for index, (sample, latent) in enumerate(zip(samples, latents, strict=True)):
        report(Progress("decoding", index, len(samples)))
        results.append(_result(cast, sample, _decode(cast, sample, latent)))
    report(Progress("decoding", len(samples), len(samples)))
    return _upsampled(cast, results, report)


def schedule(settings: SamplingSettings) -> Schedule:
    """The schedule that a request names.

    Raises:
        ValueError: a linear-quadratic schedule with more steps than it emulates.
    """
    if settings.schedule == "linear":
        return Linear(settings.steps)
    if settings.schedule == "quadratic":
        return Quadratic(settings.steps)
    if settings.steps > _EMULATED_STEPS:
        raise ValueError(
            f"a linear-quadratic schedule emulates {_EMULATED_STEPS} steps and takes no more, not "
            f"{settings.steps}; use the linear schedule"
        )
    return LinearQuadratic(settings.steps, emulate=_EMULATED_STEPS)


def _ignore(progress: Progress) -> None:
    del progress


def _clip_shape(settings: SamplingSettings) -> VideoShape:
    width, height = parse_size(settings.size)
    return VideoShape(settings.frames, height, width)


def _check(cast: Cast, request: TextToVideoRequest) -> None:
    """Refuse, in terms of frames and pixels, what the models cannot do."""
    cast.settings.check(request)
    settings = request.settings()
    schedule(settings)
    clip, stride, patch = _clip_shape(settings), cast.tae.stride, cast.dit.config.patch
    most = stride.clip(cast.dit.config.max_latent_shape)
    if clip.frames > most.frames or clip.height > most.height or clip.width > most.width:
        raise ValueError(
            f"this model makes up to {most.frames} frames of {most.width}x{most.height} pixels; "
            f"it cannot make {clip.frames} of {settings.size}"
        )
    for name, extent, step in (
        ("width", clip.width, stride.width * patch[2]),
        ("height", clip.height, stride.height * patch[1]),
    ):
        if extent % step:
            raise ValueError(f"{name} must be a multiple of {step} pixels for this model, not {extent}")
    if stride.latent(clip).frames % patch[0]:
        raise ValueError(f"frames must fill {patch[0]} latent frames at a time, not {clip.frames}")
    if request.upscale > 1:
        if cast.upsampler is None:
            raise ValueError(
                f"{cast.model} was loaded without an upsampler, so it cannot upscale; load it with "
                "with_upsampler=True"
            )
        if cast.upsampler.config.factor != request.upscale:
            raise ValueError(
                f"this upsampler makes a video {cast.upsampler.config.factor} times as large, "
                f"not {request.upscale} times"
            )
        check_upsampling(clip, cast.tae, cast.upsampler)


def _read_prompts(
    cast: Cast, requests: Sequence[TextToVideoRequest], report: ProgressCallback
) -> list[_Sample]:
    """Every prompt is read by itself, once: what it stands beside must not change its states by a bit.

    One encoder reads all of them and is freed before the next: together they may not fit. All are asked
    before the first of them is loaded.
    """
    texts = [with_fps(request.prompt, request.settings().fps) for request in requests]
    distinct = list(dict.fromkeys(texts))
    total = len(cast.encoders) * len(distinct)
    known: dict[str, list[TextContext]] = {text: [] for text in distinct}
    for encoder, text in product(cast.encoders, distinct):
        encoder.check(text)
    for number, encoder in enumerate(cast.encoders):
        try:
            for index, text in enumerate(distinct):
                report(Progress("reading the prompt", number * len(distinct) + index, total))
                known[text].append(_padded(encoder.encode([text]), encoder.max_tokens))
        finally:
            encoder.free()
    report(Progress("reading the prompt", total, total))
    return [
        _Sample(request, request.settings(), tuple(known[text]))
        for request, text in zip(requests, texts, strict=True)
    ]


def _padded(context: TextContext, tokens: int) -> TextContext:
    """The same context at one length for all prompts."""
    missing = tokens - context.mask.shape[1]
    return TextContext(
        embeddings=functional.pad(context.embeddings, (0, 0, 0, missing)),
        mask=functional.pad(context.mask, (0, missing)),
        encoder=context.encoder,
    )


def _sample(cast: Cast, samples: Sequence[_Sample], report: ProgressCallback) -> list[Tensor]:
    """Latents (1, C, T, H, W) of all samples, in their order."""
    batches = list(_micro_batches(samples, cast.machine.micro_batch))
    total = sum(samples[batch[0]].settings.steps for batch in batches)
    latents: dict[int, Tensor] = {}
    done = 0
    report(Progress("sampling", 0, total))
    for batch in batches:

        def stepped(steps: int, state: Tensor, before: int = done) -> None:
            del state
            report(Progress("sampling", before + steps, total))

        padding = [batch[-1]] * (cast.machine.micro_batch - len(batch))
        values = _solve(cast, [samples[index] for index in batch + padding], stepped)
        latents |= {index: values[place : place + 1] for place, index in enumerate(batch)}
        done += samples[batch[0]].settings.steps
    return [latents[index] for index in range(len(samples))]


def _micro_batches(samples: Sequence[_Sample], size: int) -> Iterator[list[int]]:
    """Places of samples with equal settings, at most `size` of them at a time."""
    groups: dict[SamplingSettings, list[int]] = {}
    for index, sample in enumerate(samples):
        groups.setdefault(sample.settings, []).append(index)
    for places in groups.values():
        for start in range(0, len(places), size):
            yield places[start : start + size]


def _solve(cast: Cast, batch: Sequence[_Sample], on_step: StepCallback) -> Tensor:
    """Latents (B, C, T, H, W) in float32 of a full micro-batch with equal settings."""
    settings, device = batch[0].settings, cast.machine.device
    dtype = cast.dit.patch_in.weight.dtype
    latent = cast.tae.stride.latent(_clip_shape(settings))
    start = torch.cat([noise(sample.request.seed, cast.tae.latent_channels, latent) for sample in batch])
    contexts = [_joined(parts).to(device, dtype) for parts in zip(*(s.contexts for s in batch), strict=True)]
    conditions = cast.dit.placed(cast.dit.prepare(contexts), latent)
    guided = classifier_free_guidance(
        # A cache remembers one run, so each micro-batch has its own.
        cast.dit if settings.reuse == 1 else partial(cast.dit, cache=BlockCache(settings.reuse)),
        conditions,
        cast.dit.null_conditions(len(batch)),
        settings.guidance,
        settings.guidance_interval,
    )

    def velocity(x: Tensor, t: Tensor) -> Tensor:
        # The state stays float32: a small step added to a half-precision state would round away.
        return guided(x.to(dtype), t).float()

    return integrate(
        velocity, start.to(device), schedule(settings).times(), method=settings.method, on_step=on_step
    )


def _joined(contexts: Sequence[TextContext]) -> TextContext:
    return TextContext(
        embeddings=torch.cat([context.embeddings for context in contexts]),
        mask=torch.cat([context.mask for context in contexts]),
        encoder=contexts[0].encoder,
    )


def _decode(cast: Cast, sample: _Sample, values: Tensor) -> VideoClip:
    """One sample at a time, for the same reason as micro-batches have one size."""
    dtype = cast.dit.patch_in.weight.dtype
    latent = VideoLatent(values.to(dtype), cast.tae.stride, sample.settings.frames, sample.settings.fps)
    return cast.tae.decode(latent).to("cpu", torch.float32)


def _upsampled(
    cast: Cast, videos: Sequence[GeneratedVideo], report: ProgressCallback
) -> list[GeneratedVideo]:
    """The same videos, those that asked for it larger."""
    upsampler, settings = cast.upsampler, Upsampling()
    wanted = [video for video in videos if video.request.upscale > 1]
    if upsampler is None or not wanted:
        return list(videos)
    total = len(wanted) * settings.steps
    report(Progress("upsampling", 0, total))
    finished: list[GeneratedVideo] = []
    done = 0
    for video in videos:
        if video.request.upscale == 1:
            finished.append(video)
            continue

        def stepped(steps: int, state: Tensor, before: int = done) -> None:
            del state
            report(Progress("upsampling", before + steps, total))

        seed = upsampling_seed(video.request.seed)
        large = upsample(
            video.clip.to(cast.machine.device, torch.float32),
            cast.tae,
            upsampler,
            seed=seed,
            settings=settings,
            on_step=stepped,
        )
        done += settings.steps
        told: dict[str, JsonValue] = {
            "factor": upsampler.config.factor,
            "steps": settings.steps,
            "seed": seed,
            "transformer": upsampler.config.model_dump(mode="json"),
        }
        stages = {**video.stages, "upsampling": told}
        finished.append(replace(video, clip=large.to("cpu", torch.float32), stages=stages))
    return finished


def _result(cast: Cast, sample: _Sample, clip: VideoClip) -> GeneratedVideo:
    return GeneratedVideo(
        clip=clip,
        request=sample.request,
        model=cast.model,
        machine=cast.machine,
        weights={
            name: digest
            for name, digest in cast.weights.items()
            if name != UPSAMPLER or sample.request.upscale > 1
        },
        stages=_stages(cast, sample),
    )


def _stages(cast: Cast, sample: _Sample) -> dict[str, dict[str, JsonValue]]:
    """What each stage did, in words and numbers that JSON can hold."""
    settings = sample.settings
    latent = cast.tae.stride.latent(_clip_shape(settings))
    encoders: list[JsonValue] = [
        {"name": encoder.name, "tokens": int(context.lengths[0]), "precision": encoder.precision}
        for encoder, context in zip(cast.encoders, sample.contexts, strict=True)
    ]
    times: list[JsonValue] = list(schedule(settings).times().tolist())
    return {
        "reading the prompt": {"text": with_fps(sample.request.prompt, settings.fps), "encoders": encoders},
        "noise": {
            "seed": sample.request.seed,
            "generator": "torch.Generator on the CPU, one a sample",
            "shape": [cast.tae.latent_channels, latent.frames, latent.height, latent.width],
        },
        "sampling": {
            "method": settings.method,
            "schedule": settings.schedule,
            "times": times,
            "guidance": settings.guidance,
            "guidance_interval": [*settings.guidance_interval],
            "reuse": settings.reuse,
            "transformer": cast.dit.config.model_dump(mode="json"),
        },
        "decoding": {
            "frames": settings.frames,
            "size": settings.size,
            "autoencoder": cast.tae.config.model_dump(mode="json"),
        },
    }
