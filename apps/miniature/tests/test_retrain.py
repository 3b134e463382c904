"""Retraining in legs: the plan, what it says beforehand, and where it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import moviegen_miniature.lanes as lanes
import moviegen_miniature.retrain as retrain
import numpy as np
import pytest
import torch
from moviegen_audio import AudioCodec, Sight, codec_preset, dit_preset, sight_preset
from moviegen_core import AudioClip, TextContext, VideoClip
from moviegen_dit import VideoDiT
from moviegen_miniature.phrases import phrasebook
from moviegen_miniature.sound.casting import FPS_CHOICES
from moviegen_miniature.sound.stage import StageSounds
from moviegen_runtime.data.sound_latents import SeenFrames
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.pipelines.settings import cast_phrasebook
from moviegen_runtime.training import run
from moviegen_runtime.training.audio_dit_module import AudioDiTModule, HeardAndSeen
from moviegen_runtime.training.audio_recipe import AudioDiTRecipe, CodecRecipe, SightRecipe
from moviegen_runtime.training.build import dit_config, tae_config, upsampler_config
from moviegen_runtime.training.clips import collate_clips
from moviegen_runtime.training.codec_module import CodecModule
from moviegen_runtime.training.optimizer import build_optimizer
from moviegen_runtime.training.recipe import DiTRecipe, TAERecipe
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_runtime.training.sight_module import FilmsWithOnsets, SightModule
from moviegen_runtime.training.sounds import SoundBatch
from moviegen_runtime.training.upsampler_module import UpsamplerModule
from moviegen_runtime.training.upsampler_recipe import UpsamplerRecipe
from moviegen_tae import TAE
from torch.utils.flop_counter import FlopCounterMode

RECIPES = Path(__file__).parent.parent / "recipes"
Legs = list[tuple[str, Path | None, float | None]]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Legs:
    """What is asked to be trained, from what and for how long; its weights are a file with its name."""
    asked: Legs = []

    def train(recipe: Any, out: Path, machine: run.Machine, init: Path | None) -> bool:
        assert out.name.startswith(recipe.model)
        asked.append((out.name, init, machine.max_minutes))
        (out / "weights").mkdir(parents=True)
        (out / "weights" / "model").write_text(out.name)
        return machine.max_minutes is None

    monkeypatch.setattr(retrain, "_measured_gflops", lambda _: 200.0)
    monkeypatch.setattr(lanes, "cores", lambda: 1)  # other processes would not know what is replaced here
    monkeypatch.setattr("moviegen_miniature.commands.Fetch.run", lambda _: None)
    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr("moviegen_runtime.training.process.prepare_process", lambda _: None)
    return asked


@pytest.mark.parametrize(
    ("cores", "forecast"),
    [
        (1, "from nothing this takes about 28 minutes here (tae 12, latents 10; codec 5, sight 1)"),
        (2, "from nothing this takes about 27 minutes here (tae 12, latents 10; codec 5 beside sight 1)"),
    ],
)
def test_the_forecast_is_work_over_speed(cores: int, forecast: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "_measured_gflops", lambda _: 200.0)
    monkeypatch.setattr(lanes, "cores", lambda: cores)
    video = [
        retrain._whole("fetch", lambda: None),
        retrain._whole("tae", lambda: None, 144_000.0),
        retrain._whole("latents", lambda: None, 120_000.0),
    ]
    codec, sight = (
        retrain._whole("codec", lambda: None, 60_000.0),
        retrain._whole("sight", lambda: None, 12_000.0),
    )
    assert retrain._forecast([(video,), ([codec], [sight])]) == forecast


def test_the_measurement_of_speed_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    assert retrain._measured_gflops(before + 1) > 0
    assert torch.get_num_threads() == before


def test_the_work_of_a_training_is_that_of_its_samples_and_of_its_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrain, "TRAIN_GFLOP", {"tae": 7.0, "dit": 2.0, "codec": 10.0})
    monkeypatch.setattr(retrain, "MUON_GFLOP", {"tae": 4.0, "dit": 60.0, "codec": 5.0})
    monkeypatch.setattr(retrain, "DISCRIMINATOR_GFLOP", 7.0)
    monkeypatch.setattr(retrain, "DECODER_GFLOP", {"tae": 9.0, "codec": 8.0})
    monkeypatch.setattr(retrain, "_EFFICIENCY", {"tae": 0.5, "dit": 0.5, "codec": 0.25})
    settings = ["steps=6000", "batch_size=20", "data.latents=latents"]
    dit = load_recipe(RECIPES / "dit.yaml", [*settings, "longer=null"])
    assert retrain._training_work(dit) == 6000 * (20 * 2.0 + 60.0) / 0.5
    dit = load_recipe(RECIPES / "dit.yaml", [*settings, "longer.every=4"])
    assert retrain._training_work(dit) == 6000 * (20 * 2.5 + 60.0) / 0.5
    monkeypatch.setattr(retrain, "FINE_GFLOP", 8.0)
    fine = load_recipe(RECIPES / "dit_fine.yaml", [*settings, "longer=null"])
    assert retrain._training_work(fine) == 6000 * (20 * 8.0 + 60.0) / 0.5
    tae = load_recipe(RECIPES / "tae_decoder.yaml", ["steps=100", "batch_size=4"])
    assert retrain._training_work(tae) == 100 * (4 * 9.0 + 4.0) / 0.5
    codec = load_recipe(RECIPES / "codec.yaml", ["steps=100", "batch_size=4", "discriminator.start=70"])
    assert retrain._training_work(codec) == (100 * (4 * 10.0 + 5.0) + 30 * 4 * 7.0) / 0.25
    decoder = load_recipe(RECIPES / "codec_decoder.yaml", ["steps=100", "batch_size=4"])
    assert retrain._training_work(decoder) == 100 * (4 * (8.0 + 7.0) + 5.0) / 0.25


def test_the_work_that_is_counted_for_video_is_the_models() -> None:
    first, last = (load_recipe(RECIPES / f"{leg}.yaml", []) for leg in ("tae", "tae_decoder"))
    assert isinstance(first, TAERecipe)
    assert isinstance(last, TAERecipe)
    tae, deeper = TAE(tae_config(first)), TAE(tae_config(last))
    clip = VideoClip(torch.zeros(1, 3, 16, 64, 64), fps=8.0)
    image = VideoClip(torch.zeros(2, 3, 1, 64, 64), fps=8.0)
    with FlopCounterMode(display=False) as encoding, torch.no_grad():
        tae.encode(clip)
    step = []
    for batch in (clip, image):  # three steps of the first to one of the second
        with FlopCounterMode(display=False) as counter:
            tae.decode_moments(tae.posterior(batch).mean, batch.shape).sum().backward()
        step.append(counter.get_total_flops())
    assert encoding.get_total_flops() / 1e9 == pytest.approx(retrain.ENCODE_GFLOP["tae"], rel=0.1)
    assert (3 * step[0] + step[1]) / 4e9 == pytest.approx(retrain.TRAIN_GFLOP["tae"], rel=0.1)
    deeper.encoder.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        deeper.decode_moments(deeper.posterior(clip).mean, clip.shape).sum().backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(retrain.DECODER_GFLOP["tae"], rel=0.1)


def test_the_work_that_is_counted_for_the_video_transformer_is_its_own() -> None:
    text = TextContext(torch.randn(1, 14, 384), torch.ones(1, 14, dtype=torch.bool), "minilm")
    counted = {"dit": retrain.TRAIN_GFLOP["dit"], "dit_fine": retrain.FINE_GFLOP}
    assert tuple(counted) == retrain.LEGS["dit"]
    for leg, gflop in counted.items():
        recipe = load_recipe(RECIPES / f"{leg}.yaml", ["data.latents=none", "longer=null"])
        assert isinstance(recipe, DiTRecipe)
        model = VideoDiT(dit_config(recipe))
        with FlopCounterMode(display=False) as counter:
            model(torch.randn(1, 16, 2, 8, 8), torch.rand(1), model.prepare((text,))).sum().backward()
        assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, rel=0.1)


@pytest.mark.parametrize("leg", retrain.LEGS["upsampler"])
def test_the_work_that_is_counted_for_the_upsampler_is_its_own(leg: str) -> None:
    settings = ["compile=false", "batch_size=1", "tae_artifacts=1", "validation=null"]
    recipe = load_recipe(RECIPES / f"{leg}.yaml", settings)
    assert isinstance(recipe, UpsamplerRecipe)
    module = UpsamplerModule(upsampler_config(recipe), recipe, StillClips())
    with FlopCounterMode(display=False) as counter:
        module.loss(collate_clips(StillClips())([0]), 0)[0].backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(retrain.UPSAMPLER_GFLOP[recipe.frames], rel=0.05)
    assert muon_gflop(module, recipe) == pytest.approx(retrain.MUON_GFLOP["upsampler"], rel=0.1)


class StillClips:
    """Grey clips of the stage's length, twice its size."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> CaptionedClip:
        return CaptionedClip(np.full((16, 128, 128, 3), 128, np.uint8), 8.0, "grey")


def test_the_work_that_is_counted_for_the_codec_is_its_own() -> None:
    recipe = load_recipe(RECIPES / "codec.yaml", ["validation=null"])
    assert isinstance(recipe, CodecRecipe)
    assert recipe.discriminator is not None
    codec, sounds = AudioCodec(codec_preset("miniature")), StageSounds(None, seconds=2.0, rate=16_000)
    seconds = StageSounds(None).seconds  # of what is cached
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        codec.encode(AudioClip(torch.zeros(1, 1, round(seconds * 16_000)), 16_000))
    assert counter.get_total_flops() / 1e9 == pytest.approx(retrain.ENCODE_GFLOP["codec"], rel=0.1)
    module = CodecModule(codec.config, recipe, sounds)
    batch, work = SoundBatch((0.1 * torch.randn(1, 32_000),), 16_000), []
    for step in (0, recipe.discriminator.start):
        with FlopCounterMode(display=False) as counter:
            module.loss(batch, step)[0].backward()
        work.append(counter.get_total_flops() / 1e9)
    assert work[0] == pytest.approx(retrain.TRAIN_GFLOP["codec"], rel=0.1)
    assert work[1] - work[0] == pytest.approx(retrain.DISCRIMINATOR_GFLOP, rel=0.1)
    assert muon_gflop(module, recipe) == pytest.approx(retrain.MUON_GFLOP["codec"], rel=0.1)
    alone = load_recipe(RECIPES / "codec_decoder.yaml", ["validation=null", "discriminator=null"])
    assert isinstance(alone, CodecRecipe)
    module = CodecModule(codec.config, alone, sounds)
    with FlopCounterMode(display=False) as counter:
        module.loss(batch, 0)[0].backward()
    assert counter.get_total_flops() / 1e9 == pytest.approx(retrain.DECODER_GFLOP["codec"], rel=0.1)


def test_the_work_that_is_counted_for_the_audio_transformer_is_its_own() -> None:
    recipe = load_recipe(RECIPES / "audio_dit.yaml", ["validation=null"])
    assert isinstance(recipe, AudioDiTRecipe)
    config = dit_preset("miniature")
    assert config.sight is not None
    sounds: Any = None  # only validation reads them
    module = AudioDiTModule(config, recipe, sounds, Sight(config.sight))
    text = TextContext(torch.randn(3, 70, 384), torch.ones(3, 70, dtype=torch.bool), "minilm")
    seen = tuple(SeenFrames(torch.zeros(round(4 * fps), 128), fps) for fps in FPS_CHOICES)
    with FlopCounterMode(display=False) as counter:
        module.loss(HeardAndSeen(torch.randn(3, 32, 100), text, seen), 0)[0].backward()
    assert counter.get_total_flops() / 3e9 == pytest.approx(retrain.TRAIN_GFLOP["audio_dit"], rel=0.1)
    assert muon_gflop(module, recipe) == pytest.approx(retrain.MUON_GFLOP["audio_dit"], rel=0.1)


def test_the_work_that_is_counted_for_what_sees_is_its_own() -> None:
    recipe = load_recipe(RECIPES / "sight.yaml", ["validation=null"])
    assert isinstance(recipe, SightRecipe)
    module = SightModule(sight_preset("miniature"), recipe)
    assert recipe.data is not None
    seconds = recipe.data.options["seconds"]
    pictures = torch.zeros(round(sum(seconds * fps for fps in FPS_CHOICES)), 64, 64, 3, dtype=torch.uint8)
    nothing = (np.zeros(0),) * 3, (np.zeros((0, 21), np.float32),) * 3
    films = FilmsWithOnsets(pictures, torch.zeros(3, round(25 * seconds), dtype=torch.int64), *nothing)
    with FlopCounterMode(display=False) as counter:
        module.loss(films, 0)[0].backward()
    assert counter.get_total_flops() / 3e9 == pytest.approx(retrain.TRAIN_GFLOP["sight"], rel=0.1)
    assert muon_gflop(module, recipe) == pytest.approx(retrain.MUON_GFLOP["sight"], rel=0.1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        # As long as what is cached.
        module.model.encode(torch.zeros(round(sum(4 * fps for fps in FPS_CHOICES)), 3, 64, 64))
    assert counter.get_total_flops() / 3e9 == pytest.approx(retrain.ENCODE_GFLOP["sight"], rel=0.1)


def muon_gflop(
    module: CodecModule | SightModule | AudioDiTModule | UpsamplerModule,
    recipe: CodecRecipe | SightRecipe | AudioDiTRecipe | UpsamplerRecipe,
) -> float:
    """What the optimizer of a module with gradients adds to a step."""
    optimizer = build_optimizer(module.model, recipe.optimizer, module.is_inner)
    with FlopCounterMode(display=False) as counter:
        optimizer.step()
    return counter.get_total_flops() / 1e9


def test_a_leg_ends_where_its_time_is_up(
    trained: Legs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retrain.Retrain(RECIPES, tmp_path / "out", max_minutes=30).run()
    assert [name for name, _, _ in trained] == ["tae"]
    assert 29 < (trained[0][2] or 0) <= 30
    assert "tae is trained; the same command goes on from there" in capsys.readouterr().err


def test_sound_alone_becomes_the_sound_of_the_cast(
    trained: Legs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached: list[Any] = []
    judged: list[Any] = []
    monkeypatch.setattr("moviegen_runtime.cli.data.Sounds.run", lambda job: cached.append(job))
    monkeypatch.setattr(
        "moviegen_miniature.sound.judge_command.SoundJudge.run", lambda judge: judged.append(judge.model)
    )
    retrain.Retrain(RECIPES, tmp_path / "out", only="sound").run()
    runs, audio = tmp_path / "out" / "sound", tmp_path / "out" / "cast" / "audio"
    assert trained == [
        ("codec", None, None),
        ("codec_coarse", runs / "codec" / "weights", None),
        ("codec_decoder", runs / "codec_coarse" / "weights", None),
        ("sight", None, None),
        ("audio_dit", None, None),
    ]
    assert [(job.out, job.num_sounds, job.sight) for job in cached] == [
        (runs / "films", retrain.FILMS, str(runs / "sight" / "weights")),
        (runs / "sounds", retrain.SOUNDS, None),
    ]
    assert {job.codec for job in cached} == {str(runs / "codec_coarse" / "weights")}
    assert sorted(path.name for path in audio.parent.iterdir()) == ["audio"]
    assert {path.parent.name: path.read_text() for path in audio.glob("*/model")} == {
        "codec": "codec_decoder",
        "dit": "audio_dit",
    }
    assert judged == [str(tmp_path / "out" / "cast")]
    forecast = capsys.readouterr().err.splitlines()[0]
    for name in ("codec", "sight", "films", "sounds", "audio_dit"):
        assert f"{name} " in forecast
    assert "tae" not in forecast


def test_the_transformers_are_trained_on_what_the_plan_caches(tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipes = {
        step.name: step.run.args[0]  # type: ignore[attr-defined]  # a partial
        for lane in (*retrain.plan_video(RECIPES, out), *retrain.plan_sound(RECIPES, out))
        for step in lane
        if step.name in (*retrain.LEGS["dit"], "audio_dit", *retrain.LEGS["upsampler"])
    }
    for leg in retrain.LEGS["upsampler"]:
        assert recipes[leg].tae == str(out / "video" / "tae_decoder" / "weights")
        assert recipes[leg].base == str(out / "video" / "dit" / "weights")
    for leg in retrain.LEGS["dit"]:
        assert recipes[leg].data.latents == out / "video" / "latents"
        assert recipes[leg].longer.latents == out / "video" / "longer"
        assert recipes[leg].data.tae == str(out / "video" / "tae_decoder" / "weights")
    assert recipes["audio_dit"].data.sounds == out / "sound" / "films"
    assert recipes["audio_dit"].data.codec == str(out / "sound" / "codec_coarse" / "weights")
    assert recipes["audio_dit"].sight == str(out / "sound" / "sight" / "weights")
    assert recipes["audio_dit"].alone.sounds == out / "sound" / "sounds"
    assert recipes["audio_dit"].alone.every == 11


def test_a_second_leg_begins_with_the_weights_of_the_first_and_is_what_the_cast_gets(
    trained: Legs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    encoded: list[Any] = []
    monkeypatch.setattr(
        "moviegen_runtime.cli.data.Latents.run", lambda job: encoded.append((job.out.name, job.tae))
    )
    books: list[Any] = []
    monkeypatch.setattr(
        "moviegen_miniature.judge_commands.JudgeModel.run",
        lambda judge: books.append(cast_phrasebook(judge.model)),
    )
    retrain.Retrain(RECIPES, out, only="video").run()
    assert books == [phrasebook()]
    runs = out / "video"
    assert trained == [
        ("tae", None, None),
        ("tae_coarse", runs / "tae" / "weights", None),
        ("tae_decoder", runs / "tae_coarse" / "weights", None),
        ("dit", None, None),
        ("dit_fine", runs / "dit" / "weights", None),
        ("upsampler_frames", None, None),
        ("upsampler", runs / "upsampler_frames" / "weights", None),
    ]
    assert encoded == [(name, str(runs / "tae_decoder" / "weights")) for name in ("latents", "longer")]
    assert {path.parent.name: path.read_text() for path in (out / "cast").glob("*/model")} == {
        "tae": "tae_decoder",
        "dit": "dit_fine",
        "upsampler": "upsampler",
    }
