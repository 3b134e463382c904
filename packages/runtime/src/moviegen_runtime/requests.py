"""What may be asked of a cast: frozen values, checked when they are built. No torch here.

A field that is None stands for the model's own default; the request of a result has every field filled in.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from moviegen_runtime.text.prompt import check_characters, check_text, clean_prompt

ScheduleName = Literal["linear", "linear-quadratic", "quadratic"]
MethodName = Literal["euler", "midpoint", "heun"]
MAX_SEED = 2**63 - 1
_SIZE = re.compile(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height in pixels of "64" (a square) or "96x64" (width first, as in "1024x576").

    Raises:
        ValueError: it is neither.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"size must be a number of pixels, or width x height as in 96x64, not {text!r}")
    width, height = match.groups()
    return int(width), int(height or width)


def _canonical_size(text: str) -> str:
    width, height = parse_size(text)
    return f"{width}x{height}"


Size = Annotated[str, AfterValidator(_canonical_size)]
Frames = Annotated[int, Field(ge=1, le=4096)]
Fps = Annotated[float, Field(gt=0, le=240)]
Steps = Annotated[int, Field(ge=1, le=1000)]
Guidance = Annotated[float, Field(ge=0, le=100)]
_Time = Annotated[float, Field(ge=0, le=1)]


def _rising(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] >= interval[1]:
        raise ValueError(
            f"the interval of guidance must be two rising times, not {interval[0]:g} and {interval[1]:g}"
        )
    return interval


Interval = Annotated[tuple[_Time, _Time], AfterValidator(_rising)]
Reuse = Annotated[int, Field(ge=1, le=1000)]
Upscale = Literal[1, 2]


class SamplingSettings(BaseModel):
    """How a clip is sampled, with nothing left open.

    Args:
        frames: length of the clip; 1 is a picture.
        size: "WIDTHxHEIGHT" in pixels; a single number is a square.
        fps: frames a second, which the prompt says to the model (paper section 3.1.4) and the file plays at.
        steps: steps of the solver.
        guidance: scale of classifier-free guidance; 1 is none; the paper uses 7.5.
        schedule: where the solver stops (paper section 3.4.2).
        method: the solver; the paper's is Euler.
        guidance_interval: first and last time that are guided, of 0, noise, to 1, the clip.
        reuse: the middle blocks of the transformer run at every so many evaluations; 1 is at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frames: Frames
    size: Size
    fps: Fps
    steps: Steps
    guidance: Guidance
    schedule: ScheduleName
    method: MethodName
    guidance_interval: Interval = (0.0, 1.0)
    reuse: Reuse = 1


class Rewriting(BaseModel):
    """Where a prompt comes from that was given another wording.

    Args:
        original: the prompt before.
        by: what rewrote it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    original: str
    by: str


class TextToVideoRequest(BaseModel):
    """One clip from one prompt.

    Args:
        prompt: what the clip shows; white space around it is dropped.
        seed: of the noise that the clip grows from.
        rewriting: what the prompt was rewritten from; None: it is as it was given.
        upscale: how many times as high and wide the clip becomes at the end, by the spatial upsampler; 1: it
            stays.

    The other fields are those of `SamplingSettings`; None is the model's own default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt: Annotated[str, AfterValidator(clean_prompt)]
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    rewriting: Rewriting | None = None
    upscale: Upscale = 1
    frames: Frames | None = None
    size: Size | None = None
    fps: Fps | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    schedule: ScheduleName | None = None
    method: MethodName | None = None
    guidance_interval: Interval | None = None
    reuse: Reuse | None = None

    def resolved(self, defaults: SamplingSettings) -> TextToVideoRequest:
        """The same request with every field that is None taken from `defaults`."""
        given = self.model_dump(exclude_none=True)
        return TextToVideoRequest.model_validate(defaults.model_dump() | given)

    def settings(self) -> SamplingSettings:
        """How to sample, of a request that is resolved.

        Raises:
            ValueError: a field is None.
        """
        ours = self.model_dump(exclude={"prompt", "seed", "rewriting", "upscale"})
        return SamplingSettings.model_validate(ours)


def _described(text: str) -> str:
    cleaned = text.strip()
    if not cleaned:
        raise ValueError("a text about the sound is empty; say in a few words what is heard, or leave it out")
    check_text("a text about the sound", cleaned)
    check_characters("a text about the sound", cleaned)
    return cleaned


Description = Annotated[str, AfterValidator(_described)]
Segment = Annotated[float, Field(gt=0, le=600)]
SegmentContext = Annotated[float, Field(ge=0, le=300)]
Candidates = Annotated[int, Field(ge=1, le=64)]
Lufs = Annotated[float, Field(ge=-70, le=0)]


def _check_segments(segment: float, context: float) -> None:
    if segment <= 2 * context:
        raise ValueError(f"a segment of {segment:g} s must be longer than twice its context of {context:g} s")


class ScoreSettings(BaseModel):
    """How a soundtrack is made, with nothing left open; the defaults are the paper's where it has some,
    except that of candidates.

    Args:
        steps: equal steps of the solver; 64 in the paper.
        guidance: scale of classifier-free guidance; 1 is none; 3 in the paper.
        method: the solver; midpoint in the paper.
        segment: seconds of sound that the model sees at once, at most.
        context: seconds of sound that is there already and that the next segment is shown.
        candidates: draws of each segment, of which the one that goes best with the picture is kept; 8
            in the paper, which ranks by other scores.
        loudness: of the whole in LUFS; ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: Steps = 64
    guidance: Guidance = 3.0
    method: MethodName = "midpoint"
    segment: Segment = 25.0
    context: SegmentContext = 5.0
    candidates: Candidates = 1
    loudness: Lufs = -16.0

    @model_validator(mode="after")
    def _segments_advance(self) -> Self:
        _check_segments(self.segment, self.context)
        return self


class ScoreRequest(BaseModel):
    """One soundtrack for a film.

    Args:
        prompt: what is heard; None: what the picture says. White space around it is dropped.
        music: what the music is like; None: there is none.
        seed: of the noise that the sound grows from.

    The other fields are those of `ScoreSettings`; None is the model's own default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt: Description | None = None
    music: Description | None = None
    seed: int = Field(default=0, ge=0, le=MAX_SEED)
    steps: Steps | None = None
    guidance: Guidance | None = None
    method: MethodName | None = None
    segment: Segment | None = None
    context: SegmentContext | None = None
    candidates: Candidates | None = None
    loudness: Lufs | None = None

    @model_validator(mode="after")
    def _segments_advance(self) -> Self:
        if self.segment is not None and self.context is not None:
            _check_segments(self.segment, self.context)
        return self

    def resolved(self, defaults: ScoreSettings) -> ScoreRequest:
        """The same request with every setting that is None taken from `defaults`.

        Raises:
            ValueError: segments are too short for their context.
        """
        request = ScoreRequest.model_validate(defaults.model_dump() | self.model_dump(exclude_none=True))
        request.settings()
        return request

    def settings(self) -> ScoreSettings:
        """How to make the sound, of a request that is resolved.

        Raises:
            ValueError: a setting is None, or segments are too short for their context.
        """
        return ScoreSettings.model_validate(self.model_dump(exclude={"prompt", "music", "seed"}))
