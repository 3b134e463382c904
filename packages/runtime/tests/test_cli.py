"""The command as somebody uses it: its options, its sentences, its exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from moviegen_runtime.cli import Command, main, parse
from moviegen_runtime.cli.generate import Generate
from moviegen_runtime.requests import ScoreRequest, TextToVideoRequest

OPTIONS_OF_GENERATE = {
    *("--help", "--output", "--from-sidecar", "--model", "--seed", "--num-samples", "--frames", "--size"),
    *("--fps", "--steps", "--guidance", "--schedule", "--method", "--device", "--dtype", "--format"),
    *("--contact-sheet", "--display-scale", "--overwrite", "--attention"),
    *("--rewrite", "--rewrite-model", "--rewrite-key-env", "--embeddings"),
    *("--guidance-interval", "--reuse", "--upscale", "--no-audio"),
}
OPTIONS_OF_SCORE = {
    *("--help", "--output", "--prompt", "--music", "--from-sidecar", "--model", "--seed", "--steps"),
    *("--guidance", "--method", "--segment", "--context", "--candidates", "--loudness", "--plot", "--device"),
    *("--attention", "--dtype", "--overwrite"),
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which says at the end which heavy modules it loaded."""
    code = (
        "import sys\n"
        "from moviegen_runtime.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print([m for m in ('torch', 'av', 'lightning', 'transformers') if m in sys.modules])\n"
    )
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["generate", "--help"],
        ["score", "--help"],
        ["reconstruct", "--help"],
        ["train", "--help"],
        ["data", "--help"],
        ["tae", "inflate", "--help"],
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 0
    assert result.stdout.startswith("usage: moviegen")
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("command", "options"), [("generate", OPTIONS_OF_GENERATE), ("score", OPTIONS_OF_SCORE)]
)
def test_the_options_stay_as_they_are(
    capsys: pytest.CaptureFixture[str], command: str, options: set[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) == options


def test_every_setting_of_a_request_is_an_option() -> None:
    for request, positional, options in (
        (TextToVideoRequest, {"prompt", "rewriting"}, OPTIONS_OF_GENERATE),
        (ScoreRequest, set(), OPTIONS_OF_SCORE),
    ):
        fields = {f"--{name.replace('_', '-')}" for name in set(request.model_fields) - positional}
        assert fields <= options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", "a.mp4", "-o", "b.avi"], "'b.avi' must end in .mp4"),
        (["score", "a.mp4", "-o", "b.mp4", "--loudness", "3"], "loudness should be less than or equal to 0"),
        (["generate", "--from-sidecar", "a.json", "-o", "b.mp4", "--no-audio"], "leave out --no-audio"),
    ],
)
def test_what_needs_no_model_is_refused_without_loading_one(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert result.stdout == "[]\n"


def test_arguments_are_parsed() -> None:
    command = parse(["generate", "a cow", "-o", "cow.mp4", "--seed", "3", "--size", "96x64", "--overwrite"])
    assert isinstance(command, Generate)
    assert (command.prompt, str(command.output), command.seed) == ("a cow", "cow.mp4", 3)
    assert (command.size, command.overwrite, command.steps) == ("96x64", True, None)


@pytest.mark.parametrize(
    "arguments", [[], ["generate"], ["generate", "a", "-o", "a.mp4", "--step", "3"], ["fly"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def _failing(error: BaseException) -> Command:
    class Failing:
        def run(self) -> None:
            raise error

    return Failing()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("steps must be\n  at least 1"), 2, "moviegen: steps must be at least 1"),
        (FileNotFoundError(2, "No such file", "a.csv"), 2, "moviegen: a.csv: No such file"),
        (OSError(28, "No space left on device"), 2, "moviegen: No space left on device"),
        (KeyboardInterrupt(), 130, "moviegen: interrupted"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    monkeypatch.setattr("moviegen_runtime.cli.parse", lambda _: _failing(error))
    with pytest.raises(SystemExit) as caught:
        main([])
    captured = capsys.readouterr()
    assert (caught.value.code, captured.err, captured.out) == (code, line + "\n", "")


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moviegen_runtime.cli.parse", lambda _: _failing(AssertionError("a defect")))
    with pytest.raises(AssertionError, match="a defect"):
        main([])


def test_env_tells_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    main(["env"])
    lines = capsys.readouterr().out
    main(["env", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert {"python", "torch", "moviegen-runtime", "av", "system", "processor", "torch threads"} <= set(facts)
    assert all(value in lines for value in facts.values())
