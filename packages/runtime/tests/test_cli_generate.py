"""`moviegen generate` from its arguments to its files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from moviegen_runtime.cli import main
from moviegen_runtime.media.reading import read_clip
from PIL import Image

PROMPT = "a red bus drives to the left"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def generate(tiny_model: Path) -> Generate:
    return Generate(tiny_model)


class Generate:
    """Runs the command with the tiny model; test_cli_generate_sound.py is about sound."""

    def __init__(self, model: Path) -> None:
        self.options = ["--model", str(model), "--no-audio"]

    def __call__(self, *arguments: str) -> None:
        main(["generate", *arguments, *self.options])


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it refuses."""
    capsys.readouterr()  # what commands before it said
    with pytest.raises(SystemExit) as caught:
        main(["generate", *arguments])
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("moviegen: ")
    assert captured.err.count("\n") == 1
    return captured.err


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_a_prompt_becomes_a_clip_and_its_sidecar(
    generate: Generate, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(PROMPT, "-o", "bus.mp4")
    assert names() == ["bus.json", "bus.mp4"]
    clip = read_clip("bus.mp4")
    assert clip.frames.shape == (9, 128, 128, 3)  # four times as large, to be looked at
    assert clip.fps == 8.0
    sidecar = json.loads(Path("bus.json").read_text())
    assert sidecar["request"]["prompt"] == PROMPT
    assert sidecar["request"]["steps"] == 4
    assert sidecar["sha256"] == hashlib.sha256(Path("bus.mp4").read_bytes()).hexdigest()
    assert set(sidecar["weights"]) == {"tae", "dit", "minilm"}
    assert set(sidecar["stages"]) == {"reading the prompt", "noise", "sampling", "decoding"}
    assert {"torch", "av", "moviegen-dit"} <= set(sidecar["packages"])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("bus.mp4\n", "")  # no terminal, no progress


def test_a_sidecar_makes_the_same_file_again(
    generate: Generate, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seed", "5", "--steps", "3", "--schedule", "linear-quadratic", "--display-scale", "2"]
    options += ["--guidance-interval", "0", "0.2", "--reuse", "2"]
    generate(PROMPT, "-o", "bus.mp4", *options)
    main(["generate", "--from-sidecar", "bus.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("bus.mp4").read_bytes()
    first, again = (json.loads(Path(name).read_text()) for name in ("bus.json", "again.json"))
    assert again == first | {"file": "again.mp4"}
    told = first["stages"]["sampling"]
    assert (told["guidance_interval"], told["reuse"]) == ([0.0, 0.2], 2)
    moved = Path("moved")
    shutil.copytree(tiny_model, moved)
    main(["generate", "--from-sidecar", "bus.json", "-o", "moved.mp4", "--model", "moved"])
    assert Path("moved.mp4").read_bytes() == Path("bus.mp4").read_bytes()
    assert capsys.readouterr().err == ""


def test_unknown_words_are_taken_for_phrases_of_the_model(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clip is that of the phrases, and is made again without a look into the phrasebook."""
    book = {"slots": [{"name": "actor", "meanings": [["a cow"], ["a boat"]]}], "words": ["a", "cow", "boat"]}
    shutil.copytree(tiny_model, "model")
    Path("model/phrasebook.json").write_text(json.dumps(book))
    generate = Generate(Path("model"))
    generate("a yacht", "-o", "yacht.mp4")
    assert capsys.readouterr().err == "moviegen: taken for 'a boat'; --rewrite none keeps your words\n"
    generate("a boat", "-o", "boat.mp4")
    assert capsys.readouterr().err == ""
    assert Path("yacht.mp4").read_bytes() == Path("boat.mp4").read_bytes()
    told = json.loads(Path("yacht.json").read_text())["request"]
    assert told["prompt"] == "a boat"
    assert told["rewriting"] == {"original": "a yacht", "by": "phrasebook"}
    assert json.loads(Path("boat.json").read_text())["request"]["rewriting"] is None
    generate("a yacht", "-o", "plain.mp4", "--rewrite", "none")
    assert Path("plain.mp4").read_bytes() != Path("boat.mp4").read_bytes()
    generate("yak " * 31, "-o", "yaks.mp4")
    assert "the prompt stays as it is: the prompt has 31 words" in capsys.readouterr().err
    generate("FPS-8. a boat", "-o", "rated.mp4")
    assert capsys.readouterr().err == ""
    assert Path("rated.mp4").read_bytes() == Path("boat.mp4").read_bytes()
    Path("model/phrasebook.json").unlink()
    main(["generate", "--from-sidecar", "yacht.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("boat.mp4").read_bytes()
    assert capsys.readouterr().err == ""


def test_another_attention_makes_the_same_clip_and_is_written_down(tiny_upsampling_model: Path) -> None:
    upscale = Generate(tiny_upsampling_model)
    for kind in ("sdpa", "reference"):
        upscale(PROMPT, "-o", f"{kind}.png", "--steps", "2", "--upscale", "2", "--attention", kind)
        assert json.loads(Path(f"{kind}.json").read_text())["machine"]["attention"] == kind
    with Image.open("sdpa.png") as one, Image.open("reference.png") as other:
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max() <= 1
    main(["generate", "--from-sidecar", "reference.json", "-o", "again.png"])
    assert Path("again.png").read_bytes() == Path("reference.png").read_bytes()
    assert json.loads(Path("again.json").read_text())["machine"]["attention"] == "reference"
    # As on another device: the file of a machine that could do more is made again by what there is.
    main(["generate", "--from-sidecar", "reference.json", "-o", "here.png", "--attention", "auto"])
    assert json.loads(Path("here.json").read_text())["machine"]["attention"] == "sdpa"
    assert Path("here.png").read_bytes() == Path("sdpa.png").read_bytes()


def test_an_upscaled_clip_is_twice_as_large_and_made_again(
    tiny_upsampling_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upscale = Generate(tiny_upsampling_model)
    upscale(PROMPT, "-o", "bus.mp4", "--steps", "1", "--upscale", "2", "--display-scale", "1")
    assert read_clip("bus.mp4").frames.shape == (9, 64, 64, 3)
    sidecar = json.loads(Path("bus.json").read_text())
    assert sidecar["request"]["upscale"] == 2
    assert set(sidecar["weights"]) == {"tae", "dit", "minilm", "upsampler"}
    main(["generate", "--from-sidecar", "bus.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("bus.mp4").read_bytes()
    assert capsys.readouterr().err == ""
    said = sentence(capsys, "--from-sidecar", "bus.json", "-o", "third.mp4", "--upscale", "2")
    assert "leave out --upscale" in said
    shutil.copytree(tiny_upsampling_model, "other")
    config = Path("other/upsampler/config.json")
    config.write_text(config.read_text() + "\n")
    said = sentence(capsys, "--from-sidecar", "bus.json", "-o", "third.mp4", "--model", "other")
    assert "the weights of upsampler are not those that made bus.mp4" in said


def test_a_picture_is_made_larger_too(tiny_upsampling_model: Path) -> None:
    upscale = Generate(tiny_upsampling_model)
    upscale(PROMPT, "-o", "bus.png", "--steps", "1", "--upscale", "2", "--display-scale", "1")
    with Image.open("bus.png") as picture:
        assert picture.size == (64, 64)


def test_a_sidecar_from_before_there_was_an_upsampler_makes_its_file_again(generate: Generate) -> None:
    generate(PROMPT, "-o", "bus.mp4", "--steps", "1")
    old = json.loads(Path("bus.json").read_text())
    del old["request"]["upscale"], old["machine"]["attention"]
    Path("old.json").write_text(json.dumps(old))
    main(["generate", "--from-sidecar", "old.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("bus.mp4").read_bytes()


@pytest.mark.parametrize("factor", ["1", "3", "2.5"])
def test_clips_are_made_twice_as_large_or_left_alone(capsys: pytest.CaptureFixture[str], factor: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["generate", PROMPT, "-o", "bus.mp4", "--upscale", factor])
    assert caught.value.code == 2
    assert f"invalid choice '{factor}' for argument '--upscale'" in " ".join(capsys.readouterr().err.split())


def test_each_sample_is_what_it_is_alone(generate: Generate) -> None:
    generate(PROMPT, "-o", "bus.gif", "--seed", "4", "--num-samples", "3", "--contact-sheet", "sheet.png")
    assert names() == sorted(
        [f"bus-seed{seed}.{kind}" for seed in (4, 5, 6) for kind in ("gif", "json")] + ["sheet.png"]
    )
    for seed in (4, 6):
        generate(PROMPT, "-o", f"alone{seed}.gif", "--seed", str(seed))
        assert Path(f"alone{seed}.gif").read_bytes() == Path(f"bus-seed{seed}.gif").read_bytes()
    main(["generate", "--from-sidecar", "bus-seed6.json", "-o", "again.gif"])
    assert Path("again.gif").read_bytes() == Path("bus-seed6.gif").read_bytes()
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (8 * 128 + 7 * 2, 3 * 128 + 2 * 2)


def test_one_frame_is_a_picture(generate: Generate) -> None:
    generate(PROMPT, "-o", "bus.png")
    generate(PROMPT, "-o", "video.mp4", "--frames", "1")
    picture = np.asarray(Image.open("bus.png"))
    assert picture.shape == (128, 128, 3)
    difference = np.abs(read_clip("video.mp4").frames[0].astype(int) - picture)
    assert difference.mean() < 3


def test_the_format_option_completes_the_name(generate: Generate) -> None:
    generate(PROMPT, "-o", "bus", "--format", "gif", "--steps", "1")
    assert names() == ["bus.gif", "bus.json"]


def test_existing_files_are_kept_unless_told_otherwise(
    generate: Generate, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bus.json").write_text("mine")
    said = sentence(capsys, PROMPT, "-o", "bus.mp4", *generate.options)
    assert "bus.json (the settings of a clip of that name) is already there" in said
    assert names() == ["bus.json"]
    generate(PROMPT, "-o", "bus.mp4", "--overwrite", "--steps", "1")
    assert json.loads(Path("bus.json").read_text())["request"]["steps"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["", "-o", "a.mp4"], "the prompt is empty"),
        (["-o", "a.mp4"], "give a prompt, or the JSON file"),
        (["a", "-o", "a.avi"], "'a.avi' must end in one of .mp4, .gif, .png"),
        (["a", "-o", "a"], "'a' must end in one of"),
        (["a", "-o", "a.mp4", "--format", "gif"], "a.mp4 does not end in .gif"),
        (["a", "-o", "a.png", "--frames", "3"], "a png holds one frame, not 3"),
        (["a", "-o", "a.gif", "--fps", "60"], "a gif shows at most 50 frames a second, not 60"),
        (["a", "-o", "nowhere/a.mp4"], "there is no folder nowhere to write to"),
        (["a", "-o", "a.mp4", "--size", "big"], "size must be a number of pixels"),
        (["a", "-o", "a.mp4", "--steps", "0"], "steps should be greater than or equal to 1, not 0"),
        (["a", "-o", "a.mp4", "--guidance", "nan"], "guidance should be a finite number, not nan"),
        (["a", "-o", "a.mp4", "--reuse", "0"], "reuse should be greater than or equal to 1, not 0"),
        (["a", "-o", "a.mp4", "--guidance-interval", "0.9", "0.1"], "two rising times, not 0.9 and 0.1"),
        (["--from-sidecar", "a.json", "-o", "b.mp4", "--reuse", "3"], "leave out --reuse"),
        (["a", "-o", "a.mp4", "--num-samples", "0"], "--num-samples must be from 1 to 1000, not 0"),
        (["a", "-o", "a.mp4", "--seed", "-1"], "--seed must be from 0 to"),
        (["yak " * 31, "-o", "a.mp4", "--rewrite", "phrasebook"], "has 31 words, and some that"),
        (["a", "-o", "a.mp4", "--display-scale", "0"], "--display-scale must be from 1 to 64, not 0"),
        (["a", "-o", "a.mp4", "--contact-sheet", "a.jpg"], "the contact sheet must end in .png"),
        (["a", "-o", "a.png", "--contact-sheet", "a.png"], "two outputs would be written to a.png"),
        (["--from-sidecar", "a.json", "-o", "b.mp4", "--steps", "3"], "leave out --steps"),
        (["a", "--from-sidecar", "a.json", "-o", "b.mp4"], "leave out the prompt"),
        (["--from-sidecar", "a.json", "-o", "b.mp4", "--no-audio"], "leave out --no-audio"),
        (["--from-sidecar", "a.json", "-o", "b.mp4"], "cannot read a.json: No such file or directory"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.delattr("moviegen_runtime.pipelines.cast.load")
    assert said in sentence(capsys, *arguments)
    assert names() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--frames", "99"], "up to 24 frames of 48x48 pixels"),
        (["--size", "20"], "width must be a multiple of 16 pixels"),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
        (["--device", "cpu", "--attention", "flash"], "flash-attn needs a CUDA device, and got cpu"),
        (["--upscale", "2"], "has no upsampler, so it cannot upscale: give by --model a folder that"),
        (["--rewrite", "phrasebook"], "/phrasebook.json, so give another --rewrite, or none"),
    ],
)
def test_what_the_model_cannot_do_is_told_in_a_sentence(
    generate: Generate, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in sentence(capsys, PROMPT, "-o", "bus.mp4", *arguments, *generate.options)
    assert names() == []


def test_missing_weights_are_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    said = sentence(capsys, PROMPT, "-o", "bus.mp4", "--model", "nowhere")
    assert "nowhere is not a model folder" in said
    said = sentence(capsys, PROMPT, "-o", "bus.mp4", "--model", "nowhere", "--upscale", "2")
    assert "nowhere is not a model folder" in said


def test_other_weights_than_the_sidecars_are_refused(
    generate: Generate, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(PROMPT, "-o", "bus.mp4", "--steps", "1")
    shutil.copytree(tiny_model, "other")
    config = Path("other/dit/config.json")
    config.write_text(config.read_text() + "\n")
    said = sentence(capsys, "--from-sidecar", "bus.json", "-o", "again.mp4", "--model", "other")
    assert "the weights of dit are not those that made bus.mp4" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "is not a sidecar of this version: format"),
        ({"request": {"prompt": ""}}, "the prompt is empty"),
        ({"machine": {"device": "cpu", "dtype": "int8", "threads": 1, "micro_batch": 1}}, "machine.dtype"),
        ({"surprise": 1}, "surprise is not known here"),
        ({"job": "score"}, "bus.json is of a file of `moviegen score`; that command makes it again"),
    ],
)
def test_a_sidecar_that_is_not_ours_is_refused(
    generate: Generate, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    generate(PROMPT, "-o", "bus.mp4", "--steps", "1")
    sidecar = json.loads(Path("bus.json").read_text())
    Path("bus.json").write_text(json.dumps(sidecar | change))
    assert said in sentence(capsys, "--from-sidecar", "bus.json", "-o", "again.mp4")


def test_a_file_that_comes_out_otherwise_is_told(
    generate: Generate, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(PROMPT, "-o", "bus.mp4", "--steps", "1")
    sidecar = json.loads(Path("bus.json").read_text())
    sidecar["packages"]["torch"] = "1.0"
    Path("bus.json").write_text(json.dumps(sidecar | {"sha256": "0" * 64}))
    main(["generate", "--from-sidecar", "bus.json", "-o", "again.mp4"])
    assert "again.mp4 is not the same file as before: torch 1.0 then, " in capsys.readouterr().err


def test_a_failed_write_leaves_what_was_there(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(PROMPT, "-o", "bus.mp4", "--steps", "1", "--num-samples", "2")
    before = {name: Path(name).read_bytes() for name in names()}

    def full(self: Path, *arguments: object, **options: object) -> int:
        if self.name == "bus-seed1.json":
            raise OSError(28, "No space left on device", str(self))
        return original(self, *arguments, **options)

    original = Path.write_text
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SystemExit) as caught:
        generate(PROMPT, "-o", "bus.mp4", "--steps", "2", "--num-samples", "2", "--overwrite")
    assert caught.value.code == 2
    assert {name: Path(name).read_bytes() for name in names()} == before


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_an_interrupt_stops_soon_and_leaves_nothing_behind(tiny_model: Path) -> None:
    code = (
        # A shell that starts the tests in the background makes all that they start ignore the signal.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import moviegen_runtime.pipelines.text_to_video as pipeline\n"
        "from moviegen_runtime.cli import main\n"
        "integrate = pipeline.integrate\n"
        "def told(*arguments, on_step, **options):\n"
        "    def step(done, state):\n"
        "        print(done, flush=True)\n"
        "        on_step(done, state)\n"
        "    return integrate(*arguments, on_step=step, **options)\n"
        "pipeline.integrate = told\n"
        "main()\n"
    )
    arguments = ["generate", PROMPT, "-o", "bus.mp4", "--steps", "1000", "--num-samples", "40"]
    arguments += ["--no-audio"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--model", str(tiny_model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate()
    assert process.returncode == 130
    assert said == "moviegen: interrupted\n"
    assert names() == []
    assert printed.count("\n") < 10_000  # of 40,000 steps
