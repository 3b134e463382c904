"""`moviegen generate`: a prompt becomes a video. Checks all that needs no torch before it imports it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import ValidationError

from moviegen_runtime.cli.options import (
    check_from_sidecar,
    check_range,
    differences,
    open_option,
    use_threads,
    without,
)
from moviegen_runtime.media.formats import check_format
from moviegen_runtime.pipelines.outputs import check_outputs, sample_paths, sidecar_path
from moviegen_runtime.pipelines.settings import MINIATURE, PHRASEBOOK_FILE, cast_phrasebook
from moviegen_runtime.pipelines.sidecar import Sidecar, read_sidecar
from moviegen_runtime.requests import MAX_SEED, MethodName, ScheduleName, ScoreRequest, TextToVideoRequest
from moviegen_runtime.results import AttentionName, DtypeName, GeneratedVideo, Progress, ProgressCallback
from moviegen_runtime.text.phrasebook import PhrasebookRewriter
from moviegen_runtime.validation import first_sentence

if TYPE_CHECKING:
    from moviegen_runtime.pipelines.cast import Cast
    from moviegen_runtime.text.rewriting import EndpointRewriter, PromptRewriter

MAX_SAMPLES = 1000
MAX_DISPLAY_SCALE = 64


@dataclass(frozen=True)
class Generate:
    """Make a video, or a picture, from a prompt; an mp4 gets a soundtrack.

    Beside each clip stands a JSON file with every setting, from which --from-sidecar makes the clip again.
    """

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """File to write: .mp4, .gif, or .png for 1 frame; several samples get -seed0, -seed1, ... in its name."""

    prompt: Annotated[str | None, tyro.conf.Positional, without("PROMPT", "none")] = None
    """What the video shows; left out only with --from-sidecar."""

    from_sidecar: Annotated[Path | None, without("FILE", "none")] = None
    """Make the clip of this JSON file again; it brings every setting itself."""

    model: Annotated[str | None, without("FOLDER", "miniature")] = None
    """Weights: miniature, or a folder that holds the folders tae and dit, for sound the folder audio, and for
    --upscale the folder upsampler."""

    rewrite: Annotated[
        str | None, without("none|phrasebook|rules|URL", "phrasebook, where the model has one, else none")
    ] = None
    """Give the prompt another wording first: in phrases that the model knows, if it has words that the model
    never read; by rules; or by an OpenAI-compatible endpoint at URL."""

    rewrite_model: Annotated[str | None, without("NAME", "none")] = None
    """The language model at the endpoint."""

    rewrite_key_env: Annotated[str | None, without("NAME", "none")] = None
    """Environment variable that holds the endpoint's key."""

    seed: Annotated[int | None, without("N", "0")] = None
    """Of the noise; sample i has this seed + i."""

    num_samples: Annotated[int | None, without("N", "1")] = None
    """How many clips of the prompt to make."""

    frames: Annotated[int | None, open_option("N")] = None
    """Length in frames; 1 makes a picture."""

    size: Annotated[str | None, open_option("SIZE")] = None
    """Pixels: one number for a square, or WIDTHxHEIGHT."""

    fps: Annotated[float | None, open_option("N")] = None
    """Frames a second, which the model is told too."""

    steps: Annotated[int | None, open_option("N")] = None
    """Steps of the solver."""

    guidance: Annotated[float | None, open_option("X")] = None
    """How strongly the prompt pulls; 1 is no guidance."""

    schedule: Annotated[ScheduleName | None, open_option("linear|linear-quadratic|quadratic")] = None
    """Where the solver stops."""

    method: Annotated[MethodName | None, open_option("euler|midpoint|heun")] = None
    """The solver."""

    guidance_interval: Annotated[tuple[float, float] | None, open_option("FROM TO")] = None
    """Guide only between these times, of 0 (noise) to 1 (clip); outside, a step costs half. 0 1 is all."""

    reuse: Annotated[int | None, open_option("N")] = None
    """Run the middle of the transformer at every Nth evaluation only; 1 is at every one."""

    upscale: Annotated[Literal[2] | None, without("2", "as large as it is made")] = None
    """Make the clip twice as high and wide at the end, by the model's upsampler."""

    device: Annotated[str | None, without("DEVICE", "the first GPU, or else cpu")] = None
    """Where to compute, as torch names it: cpu, cuda, cuda:1, mps."""

    dtype: Annotated[DtypeName | None, without("float32|bfloat16|float16", "float32")] = None
    """Number format of the models."""

    attention: Annotated[
        AttentionName | None, without("auto|sdpa|triton|flash|reference", "flash where it can run, else sdpa")
    ] = None
    """Attention of the transformers: PyTorch's (sdpa), our Triton kernels, flash-attn, or the definition."""

    embeddings: Annotated[Path | None, without("FOLDER", "none")] = None
    """Keep what large text encoders have read in this folder, so that they read a prompt once."""

    format: Annotated[Literal["mp4", "gif", "png"] | None, without("mp4|gif|png", "by FILE's name")] = None
    """Format of the clips; FILE need not end in it then."""

    contact_sheet: Annotated[Path | None, without("FILE", "none")] = None
    """Write a picture (.png) of the frames of all samples too."""

    display_scale: Annotated[int | None, without("N", "4 under 128 pixels, else 1")] = None
    """Write every pixel as a square of so many pixels, so that small clips can be looked at."""

    no_audio: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Leave the soundtrack out."""

    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace files that are already there."""

    def run(self) -> None:
        """Make the clips, and write all of them or none.

        Raises:
            ValueError: the request, the output or the model cannot be used.
        """
        original = self._sidecar()
        requests = [original.request] if original else self._requests()
        paths = sample_paths(self._named_output(original), requests[0].seed, len(requests))
        self._check_outputs(paths, requests[0])
        requests = self._reworded(requests)
        from moviegen_runtime.cli.progress import StageBar

        with StageBar() as show:
            show(Progress("loading", 0, 1))
            cast = self._load(original, paths[0])
            show(Progress("loading", 1, 1))
            settings = requests[0].resolved(cast.settings.defaults).settings()
            check_format(paths[0], settings.frames, settings.fps)
            sounds = self._sounds(cast, requests, original, audible=settings.frames > 1)
            videos = cast.generate(requests, on_progress=show)
            sidecars = self._write(cast, list(zip(videos, paths, strict=True)), sounds, original, show)
        for path in [*paths, *([self.contact_sheet] if self.contact_sheet else [])]:
            print(path)
        if original is not None and sidecars[0].sha256 != original.sha256:
            print(
                f"moviegen: {paths[0]} is not the same file as before: {differences(original, sidecars[0])}",
                file=sys.stderr,
            )

    def _sounds(
        self, cast: Cast, requests: list[TextToVideoRequest], original: Sidecar | None, *, audible: bool
    ) -> list[ScoreRequest | None]:
        """What is asked of the sound of each clip; all are looked at before a clip is made."""
        if original is not None:
            return [original.sound]
        if cast.composer is None or not audible:
            return [None] * len(requests)
        # The prompt names who makes the sounds, and where; the picture says when.
        sounds = [ScoreRequest(prompt=request.prompt, seed=request.seed) for request in requests]
        try:
            cast.composer.check(sounds[0])
        except ValueError as error:
            raise ValueError(f"no sound can be made of this: {error}, or add --no-audio") from error
        return [*sounds]

    def _write(
        self,
        cast: Cast,
        videos: list[tuple[GeneratedVideo, Path]],
        sounds: list[ScoreRequest | None],
        original: Sidecar | None,
        show: ProgressCallback,
    ) -> list[Sidecar]:
        from moviegen_runtime.pipelines.saving import save_all

        show(Progress("writing", 0, 1))
        sidecars = save_all(
            videos,
            scorings=[
                None if sound is None else partial(cast.score, sound, on_progress=show) for sound in sounds
            ],
            display_scale=original.writing.display_scale if original else self.display_scale,
            contact_sheet_path=self.contact_sheet,
        )
        show(Progress("writing", 1, 1))
        return sidecars

    def _sidecar(self) -> Sidecar | None:
        """The sidecar to repeat, if one is given, after a look for options that contradict it."""
        if self.from_sidecar is None:
            return None
        check_from_sidecar(self, _BROUGHT_BY_SIDECAR)
        return read_sidecar(self.from_sidecar, Sidecar)

    def _requests(self) -> list[TextToVideoRequest]:
        """One request a sample."""
        if self.prompt is None:
            raise ValueError("give a prompt, or the JSON file of an earlier clip by --from-sidecar")
        count, first = self.num_samples or 1, self.seed or 0
        check_range("--num-samples", self.num_samples, 1, MAX_SAMPLES)
        check_range("--seed", self.seed, 0, MAX_SEED - count + 1)
        settings = {name: getattr(self, name) for name in _REQUEST_FIELDS}
        if self._suffix() == ".png" and settings["frames"] is None:
            settings["frames"] = 1
        try:
            return [
                TextToVideoRequest(prompt=self.prompt, seed=seed, upscale=self.upscale or 1, **settings)
                for seed in range(first, first + count)
            ]
        except ValidationError as error:
            raise ValueError(first_sentence(error)) from error

    def _reworded(self, requests: list[TextToVideoRequest]) -> list[TextToVideoRequest]:
        """The same requests with their one prompt rewritten, once; those of a sidecar are left alone."""
        rewriter = self._rewriter()
        if rewriter is None:
            return requests
        from moviegen_runtime.text.rewriting import rewritten

        try:
            first = rewritten(requests[0], rewriter)
        except ValueError as error:
            if self.rewrite is not None:
                raise
            print(f"moviegen: the prompt stays as it is: {error}", file=sys.stderr)
            return requests
        if isinstance(rewriter, PhrasebookRewriter):
            if first.prompt == requests[0].prompt:
                return requests
            print(f"moviegen: taken for {first.prompt!r}; --rewrite none keeps your words", file=sys.stderr)
        told = {"prompt": first.prompt, "rewriting": first.rewriting}
        return [request.model_copy(update=told) for request in requests]

    def _rewriter(self) -> PromptRewriter | None:
        """What --rewrite asks for; without it the model's phrasebook, if it has one."""
        kind = self.rewrite
        if kind is not None and "://" in kind:
            return self._endpoint(kind)
        if kind not in (None, "none", "rules", PhrasebookRewriter.name):
            raise ValueError(f"--rewrite must be none, phrasebook, rules or a URL, not {kind!r}")
        if self.rewrite_model is not None or self.rewrite_key_env is not None:
            raise ValueError("--rewrite-model and --rewrite-key-env belong to --rewrite URL")
        if kind == "rules":
            from moviegen_runtime.text.rewriting import RuleRewriter

            return RuleRewriter()
        if kind == "none" or self.from_sidecar is not None:
            return None
        model = self.model or MINIATURE
        book = cast_phrasebook(model)
        if book is None and kind is not None:
            raise ValueError(f"there is no {model}/{PHRASEBOOK_FILE}, so give another --rewrite, or none")
        return None if book is None else PhrasebookRewriter(book)

    def _endpoint(self, url: str) -> EndpointRewriter:
        from moviegen_runtime.text.rewriting import EndpointRewriter

        key = None
        if self.rewrite_key_env is not None:
            key = os.environ.get(self.rewrite_key_env)
            if not key:
                raise ValueError(f"the environment variable {self.rewrite_key_env} is not set to a key")
        if self.rewrite_model is None:
            raise ValueError("an endpoint needs the name of its model: give --rewrite-model")
        return EndpointRewriter(url, self.rewrite_model, key)

    def _suffix(self) -> str:
        """Of the clips' files: what --format says, or else the output's own."""
        return self.output.suffix if self.format is None else f".{self.format}"

    def _named_output(self, original: Sidecar | None) -> Path:
        suffix = self._suffix()
        output = self.output if self.output.suffix else self.output.with_suffix(suffix)
        if output.suffix != suffix:
            raise ValueError(f"{output.name} does not end in {suffix}; leave out --format or rename it")
        if original is not None and suffix != f".{original.writing.format}":
            raise ValueError(f"the clip to make again is a {original.writing.format}; end the output in that")
        return output

    def _check_outputs(self, paths: list[Path], request: TextToVideoRequest) -> None:
        check_range("--display-scale", self.display_scale, 1, MAX_DISPLAY_SCALE)
        check_format(paths[0], request.frames or 1, request.fps or 1.0)
        outputs = [*paths, *(sidecar_path(path) for path in paths)]
        if self.contact_sheet is not None:
            if self.contact_sheet.suffix != ".png":
                raise ValueError(f"the contact sheet must end in .png, not {self.contact_sheet.name!r}")
            outputs.append(self.contact_sheet)
        check_outputs(outputs, overwrite=self.overwrite)

    def _load(self, original: Sidecar | None, path: Path) -> Cast:
        from moviegen_runtime.pipelines.cast import load

        if original is None:
            wanted = path.suffix == ".mp4" and not self.no_audio
            audible = wanted and self.frames != 1
            if wanted and not audible:
                print("moviegen: a single frame has no soundtrack", file=sys.stderr)
            cast = load(
                self.model or MINIATURE,
                device=self.device or "auto",
                dtype=self.dtype or "float32",
                attention=self.attention or "auto",
                embeddings=self.embeddings,
                with_sound=audible,
                with_upsampler=self.upscale is not None,
            )
            if audible and cast.composer is None:
                print(
                    f"moviegen: {cast.model} has no models of sound (audio/codec and audio/dit), so there is "
                    "no soundtrack",
                    file=sys.stderr,
                )
            return cast
        use_threads(original.machine.threads)
        machine = original.machine
        cast = load(
            self.model or original.model,
            device=self.device or machine.device,
            dtype=machine.dtype,
            attention=self.attention or machine.attention,
            micro_batch=machine.micro_batch,
            embeddings=self.embeddings,
            with_sound=original.sound is not None,
            with_upsampler=original.request.upscale > 1,
        )
        heard = {} if cast.composer is None else cast.composer.weights
        original.check_weights(cast.weights | heard)
        return cast


_REQUEST_FIELDS = (
    *("frames", "size", "fps", "steps", "guidance", "schedule", "method"),
    *("guidance_interval", "reuse"),
)
_REWRITING = ("rewrite", "rewrite_model", "rewrite_key_env")
_BROUGHT_BY_SIDECAR = (
    "prompt",
    *_REWRITING,
    "seed",
    "num_samples",
    *_REQUEST_FIELDS,
    "upscale",
    "dtype",
    "display_scale",
    "no_audio",
)
