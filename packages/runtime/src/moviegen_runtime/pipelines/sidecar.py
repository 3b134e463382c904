"""The JSON file beside every clip: all that is needed to make the same clip again. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from moviegen_runtime.requests import TextToVideoRequest
from moviegen_runtime.results import GeneratedVideo, Machine
from moviegen_runtime.validation import first_sentence, read_json
from moviegen_runtime.versions import package_versions


class Writing(BaseModel):
    """How the clip was written.

    Args:
        format: the file's suffix without its dot.
        display_scale: side of the square that every pixel became.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mp4", "gif", "png"]
    display_scale: int = Field(ge=1, le=64)


class Sidecar(BaseModel):
    """What is kept of a result besides its pixels.

    Args:
        file: name of the clip's file.
        sha256: of the clip's file.
        request: with every field filled in.
        model: what the cast was loaded from.
        weights: SHA-256 of the weights of each model by its name.
        stages: settings of every stage, for the reader; the request and the weights imply them.
        packages: versions of what was at work.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    job: Literal["text-to-video"] = "text-to-video"
    file: str
    sha256: str
    request: TextToVideoRequest
    model: str
    machine: Machine
    writing: Writing
    weights: dict[str, str]
    stages: dict[str, dict[str, JsonValue]]
    packages: dict[str, str]

    def check_weights(self, present: dict[str, str]) -> None:
        """Refuse a cast with other weights than those that made the clip.

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


def describe(video: GeneratedVideo, file: str, sha256: str, writing: Writing) -> Sidecar:
    """The sidecar of a clip that was written."""
    return Sidecar(
        file=file,
        sha256=sha256,
        request=video.request,
        model=video.model,
        machine=video.machine,
        writing=writing,
        weights=dict(video.weights),
        stages={name: dict(stage) for name, stage in video.stages.items()},
        packages=package_versions(),
    )


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar.

    Raises:
        ValueError: it cannot be read, or is no sidecar of this version.
    """
    try:
        return Sidecar.model_validate(read_json(path))
    except ValidationError as error:
        raise ValueError(f"{path} is not a sidecar of this version: {first_sentence(error)}") from error
