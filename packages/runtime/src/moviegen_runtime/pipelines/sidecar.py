"""The JSON file beside every result: all that is needed to make the same file again. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from moviegen_runtime.requests import ScoreRequest, TextToVideoRequest
from moviegen_runtime.results import GeneratedVideo, Machine, ScoredFilm
from moviegen_runtime.validation import first_sentence, read_json
from moviegen_runtime.versions import package_versions


def _first_draw(request: object) -> object:
    """A request that was kept before there was a choice of draws; a cast may draw more by now."""
    return {"candidates": 1} | request if isinstance(request, dict) else request


_KeptScoreRequest = Annotated[ScoreRequest, BeforeValidator(_first_draw)]


class Writing(BaseModel):
    """How the clip was written.

    Args:
        format: the file's suffix without its dot.
        display_scale: side of the square that every pixel became.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mp4", "gif", "png"]
    display_scale: int = Field(ge=1, le=64)


class _Made(BaseModel):
    """What is kept of every result besides what it shows.

    Args:
        file: name of the file.
        sha256: of the file.
        model: what the cast was loaded from.
        weights: SHA-256 of the weights of each model that was at work, by its name.
        stages: settings of every stage, for the reader; the request and the weights imply them.
        packages: versions of what was at work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    file: str
    sha256: str
    model: str
    machine: Machine
    weights: dict[str, str]
    stages: dict[str, dict[str, JsonValue]]
    packages: dict[str, str]

    def check_weights(self, present: dict[str, str]) -> None:
        """Refuse a cast with other weights than those that made the file.

        Raises:
            ValueError: it says of which models the weights differ.
        """
        different = [
            name for name in {**self.weights, **present} if self.weights.get(name) != present.get(name)
        ]
        if different:
            raise ValueError(
                f"the weights of {' and '.join(different)} are not those that made {self.file}; "
                "give the right ones by --model"
            )


class Sidecar(_Made):
    """What is kept of a clip besides its pixels.

    Args:
        request: with every field filled in.
        sound: the request of its sound, likewise; None: it has none.
    """

    job: Literal["text-to-video"] = "text-to-video"
    request: TextToVideoRequest
    sound: _KeptScoreRequest | None = None
    writing: Writing


class ScoreSidecar(_Made):
    """What is kept of a film that got a sound.

    Args:
        request: with every field filled in.
        film: name of the film that it was made of.
        film_sha256: of that film.
    """

    job: Literal["score"] = "score"
    request: _KeptScoreRequest
    film: str
    film_sha256: str


SidecarT = TypeVar("SidecarT", Sidecar, ScoreSidecar)

_COMMANDS = {"text-to-video": "moviegen generate", "score": "moviegen score"}
"""What makes each job's result again."""


def describe(
    video: GeneratedVideo, file: str, sha256: str, writing: Writing, scored: ScoredFilm | None
) -> Sidecar:
    """The sidecar of a clip that was written, and of its sound if it has one."""
    weights, stages = dict(video.weights), {name: dict(stage) for name, stage in video.stages.items()}
    if scored is not None:
        weights |= scored.weights
        stages |= {name: dict(stage) for name, stage in scored.stages.items()}
    return Sidecar(
        file=file,
        sha256=sha256,
        request=video.request,
        sound=None if scored is None else scored.request,
        model=video.model,
        machine=video.machine,
        writing=writing,
        weights=weights,
        stages=stages,
        packages=package_versions(),
    )


def describe_scored(scored: ScoredFilm, file: str, sha256: str, film: str, film_sha256: str) -> ScoreSidecar:
    """The sidecar of a film that got a sound."""
    return ScoreSidecar(
        file=file,
        sha256=sha256,
        request=scored.request,
        film=film,
        film_sha256=film_sha256,
        model=scored.model,
        machine=scored.machine,
        weights=dict(scored.weights),
        stages={name: dict(stage) for name, stage in scored.stages.items()},
        packages=package_versions(),
    )


def read_sidecar(path: Path, kind: type[SidecarT]) -> SidecarT:
    """Read the sidecar of one kind of result.

    Raises:
        ValueError: it cannot be read, or is no sidecar of this kind and version.
    """
    kept = read_json(path)
    job, wanted = kept.get("job") if isinstance(kept, dict) else None, kind.model_fields["job"].default
    if isinstance(job, str) and job != wanted and job in _COMMANDS:
        raise ValueError(f"{path} is of a file of `{_COMMANDS[job]}`; that command makes it again")
    try:
        return kind.model_validate(kept)
    except ValidationError as error:
        raise ValueError(f"{path} is not a sidecar of this version: {first_sentence(error)}") from error
