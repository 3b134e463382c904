"""`moviegen generate` gives its clips a soundtrack, unless it is told not to or cannot."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import av
import pytest
from moviegen_runtime import ScoreRequest, TextToVideoRequest, load, save
from moviegen_runtime.cli import main
from moviegen_runtime.media.reading import read_clip

PROMPT = "a red bus drives to the left"
SECONDS = 9 / 8
RATE = 48_000


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def packets(path: str) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def samples(path: str) -> int | None:
    """How many samples are heard; None: there is no sound."""
    with av.open(path) as container:
        if not container.streams.audio:
            return None
        assert container.streams.audio[0].rate == RATE
        return sum(frame.samples for frame in container.decode(audio=0))


def test_an_mp4_has_a_sound_of_its_length_and_the_same_pictures_as_without(
    tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(tiny_sound_model)]
    main(["generate", PROMPT, "-o", "bus.mp4", *model])
    main(["generate", PROMPT, "-o", "silent.mp4", "--no-audio", *model])
    heard = samples("bus.mp4")
    assert heard is not None
    assert abs(heard - SECONDS * RATE) < 1024
    assert samples("silent.mp4") is None
    assert packets("bus.mp4") == packets("silent.mp4")
    told, silent = (json.loads(Path(name).read_text()) for name in ("bus.json", "silent.json"))
    assert silent["sound"] is None
    assert told["sound"]["prompt"] == PROMPT
    assert (told["sound"]["steps"], told["sound"]["seed"]) == (2, 0)
    assert set(told["weights"]) == {"tae", "dit", "minilm", "audio-codec", "audio-dit"}
    assert set(silent["weights"]) == {"tae", "dit", "minilm"}
    assert set(told["stages"]) - set(silent["stages"]) == {"watching", "composing", "levelling"}
    main(["score", "silent.mp4", "-o", "scored.mp4", "--prompt", PROMPT, *model])
    assert Path("scored.mp4").read_bytes() == Path("bus.mp4").read_bytes()
    assert capsys.readouterr().err == ""


def test_a_sidecar_makes_the_same_file_again_with_its_sound_or_without(
    tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, options in (("bus", []), ("silent", ["--no-audio"])):
        arguments = ["-o", f"{name}.mp4", "--seed", "4", *options, "--model", str(tiny_sound_model)]
        main(["generate", PROMPT, *arguments])
        main(["generate", "--from-sidecar", f"{name}.json", "-o", "again.mp4", "--overwrite"])
        assert Path("again.mp4").read_bytes() == Path(f"{name}.mp4").read_bytes()
    old = json.loads(Path("silent.json").read_text())
    del old["sound"]  # as sidecars were before there was sound
    Path("old.json").write_text(json.dumps(old))
    main(["generate", "--from-sidecar", "old.json", "-o", "again.mp4", "--overwrite"])
    assert Path("again.mp4").read_bytes() == Path("silent.mp4").read_bytes()
    assert capsys.readouterr().err == ""


def test_a_larger_clip_has_its_sound_too(tiny_sound_model: Path, tiny_upsampling_model: Path) -> None:
    shutil.copytree(tiny_sound_model, "model")
    shutil.copytree(tiny_upsampling_model / "upsampler", "model/upsampler")
    options = ["--model", "model", "--upscale", "2", "--display-scale", "1"]
    main(["generate", PROMPT, "-o", "bus.mp4", *options])
    main(["generate", PROMPT, "-o", "silent.mp4", "--no-audio", *options])
    heard = samples("bus.mp4")
    assert heard is not None
    assert abs(heard - SECONDS * RATE) < 1024
    assert samples("silent.mp4") is None
    assert packets("bus.mp4") == packets("silent.mp4")
    assert read_clip("bus.mp4").frames.shape == (9, 64, 64, 3)
    told = json.loads(Path("bus.json").read_text())
    assert {"upsampler", "audio-codec", "audio-dit"} <= set(told["weights"])
    assert list(told["stages"])[3:5] == ["decoding", "upsampling"]
    main(["generate", "--from-sidecar", "bus.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("bus.mp4").read_bytes()


def test_the_cast_says_how_many_draws_a_sound_has(
    tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_sound_model, "model")
    settings = json.loads(Path("model/cast.json").read_text())
    settings["sound"]["candidates"] = 2
    main(["generate", PROMPT, "-o", "one.mp4", "--model", "model"])
    Path("model/cast.json").write_text(json.dumps(settings))
    main(["generate", PROMPT, "-o", "two.mp4", "--model", "model"])
    old, told = (json.loads(Path(name).read_text()) for name in ("one.json", "two.json"))
    assert told["sound"]["candidates"] == told["stages"]["composing"]["candidates"] == 2
    main(["score", "two.mp4", "-o", "scored.mp4", "--prompt", PROMPT, "--model", "model"])
    assert Path("scored.mp4").read_bytes() == Path("two.mp4").read_bytes()
    del old["sound"]["candidates"]  # as sidecars were before there were draws
    Path("old.json").write_text(json.dumps(old))
    main(["generate", "--from-sidecar", "old.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("one.mp4").read_bytes()
    assert capsys.readouterr().err == ""


def test_each_sample_sounds_as_it_does_alone(tiny_sound_model: Path) -> None:
    model = ["--model", str(tiny_sound_model)]
    main(["generate", PROMPT, "-o", "bus.mp4", "--seed", "4", "--num-samples", "2", *model])
    main(["generate", PROMPT, "-o", "alone.mp4", "--seed", "5", *model])
    assert Path("alone.mp4").read_bytes() == Path("bus-seed5.mp4").read_bytes()
    assert json.loads(Path("bus-seed5.json").read_text())["sound"]["seed"] == 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["bus.gif"], ""), (["bus.mp4", "--frames", "1"], "moviegen: a single frame has no soundtrack\n")],
)
def test_what_holds_no_sound_gets_none(
    tiny_sound_model: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    main(["generate", PROMPT, "--model", str(tiny_sound_model), "-o", *arguments])
    assert samples(arguments[0]) is None
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (f"{arguments[0]}\n", told)


def test_a_cast_without_models_of_sound_says_so_in_a_line(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(tiny_model), "--steps", "1"]
    main(["generate", PROMPT, "-o", "bus.mp4", *model])
    said = capsys.readouterr().err
    assert said == (
        f"moviegen: {tiny_model} has no models of sound (audio/codec and audio/dit), so there is no "
        "soundtrack\n"
    )
    main(["generate", PROMPT, "-o", "silent.mp4", "--no-audio", *model])
    assert capsys.readouterr().err == ""
    assert Path("bus.mp4").read_bytes() == Path("silent.mp4").read_bytes()


def test_a_prompt_that_no_caption_of_sound_holds_is_told_before_a_clip_is_made(
    tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "bus " * 100  # the clip's encoder can read it; the template of captions needs room too
    with pytest.MonkeyPatch.context() as patched:
        patched.delattr("moviegen_runtime.pipelines.text_to_video.integrate")
        with pytest.raises(SystemExit) as caught:
            main(["generate", long, "-o", "bus.mp4", "--model", str(tiny_sound_model)])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("moviegen: no sound can be made of this: the prompt has ")
    assert said.endswith("shorten it, or add --no-audio\n")
    assert list(Path().iterdir()) == []
    main(["generate", long, "-o", "bus.mp4", "--no-audio", "--model", str(tiny_sound_model)])


def test_in_python_a_clip_is_saved_with_a_sound_of_any_text(tiny_sound_model: Path) -> None:
    cast = load(tiny_sound_model, device="cpu")
    video = cast.generate(TextToVideoRequest(prompt=PROMPT))
    scoring = partial(cast.score, ScoreRequest(prompt="an engine runs", music="a fast march"))
    sidecar = save(video, "bus.mp4", scoring=scoring)
    assert sidecar.sound is not None
    assert (sidecar.sound.prompt, sidecar.sound.music) == ("an engine runs", "a fast march")
    assert samples("bus.mp4") is not None
    main(["generate", "--from-sidecar", "bus.json", "-o", "again.mp4"])
    assert Path("again.mp4").read_bytes() == Path("bus.mp4").read_bytes()
    with pytest.raises(ValueError, match=r"only an mp4 holds sound, not clip\.gif"):
        save(video, "clip.gif", scoring=scoring)
    assert not Path("clip.gif").exists()
