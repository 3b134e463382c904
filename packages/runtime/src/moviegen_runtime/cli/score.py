"""`moviegen score`: a film gets a sound. Checks all that needs no torch before it imports it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from moviegen_runtime.pipelines.outputs import check_outputs, file_hash, sidecar_path
from moviegen_runtime.pipelines.settings import MINIATURE
from moviegen_runtime.pipelines.sidecar import ScoreSidecar, read_sidecar
from moviegen_runtime.requests import MAX_SEED, MethodName, ScoreRequest
from moviegen_runtime.results import AttentionName, DtypeName, Progress, ScoredFilm
from moviegen_runtime.validation import first_sentence

if TYPE_CHECKING:
    from moviegen_runtime.pipelines.composer import Composer


@dataclass(frozen=True)
class Score:
    """Give a film a soundtrack that fits its picture, a text, or both.

    A sound that the film has is left out. Beside the new film stands a JSON file with every setting, from
    which --from-sidecar makes it again. Nothing is written unless all is.
    """

    film: Annotated[Path, tyro.conf.Positional]
    """A video file; its picture stays as it is where an mp4 can show it."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    """File to write, .mp4."""

    prompt: Annotated[str | None, without("TEXT", "what the picture says")] = None
    """What is heard, e.g. "heavy steps on gravel, wind"."""

    music: Annotated[str | None, without("TEXT", "no music beside a prompt")] = None
    """What the music is like, e.g. "slow, sad piano"."""

    from_sidecar: Annotated[Path | None, without("FILE", "none")] = None
    """Make the sound of this JSON file again; it brings every setting itself."""

    model: Annotated[str | None, without("FOLDER", "miniature")] = None
    """Weights: miniature, or a folder that holds the folders audio/codec and audio/dit."""

    seed: Annotated[int | None, without("N", "0")] = None
    """Of the noise."""

    steps: Annotated[int | None, open_option("N")] = None
    """Steps of the solver."""

    guidance: Annotated[float | None, open_option("X")] = None
    """How strongly text and picture pull; 1 is no guidance."""

    method: Annotated[MethodName | None, open_option("euler|midpoint|heun")] = None
    """The solver."""

    segment: Annotated[float | None, open_option("SECONDS")] = None
    """Sound that is made at once, at most; what is longer is made in parts."""

    context: Annotated[float | None, open_option("SECONDS")] = None
    """Sound of the part before that each part is shown; less than half of --segment."""

    candidates: Annotated[int | None, open_option("N")] = None
    """Draws of each part, from 1 to 64; the one that goes best with the picture is kept."""

    loudness: Annotated[float | None, open_option("LUFS")] = None
    """How loud the whole is, from -70 to 0; it stays softer where peaks would clip."""

    plot: Annotated[Path | None, without("FILE", "none")] = None
    """Draw the new film too, as a picture (.png): frames, wave, spectrogram, and what is heard to begin."""

    device: Annotated[str | None, without("DEVICE", "the first GPU, or else cpu")] = None
    """Where to compute, as torch names it: cpu, cuda, cuda:1, mps."""

    dtype: Annotated[DtypeName | None, without("float32|bfloat16|float16", "float32")] = None
    """Number format of the models."""

    attention: Annotated[
        AttentionName | None, without("auto|sdpa|triton|flash|reference", "flash where it can run, else sdpa")
    ] = None
    """Attention of the transformers: PyTorch's (sdpa), our Triton kernels, flash-attn, or the definition."""

    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace files that are already there."""

    def run(self) -> None:
        """Write the film, and print what its sound is like.

        Raises:
            ValueError: the request, the film, the output or the model cannot be used.
        """
        original = self._sidecar()
        request = original.request if original else self._request()
        self._check_outputs()
        from moviegen_runtime.media.film import open_film

        with open_film(self.film, with_sound=False):  # a look before weights are read
            pass
        if original is not None:
            _check_film(self.film, original)
        from moviegen_runtime.cli.progress import StageBar
        from moviegen_runtime.pipelines.saving import save_scored

        with StageBar() as show:
            show(Progress("loading", 0, 1))
            composer = self._load(original)
            show(Progress("loading", 1, 1))
            scored, sidecar = save_scored(
                composer, request, self.film, self.output, picture=self.plot, on_progress=show
            )
        for path in filter(None, (self.output, self.plot)):
            print(path)
        print(_summary(scored))
        if original is not None and sidecar.sha256 != original.sha256:
            print(
                f"moviegen: {self.output} is not the same file as before: {differences(original, sidecar)}",
                file=sys.stderr,
            )

    def _sidecar(self) -> ScoreSidecar | None:
        """The sidecar to repeat, if one is given, after a look for options that contradict it."""
        if self.from_sidecar is None:
            return None
        check_from_sidecar(self, ("prompt", "music", "seed", *_REQUEST_FIELDS, "dtype"))
        return read_sidecar(self.from_sidecar, ScoreSidecar)

    def _request(self) -> ScoreRequest:
        check_range("--seed", self.seed, 0, MAX_SEED)
        settings = {name: getattr(self, name) for name in _REQUEST_FIELDS}
        try:
            return ScoreRequest(prompt=self.prompt, music=self.music, seed=self.seed or 0, **settings)
        except ValidationError as error:
            raise ValueError(first_sentence(error)) from error

    def _check_outputs(self) -> None:
        if self.output.suffix != ".mp4":
            raise ValueError(f"{self.output.name!r} must end in .mp4")
        if self.plot is not None and self.plot.suffix != ".png":
            raise ValueError(f"the plot must end in .png, not {self.plot.name!r}")
        if self.output.exists() and self.film.exists() and self.output.samefile(self.film):
            raise ValueError(f"{self.output} is the film itself: write the result into another file")
        outputs = [self.output, sidecar_path(self.output), *([self.plot] if self.plot else [])]
        check_outputs(outputs, overwrite=self.overwrite)

    def _load(self, original: ScoreSidecar | None) -> Composer:
        from moviegen_runtime.pipelines.composer import load_composer

        if original is None:
            return load_composer(
                self.model or MINIATURE,
                device=self.device or "auto",
                dtype=self.dtype or "float32",
                attention=self.attention or "auto",
            )
        use_threads(original.machine.threads)
        composer = load_composer(
            self.model or original.model,
            device=self.device or original.machine.device,
            dtype=original.machine.dtype,
            attention=self.attention or original.machine.attention,
        )
        original.check_weights(composer.weights)
        return composer


_REQUEST_FIELDS = ("steps", "guidance", "method", "segment", "context", "candidates", "loudness")


def _check_film(film: Path, original: ScoreSidecar) -> None:
    if file_hash(film) != original.film_sha256:
        raise ValueError(
            f"{film} is not the film that {original.file} was made of, which was called {original.film}; "
            "give that one"
        )


def _summary(scored: ScoredFilm) -> str:
    loudness = scored.loudness
    told = "silence" if loudness.lufs is None else f"{loudness.lufs:.1f} LUFS, peak {loudness.peak:.1f} dB"
    unit = "frame" if scored.frames == 1 else "frames"
    lines = {
        "film": f"{scored.frames} {unit}, {scored.seconds:.2f} s",
        "picture": "copied as it is" if scored.picture_copied else "coded anew",
        "sound": told,
        "took": f"{scored.took:.1f} s",
    }
    return "\n".join(f"{name:<9}{value}" for name, value in lines.items())
