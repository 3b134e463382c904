"""Requests are values that are whole, or one clear sentence."""

from __future__ import annotations

import subprocess
import sys

import moviegen_runtime
import pytest
from moviegen_runtime import TextToVideoRequest
from moviegen_runtime.requests import SamplingSettings, parse_size
from moviegen_runtime.validation import first_sentence
from pydantic import ValidationError

DEFAULTS = SamplingSettings(
    frames=16, size="64", fps=8, steps=30, guidance=4, schedule="linear", method="euler"
)


def test_requests_and_sidecars_need_no_torch() -> None:
    code = (
        "import sys, moviegen_runtime;"
        "import moviegen_runtime.pipelines.sidecar, moviegen_runtime.pipelines.outputs;"
        "moviegen_runtime.TextToVideoRequest(prompt='a cow');"
        "sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_public_name_is_there() -> None:
    for name in moviegen_runtime.__all__:
        assert getattr(moviegen_runtime, name).__name__ == name
    assert dir(moviegen_runtime) == sorted(moviegen_runtime.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = moviegen_runtime.lode


@pytest.mark.parametrize(("text", "size"), [("64", (64, 64)), ("96x64", (96, 64)), ("1024x576", (1024, 576))])
def test_sizes_are_read_width_first(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size
    assert TextToVideoRequest(prompt="a cow", size=text).size == f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("text", ["", "0", "64x", "x64", "64x0", "-64", "64X64", "sixty", "6 4", "999999"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size must be a number of pixels, or width x height"):
        parse_size(text)


def test_given_fields_win_over_defaults_and_a_resolved_request_stays() -> None:
    request = TextToVideoRequest(prompt=" a cow ", seed=3, guidance=0, frames=1)
    resolved = request.resolved(DEFAULTS)
    assert resolved.settings() == DEFAULTS.model_copy(update={"guidance": 0.0, "frames": 1})
    assert (resolved.prompt, resolved.seed) == ("a cow", 3)
    assert resolved.resolved(DEFAULTS.model_copy(update={"steps": 99})) == resolved


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"prompt": " "}, "the prompt is empty; say in a few words what the video shows"),
        ({"prompt": "a red \udcff bus"}, "the prompt must be text in UTF-8, and its character 6 is not"),
        ({"prompt": "a" * 4001}, "the prompt must have at most 4000 characters, not 4001"),
        (
            {"prompt": "a", "size": "big"},
            "size must be a number of pixels, or width x height as in 96x64, not 'big'",
        ),
        ({"prompt": "a", "steps": 0}, "steps should be greater than or equal to 1, not 0"),
        ({"prompt": "a", "fps": float("nan")}, "fps should be a finite number, not nan"),
        ({"prompt": "a", "seed": -1}, "seed should be greater than or equal to 0, not -1"),
        ({"prompt": "a", "colour": 1}, "colour is not known here; leave it out"),
        ({"seed": 1}, "prompt is missing"),
    ],
)
def test_a_bad_request_is_one_sentence(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TextToVideoRequest.model_validate(fields)
    assert first_sentence(caught.value) == sentence
