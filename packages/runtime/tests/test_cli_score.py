"""`moviegen score` from its arguments to its files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import moviegen_audio
import numpy as np
import pytest
import torch
from moviegen_runtime import ScoreRequest, load, load_composer
from moviegen_runtime.cli import main
from moviegen_runtime.features.clip_sight import ClipSight
from moviegen_runtime.media.cues import Cues
from moviegen_runtime.media.sound import Samples
from moviegen_runtime.media.sound_picture import film_picture
from moviegen_runtime.pipelines import ranking
from moviegen_runtime.pipelines.composer import sound_caption
from moviegen_runtime.requests import ScoreSettings
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

MakeFilm = Callable[..., Path]
RATE = 48_000


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def film(make_film: MakeFilm, tmp_path: Path) -> str:
    """A film of 1.5 s in the working folder."""
    return make_film(tmp_path / "film.mp4").name


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it refuses."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(["score", *arguments])
    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("moviegen: ")
    assert captured.err.count("\n") == 1
    return captured.err


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def packets(path: str) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_a_film_gets_a_sound_a_plot_and_a_sidecar(
    film: str, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--prompt", "rain on a roof", "--plot", "out.png", "--model", str(tiny_sound_model)]
    main(["score", film, "-o", "out.mp4", *options])
    assert names() == ["film.mp4", "out.json", "out.mp4", "out.png"]
    assert packets("out.mp4") == packets(film)
    with av.open("out.mp4") as container:
        (stream,) = container.streams.audio
        samples = sum(frame.samples for frame in container.decode(stream))
    assert abs(samples - 1.5 * RATE) < 1024
    with Image.open("out.png") as drawn:
        assert np.array_equal(np.asarray(drawn), film_picture(Path("out.mp4")))
    sidecar = json.loads(Path("out.json").read_text())
    assert sidecar["job"] == "score"
    assert sidecar["sha256"] == hashlib.sha256(Path("out.mp4").read_bytes()).hexdigest()
    assert sidecar["film_sha256"] == hashlib.sha256(Path(film).read_bytes()).hexdigest()
    asked = {"prompt": "rain on a roof", "music": None, "seed": 0, "steps": 2, "guidance": 2.0}
    asked |= {"method": "euler", "segment": 1.0, "context": 0.2, "candidates": 1, "loudness": -16.0}
    assert sidecar["request"] == asked
    assert set(sidecar["weights"]) == {"audio-codec", "audio-dit", "minilm"}
    assert 'description: "rain on a roof"' in sidecar["stages"]["composing"]["caption"]
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[:3] == ["out.mp4", "out.png", "film     12 frames, 1.50 s"]
    assert captured.err == ""


def test_a_sidecar_makes_the_same_film_again(
    film: str, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--prompt", "steps", "--music", "a slow tune", "--seed", "5", "--steps", "1"]
    options += ["--segment", "0.8", "--context", "0.1", "--loudness", "-20", "--method", "midpoint"]
    options += ["--candidates", "2"]
    main(["score", film, "-o", "out.mp4", *options, "--model", str(tiny_sound_model)])
    main(["score", film, "-o", "again.mp4", "--from-sidecar", "out.json"])
    assert Path("again.mp4").read_bytes() == Path("out.mp4").read_bytes()
    first, again = (json.loads(Path(name).read_text()) for name in ("out.json", "again.json"))
    first["stages"]["levelling"].pop("gain"), again["stages"]["levelling"].pop("gain")
    assert again == first | {"file": "again.mp4"}
    assert capsys.readouterr().err == ""
    main(["score", film, "-o", "other.mp4", "--seed", "6", "--model", str(tiny_sound_model)])
    assert Path("other.mp4").read_bytes() != Path("out.mp4").read_bytes()


def test_the_draw_that_ranks_best_is_heard_and_one_draw_is_not_ranked(
    film: str, tiny_sound_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks are turned round: of two draws now one is heard, now the other, and of one draw that one."""
    model = ["--model", str(tiny_sound_model), "--segment", "4", "--overwrite"]
    ranked: list[float] = []

    def made(candidates: int, sign: int) -> bytes:
        def liked(cues: Cues, samples: Samples, rate: int, *, begin: float) -> float:
            assert len(cues.moments)
            assert (samples.shape, rate, begin) == ((1, 38 * 640), 16_000, 0.0)
            ranked.append(float(np.square(samples).mean()))
            return sign * ranked[-1]

        ranked.clear()
        monkeypatch.setattr(ranking, "fitness", liked)
        main(["score", film, "-o", "out.mp4", "--candidates", str(candidates), *model])
        assert len(ranked) == (candidates if candidates > 1 else 0)
        return Path("out.mp4").read_bytes()

    loud = made(2, 1)
    levels = list(ranked)
    soft = made(2, -1)
    assert ranked == levels
    assert levels[0] != levels[1]
    assert loud != soft
    assert made(2, 1) == loud
    alone = made(1, 1)
    main(["score", film, "-o", "out.mp4", *model])
    assert Path("out.mp4").read_bytes() == alone


def test_a_sidecar_from_before_there_were_draws_takes_the_first(
    film: str, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["score", film, "-o", "out.mp4", "--model", str(tiny_sound_model)])
    old = json.loads(Path("out.json").read_text())
    assert old["request"].pop("candidates") == 1
    assert old["stages"]["composing"].pop("candidates") == 1
    Path("old.json").write_text(json.dumps(old))
    shutil.copytree(tiny_sound_model, "model")
    settings = json.loads(Path("model/cast.json").read_text())
    settings["sound"]["candidates"] = 3  # what the cast does by now
    Path("model/cast.json").write_text(json.dumps(settings))
    main(["score", film, "-o", "again.mp4", "--from-sidecar", "old.json", "--model", "model"])
    assert Path("again.mp4").read_bytes() == Path("out.mp4").read_bytes()
    main(["score", film, "-o", "new.mp4", "--model", "model"])
    assert json.loads(Path("new.json").read_text())["request"]["candidates"] == 3
    assert capsys.readouterr().err == ""


def test_a_sidecar_is_of_its_own_film_and_its_own_weights(
    film: str, make_film: MakeFilm, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["score", film, "-o", "out.mp4", "--model", str(tiny_sound_model)])
    other = make_film(Path("other.mp4"), times=range(6))
    again = ["-o", "again.mp4", "--from-sidecar", "out.json"]
    said = sentence(capsys, str(other), *again)
    assert "other.mp4 is not the film that out.mp4 was made of, which was called film.mp4" in said
    shutil.copytree(tiny_sound_model, "model")
    config = Path("model/audio/codec/config.json")
    config.write_text(config.read_text() + "\n")
    said = sentence(capsys, film, *again, "--model", "model")
    assert "the weights of audio-codec are not those that made out.mp4" in said
    Path("out.json").write_text(json.dumps({"job": "text-to-video"}))
    assert "out.json is of a file of `moviegen generate`" in sentence(capsys, film, *again)
    Path("out.json").write_text(json.dumps({"job": ["score"]}))
    assert "out.json is not a sidecar of this version" in sentence(capsys, film, *again)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["film.mp4", "-o", "out.gif"], "'out.gif' must end in .mp4"),
        (["film.mp4", "-o", "film.mp4", "--overwrite"], "film.mp4 is the film itself"),
        (["film.mp4", "-o", "here.mp4"], "here.mp4 is already there"),
        (["film.mp4", "-o", "told.mp4"], "told.json (the settings of a clip of that name) is already there"),
        (["film.mp4", "-o", "nowhere/out.mp4"], "there is no folder nowhere to write to"),
        (["film.mp4", "-o", "out.mp4", "--plot", "out.jpg"], "the plot must end in .png, not 'out.jpg'"),
        (["film.mp4", "-o", "out.mp4", "--prompt", " "], "a text about the sound is empty"),
        (["film.mp4", "-o", "out.mp4", "--music", ""], "a text about the sound is empty"),
        (["film.mp4", "-o", "out.mp4", "--seed", "-1"], "--seed must be from 0 to"),
        (["film.mp4", "-o", "out.mp4", "--steps", "0"], "steps should be greater than or equal to 1, not 0"),
        (["film.mp4", "-o", "out.mp4", "--guidance", "nan"], "guidance should be a finite number, not nan"),
        (["film.mp4", "-o", "out.mp4", "--segment", "0"], "segment should be greater than 0, not 0"),
        (
            ["film.mp4", "-o", "out.mp4", "--segment", "1", "--context", "0.6"],
            "must be longer than twice its",
        ),
        (["film.mp4", "-o", "out.mp4", "--context", "-1"], "context should be greater than or equal to 0"),
        (
            ["film.mp4", "-o", "out.mp4", "--candidates", "0"],
            "candidates should be greater than or equal",
        ),
        (
            ["film.mp4", "-o", "out.mp4", "--candidates", "65"],
            "candidates should be less than or equal to",
        ),
        (["film.mp4", "-o", "out.mp4", "--loudness", "1"], "loudness should be less than or equal to 0"),
        (["film.mp4", "-o", "out.mp4", "--from-sidecar", "a.json", "--seed", "1"], "leave out --seed"),
        (["film.mp4", "-o", "out.mp4", "--from-sidecar", "a.json", "--music", "a"], "leave out --music"),
        (["film.mp4", "-o", "out.mp4", "--from-sidecar", "a.json"], "cannot read a.json: No such file"),
        (["none.mp4", "-o", "out.mp4"], "there is no file none.mp4"),
        (["told.json", "-o", "out.mp4"], "told.json"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_loaded(
    film: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.delattr("moviegen_runtime.pipelines.composer.load_composer")
    Path("here.mp4").write_bytes(b"mine")
    Path("told.json").write_text("mine")
    before = names()
    assert said in sentence(capsys, *arguments)
    assert film in before
    assert names() == before
    assert Path("here.mp4").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prompt", "rain " * 140], "and the text encoder minilm reads at most 128; shorten it"),
        (["--segment", "0.4"], "a segment of 0.4 s must be longer than twice its context of 0.2 s"),
        (["--device", "abacus"], "device 'abacus' cannot be used here"),
    ],
)
def test_what_the_models_cannot_do_is_told_in_a_sentence(
    film: str, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert said in sentence(capsys, film, "-o", "out.mp4", "--model", str(tiny_sound_model), *options)
    assert names() == ["film.mp4"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_heard_too(film: str, tiny_sound_model: Path, dtype: str) -> None:
    model = ["--model", str(tiny_sound_model), "--device", "cpu", "--candidates", "2"]
    main(["score", film, "-o", "half.mp4", "--prompt", "rain", "--dtype", dtype, *model])
    sidecar = json.loads(Path("half.json").read_text())
    assert sidecar["machine"]["dtype"] == dtype
    with av.open("half.mp4") as container:
        assert np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)]).std() > 1e-3


def test_the_attention_that_was_asked_for_is_written_down_and_taken_again(
    film: str, tiny_sound_model: Path
) -> None:
    model = ["--model", str(tiny_sound_model), "--device", "cpu"]
    main(["score", film, "-o", "a.mp4", "--prompt", "rain", "--attention", "reference", *model])
    main(["score", film, "-o", "b.mp4", "--from-sidecar", "a.json"])
    told = [json.loads(Path(name).read_text())["machine"]["attention"] for name in ("a.json", "b.json")]
    assert told == ["reference", "reference"]
    assert Path("a.mp4").read_bytes() == Path("b.mp4").read_bytes()


def test_missing_models_are_told_in_a_sentence(
    film: str, tiny_model: Path, tiny_sound_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("nowhere", str(tiny_model)):
        said = sentence(capsys, film, "-o", "out.mp4", "--model", model)
        assert f"{model} has no models of sound: it must hold the folders audio/codec and audio/dit" in said
    shutil.copytree(tiny_sound_model / "audio" / "codec", "half/audio/codec")
    said = sentence(capsys, film, "-o", "out.mp4", "--model", "half")
    assert "audio must hold the folders codec and dit, and dit is missing" in said
    shutil.copytree(tiny_sound_model / "audio" / "dit", "half/audio/dit")
    main(["score", film, "-o", "out.mp4", "--model", "half", "--steps", "1"])  # sound needs no more


def test_a_cast_scores_as_the_command_does(film: str, tiny_sound_model: Path, tiny_model: Path) -> None:
    request = ScoreRequest(prompt="rain", seed=3)
    scored = load(tiny_sound_model, device="cpu").score(request, film, "cast.mp4")
    alone = load_composer(tiny_sound_model, device="cpu").score(scored.request, film, "alone.mp4")
    assert Path("cast.mp4").read_bytes() == Path("alone.mp4").read_bytes()
    assert (scored.request, scored.weights) == (alone.request, alone.weights)
    assert scored.request.settings().steps == 2
    assert scored.picture_copied
    silent = load(tiny_model, device="cpu")
    with pytest.raises(ValueError, match="was loaded without models of sound, so it cannot score a film"):
        silent.score(request, film, "out.mp4")
    assert load(tiny_sound_model, device="cpu", with_sound=False).composer is None


def test_a_text_is_put_into_the_template_of_captions() -> None:
    assert sound_caption(ScoreRequest()) is None
    effects = sound_caption(ScoreRequest(prompt="rain"))
    assert effects == (
        "This audio has quality: 7.0. This audio does not contain speech. "
        "This audio does not contain vocal singing. This audio contains music with a 0.00 likelihood. "
        'This audio has a description: "rain".'
    )
    both = sound_caption(ScoreRequest(prompt="rain", music="a slow tune"))
    assert both is not None
    assert "quality: 8.0" in both
    assert "music with a 1.00 likelihood" in both
    assert both.endswith('description: "rain". This audio has a music description: "a slow tune".')
    alone = sound_caption(ScoreRequest(music="a slow tune"))
    assert alone == both.replace('description: "rain"', 'description: "a slow tune"')


def test_open_settings_are_those_of_the_paper_or_the_cast() -> None:
    resolved = ScoreRequest(prompt="rain", guidance=1.0, seed=2).resolved(ScoreSettings())
    assert (resolved.steps, resolved.method, resolved.guidance, resolved.seed) == (64, "midpoint", 1.0, 2)
    assert resolved.candidates == 1
    assert resolved.resolved(ScoreSettings(steps=3)) == resolved
    with pytest.raises(ValueError, match="a segment of 8 s must be longer than twice its context of 5 s"):
        ScoreRequest(segment=8.0).resolved(ScoreSettings())


@pytest.fixture
def blind_model(tiny_sound_model: Path, tmp_path: Path) -> Path:
    """The tiny models of sound, with a transformer that has no network of its own for pictures."""
    model = Path(shutil.copytree(tiny_sound_model, tmp_path / "blind"))
    config = moviegen_audio.load_dit(model / "audio" / "dit").config
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dit = moviegen_audio.AudioDiT(config.model_copy(update={"sight": None}))
        for parameter in dit.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    moviegen_audio.save_dit(dit, model / "audio" / "dit")
    return model


def write_clip(folder: Path, width: int) -> None:
    sizes = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=16,
        patch_size=8,
        projection_dim=width,
    )
    with torch.random.fork_rng():
        torch.manual_seed(width)
        CLIPVisionModelWithProjection(sizes).save_pretrained(folder)


def test_a_clip_sees_for_a_transformer_that_does_not(film: str, blind_model: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder .*sight with the CLIP .* place in cast\.json"):
        load_composer(blind_model, device="cpu")
    write_clip(blind_model / "sight", 12)
    beside = load_composer(blind_model, device="cpu")
    scored = beside.score(ScoreRequest(seed=1), film, "beside.mp4")
    assert scored.weights["sight"] == ClipSight(blind_model / "sight").weights_hash
    (blind_model / "sight").rename(blind_model / "eyes")
    settings = json.loads((blind_model / "cast.json").read_text())
    (blind_model / "cast.json").write_text(json.dumps(settings | {"sight": "eyes"}))
    load_composer(blind_model, device="cpu").score(ScoreRequest(seed=1), film, "named.mp4")
    assert packets("beside.mp4") == packets("named.mp4")
    write_clip(blind_model / "eyes", 10)
    with pytest.raises(ValueError, match="width of picture features: 10 here, 12 for the transformer"):
        load_composer(blind_model, device="cpu")
