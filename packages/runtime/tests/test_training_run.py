"""Runs in a folder: resumed bit for bit, killed at any moment, interrupted, ended by time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moviegen_dit
import moviegen_tae
import numpy as np
import pytest
import torch
import yaml
from moviegen_audio import Sight, SightConfig, SoundCaption, save_sight
from moviegen_core import VideoClip, weights_hash
from moviegen_runtime.cli.train import Train
from moviegen_runtime.data import source
from moviegen_runtime.data.clips import CLIP_KIND, CLIP_MEMBERS, write_clip
from moviegen_runtime.data.latents import (
    LATENT_KIND,
    LATENT_MEMBERS,
    LatentProperties,
    LatentSample,
    write_latent,
)
from moviegen_runtime.data.sound_latents import (
    MEMBERS,
    SOUND_KIND,
    SeenFrames,
    SoundProperties,
    SoundSample,
    write_sound,
)
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_runtime.training.build import build_training
from moviegen_runtime.training.dit_module import DiTModule, collate_latents
from moviegen_runtime.training.recipe_file import load_recipe

STEPS = 6
TINY_TAE = {
    "channels": [8, 8, 8, 8],
    "encoder_blocks": [0, 0, 0, 1],
    "decoder_blocks": [0, 0, 0, 1],
    "norm_groups": 4,
    "latent_channels": 4,
}
TINY_DIT = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "mlp_width": 16,
    "latent_channels": 4,
    "text_encoders": [{"name": "minilm", "width": 8}],
}
TINY_CODEC = {
    "sample_rate": 4000,
    "rates": [4, 5],
    "encoder_width": 2,
    "decoder_width": 8,
    "hidden_width": 8,
    "latent_channels": 4,
}
OPTIMIZER = {"name": "muon", "lr": 1e-2, "muon_lr": 1e-2, "warmup_steps": 2, "schedule": "cosine"}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven clips of coloured noise that fades, so that there is something to learn."""
    folder = tmp_path_factory.mktemp("clips") / "shards"
    random = np.random.default_rng(0)
    begin(folder, CLIP_KIND, CLIP_MEMBERS, {})
    colours = random.integers(0, 255, (11, 1, 1, 1, 3)) + random.integers(0, 20, (11, 8, 16, 16, 3))
    samples = [
        CaptionedClip(c.clip(0, 255).astype(np.uint8), 8.0, f"clip {i}") for i, c in enumerate(colours)
    ]
    write_shard(folder, 0, map(write_clip, samples))
    finish(folder, 1)
    return folder


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven latents with captions of different lengths."""
    return write_latents(tmp_path_factory.mktemp("latents") / "shards", count=11, frames=2)


@pytest.fixture(scope="module")
def image_latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five latents of one frame, by the same encoders."""
    return write_latents(tmp_path_factory.mktemp("images") / "shards", count=5, frames=1)


def write_latents(folder: Path, *, count: int, frames: int, text_hash: str = "0" * 64) -> Path:
    draw = torch.Generator().manual_seed(frames)
    properties = LatentProperties(
        tae="0" * 64,
        stride=(8, 8, 8),
        encoders={"minilm": 8},
        encoder_hashes={"minilm": text_hash},
        source="test",
        num_clips=count,
    )
    begin(folder, LATENT_KIND, LATENT_MEMBERS, properties.model_dump(mode="json"))
    samples = [
        LatentSample(
            torch.randn(4, frames, 2, 2, generator=draw),
            {"minilm": torch.randn(2 + i % 3, 8, generator=draw)},
            f"clip {i}",
            8.0,
            8 * frames,
        )
        for i in range(count)
    ]
    write_shard(folder, 0, map(write_latent, samples))
    finish(folder, 1)
    return folder


@pytest.fixture
def tae_recipe(tmp_path: Path, clips: Path) -> Path:
    content = {
        "model": "tae",
        "preset": "miniature",
        "architecture": TINY_TAE,
        "data": {"shards": str(clips)},
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "loss": {"outlier": 0.1},
        "images": {"every": 4, "frames_per_clip": 2},
        "short_clips": {"frames": 4, "steps": 1},
        "log_steps": 2,
        "statistics_clips": 4,
        "validation": {"every_steps": 3, "data": {"shards": str(clips)}, "num_clips": 3},
    }
    path = tmp_path / "tae.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def dit_recipe(tmp_path: Path, latents: Path) -> Path:
    content = {
        "model": "dit",
        "preset": "miniature",
        "architecture": TINY_DIT,
        "data": {"latents": str(latents)},
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "text_dropout": 0.3,
        "noise_draws": 2,
        "log_steps": 2,
        "validation": {"every_steps": 3, "num_samples": 3},
    }
    path = tmp_path / "dit.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def upsampler_recipe(tmp_path: Path, clips: Path) -> Path:
    torch.manual_seed(0)
    moviegen_tae.save(moviegen_tae.TAE(moviegen_tae.TAEConfig.model_validate(TINY_TAE)), tmp_path / "coder")
    content = {
        "model": "upsampler",
        "preset": "miniature",
        "architecture": {**TINY_DIT, "condition_channels": 4, "positions": [4, 1, 1]},
        "data": {"shards": str(clips)},
        "tae": str(tmp_path / "coder"),
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "frames": 4,
        "noise_draws": 2,
        "log_steps": 2,
        "validation": {
            "every_steps": 3,
            "data": {"shards": str(clips)},
            "num_clips": 3,
            "solver_steps": 2,
        },
    }
    path = tmp_path / "upsampler.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class Tones:
    """Eleven tones of half a second in a little noise, at 4,000 samples a second."""

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> CaptionedSound:
        noise = np.random.default_rng(index).normal(0, 0.05, (1, 2000))
        wave = 0.5 * np.sin(np.arange(2000) * (0.1 + 0.05 * index)) + noise
        return CaptionedSound(wave.astype(np.float32), 4000, SoundCaption(9, False, False, 0, "a tone"))


@pytest.fixture
def codec_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The codec, against discriminators that come in later."""
    point = SimpleNamespace(name="tones", load=lambda: Tones)
    monkeypatch.setattr(source, "entry_points", lambda group: [point] if "sound" in group else [])
    content = {
        "model": "codec",
        "preset": "miniature",
        "architecture": TINY_CODEC,
        "data": {"source": "tones"},
        "crop_seconds": 0.35,
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "discriminator": {"start": 2, "channels": 1, "lr": 1e-3},
        "log_steps": 2,
        "statistics_sounds": 4,
        "validation": {"every_steps": 3, "data": {"source": "tones"}, "num_sounds": 3},
    }
    path = tmp_path / "codec.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class Flashes(Tones):
    """The same tones, each with a film of half a second."""

    def __getitem__(self, index: int) -> CaptionedSound:
        frames = np.random.default_rng(index).integers(0, 256, (6, 8, 8, 3), np.uint8)
        return replace(super().__getitem__(index), picture=CaptionedClip(frames, 12.0, "noise"))


@pytest.fixture
def sight_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What sees, on films of half a second."""
    point = SimpleNamespace(name="flashes", load=lambda: Flashes)
    monkeypatch.setattr(source, "entry_points", lambda group: [point] if "sound" in group else [])
    content = {
        "model": "sight",
        "preset": "miniature",
        "architecture": TINY_SIGHT,
        "data": {"source": "flashes"},
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "log_steps": 2,
        "validation": {"every_steps": 3, "data": {"source": "flashes"}, "num_sounds": 3},
    }
    path = tmp_path / "sight.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


TINY_SIGHT = {"side": 8, "channels": [4, 4], "width": 4, "frames": 3, "bands": 21}
TINY_AUDIO_DIT = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "mlp_width": 16,
    "latent_channels": 4,
    "text_encoder": {"name": "minilm", "width": 8},
    "video_width": 4,
    "sight": TINY_SIGHT,
}


def write_sounds(folder: Path, *, count: int, sight: str | None) -> Path:
    """Cached sounds of a second, with films of several rates."""
    draw = torch.Generator().manual_seed(count)
    properties = SoundProperties(
        codec="0" * 64,
        sample_rate=16_000,
        hop=640,
        encoders={"minilm": 8},
        encoder_hashes={"minilm": "0" * 64},
        features=None if sight is None else (sight, 4),
        source="test",
        num_sounds=count,
    )
    begin(folder, SOUND_KIND, MEMBERS, properties.model_dump(mode="json"))
    samples = []
    for i in range(count):
        fps = (8, 12, 24, 60)[i % 4]
        seen = SeenFrames(torch.randn(fps, 4, generator=draw), float(fps))
        latent, text = torch.randn(4, 25, generator=draw), torch.randn(2 + i % 3, 8, generator=draw)
        samples.append(SoundSample(latent, {"minilm": text}, f"{i}", 16_000, None if sight is None else seen))
    write_shard(folder, 0, map(write_sound, samples))
    finish(folder, 1)
    return folder


@pytest.fixture
def audio_dit_recipe(tmp_path: Path) -> Path:
    """The audio transformer on films, and on sounds without pictures in every second batch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_sight(Sight(SightConfig.model_validate(TINY_SIGHT)), tmp_path / "sight")
    films = write_sounds(tmp_path / "films", count=11, sight=weights_hash(tmp_path / "sight"))
    sounds = write_sounds(tmp_path / "sounds", count=5, sight=None)
    content = {
        "model": "audio_dit",
        "preset": "miniature",
        "architecture": TINY_AUDIO_DIT,
        "data": {"sounds": str(films)},
        "sight": str(tmp_path / "sight"),
        "alone": {"sounds": str(sounds), "every": 2},
        "lengths": [{"seconds": 0.4, "share": 2}, {"seconds": 0.8}],
        "batch_size": 2,
        "steps": STEPS,
        "optimizer": OPTIMIZER,
        "noise_draws": 2,
        "log_steps": 2,
        "validation": {"every_steps": 3, "num_samples": 3},
    }
    path = tmp_path / "audio_dit.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def game_recipe(tae_recipe: Path, tmp_path: Path) -> Path:
    """The autoencoder against a discriminator that comes in later, on crops of random sizes."""
    content = {
        **yaml.safe_load(tae_recipe.read_text()),
        "short_clips": None,
        "crops": {"sides": [8, 16], "frames": [4, 8]},
        "discriminator": {"start": 2, "channels": 4, "layers": 1, "lr": 1e-3},
    }
    path = tmp_path / "game.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def run(recipe: Path, out: Path, *overrides: str, **options: Any) -> None:
    Train(recipe=recipe, out=out, set=list(overrides), device="cpu", **options).run()


def state(out: Path) -> dict[str, Any]:
    """Everything that the next step depends on."""
    saved = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    return {key: saved[key] for key in ("state_dict", "optimizer_states", "global_step")}


def assert_equal(left: Any, right: Any, where: str = "") -> None:
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_equal(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list):
        assert len(left) == len(right), where
        for i, (a, b) in enumerate(zip(left, right, strict=True)):
            assert_equal(a, b, f"{where}.{i}")
    else:
        assert left == right, where


def log_lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", ["tae", "game", "dit", "joint", "upsampler", "codec", "sight", "audio_dit"])
def test_a_training_in_legs_equals_one_without_a_break(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = request.getfixturevalue(f"{kind}_recipe")
    run(recipe, tmp_path / "whole")
    for _ in range(STEPS):  # every leg ends after its first step
        run(recipe, tmp_path / "legs", max_minutes=1e-9)
    assert state(tmp_path / "legs")["global_step"] == STEPS
    assert_equal(state(tmp_path / "legs"), state(tmp_path / "whole"))
    weights = [tmp_path / name / "weights" / "model.safetensors" for name in ("legs", "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    losses = [
        [
            {key: line[key] for key in line if key.startswith("validation.")}
            for line in log_lines(tmp_path / name)
        ]
        for name in ("legs", "whole")
    ]
    assert [entry for entry in losses[0] if entry] == [entry for entry in losses[1] if entry] != []


_COMMAND = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from moviegen_runtime.cli.train import Train
Train(Path(sys.argv[1]), Path(sys.argv[2]), set=sys.argv[3:], device="cpu").run()
"""


def start(recipe: Path, out: Path, *overrides: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", _COMMAND, str(recipe), str(out), *overrides]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_step(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Wait until the log tells of a step."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if (out / "log.jsonl").exists() and any(
            line.startswith("{") and f'"step": {step},' in line
            for line in (out / "log.jsonl").read_text().splitlines()
        ):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    raise AssertionError("the training did not get that far")


@pytest.mark.parametrize("kind", ["tae", "game"])
def test_killed_and_resumed_equals_uninterrupted(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = request.getfixturevalue(f"{kind}_recipe")
    overrides = ["steps=12", "checkpoint_minutes=0.0001", "log_steps=1"]
    out = tmp_path / "killed"
    process = start(recipe, out, *overrides)
    wait_for_step(process, out, 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < state(out)["global_step"] < 12
    run(recipe, out, *overrides)
    run(recipe, tmp_path / "whole", *overrides)
    assert_equal(state(out), state(tmp_path / "whole"))
    steps = [line["step"] for line in log_lines(out) if "rate" in line]
    assert steps == list(range(1, 13))  # no step is told twice


def test_the_discriminator_is_trained_from_its_start_on_and_resumed(
    tmp_path: Path, game_recipe: Path
) -> None:
    run(game_recipe, tmp_path / "out", "log_steps=1")
    heard = [any(key.endswith(".discriminator") for key in line) for line in log_lines(tmp_path / "out")]
    steps = [line["step"] for line, told in zip(log_lines(tmp_path / "out"), heard, strict=True) if told]
    assert steps == [3, 4, 5, 6]  # the start counts steps that are done
    saved = state(tmp_path / "out")["optimizer_states"][0]
    assert len(saved["param_groups"][-1]["params"]) > 0
    first = saved["param_groups"][-1]["params"][0]
    assert saved["state"][first]["step"].item() == STEPS - 2
    moviegen_tae.from_pretrained(tmp_path / "out" / "weights")  # the discriminator is not in them


def test_an_upsampler_goes_on_with_the_autoencoder_that_it_began_with_only(
    tmp_path: Path, upsampler_recipe: Path
) -> None:
    run(upsampler_recipe, tmp_path / "out", max_minutes=1e-9)
    first = moviegen_dit.upsampler_from_pretrained(tmp_path / "out" / "weights")
    assert first.config.window == 4
    torch.manual_seed(1)
    moviegen_tae.save(moviegen_tae.TAE(moviegen_tae.TAEConfig.model_validate(TINY_TAE)), tmp_path / "coder")
    with pytest.raises(ValueError, match="began with other weights of the autoencoder"):
        run(upsampler_recipe, tmp_path / "out")


@pytest.mark.parametrize("kind", ["codec", "audio_dit"])
def test_sound_is_trained_in_mixed_precision_too(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recipe = request.getfixturevalue(f"{kind}_recipe")
    for precision in ("32-true", "bf16-mixed"):
        run(recipe, tmp_path / precision, "log_steps=1", precision=precision)
    exact, mixed = (log_lines(tmp_path / precision)[1] for precision in ("32-true", "bf16-mixed"))
    terms = [name for name in exact if name in ("mel", "kl", "loss")]
    assert terms
    for name in terms:  # of the first step, before weights differ
        assert mixed[name] == pytest.approx(exact[name], rel=0.05)


def test_an_interrupt_saves_and_exits(tmp_path: Path, dit_recipe: Path) -> None:
    overrides = ["steps=1000000", "optimizer.schedule=constant", "log_steps=1"]
    out = tmp_path / "interrupted"
    process = start(dit_recipe, out, *overrides)
    wait_for_step(process, out, 2)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGINT  # KeyboardInterrupt that nobody caught
    assert "goes on from there" in stderr
    assert state(out)["global_step"] == log_lines(out)[-1]["step"]
    moviegen_dit.from_pretrained(out / "weights")


def test_another_recipe_is_refused_by_its_first_difference(tmp_path: Path, dit_recipe: Path) -> None:
    out = tmp_path / "out"
    run(dit_recipe, out, "steps=1")
    with pytest.raises(ValueError, match=r"another 'optimizer\.betas'"):
        run(dit_recipe, out, "optimizer.betas=[0.8, 0.9]")
    run(dit_recipe, out, "steps=2", "validation=null", "log_steps=1")
    assert state(out)["global_step"] == 2


def test_a_finished_training_says_so(
    tmp_path: Path, dit_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(dit_recipe, out, "steps=1")
    before = state(out)
    run(dit_recipe, out, "steps=1")
    assert "1 of 1 steps" in capsys.readouterr().err
    assert_equal(state(out), before)


def test_initial_weights_count_without_a_checkpoint_only(
    tmp_path: Path, tae_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tae_recipe, tmp_path / "first")
    weights = tmp_path / "first" / "weights"
    frozen = ["optimizer.lr=1e-30", "optimizer.muon_lr=1e-30"]  # what is exported is what it began with
    run(tae_recipe, tmp_path / "second", *frozen, init=weights)
    assert log_lines(tmp_path / "second")[0] == {"step": 0, "event": "start", "from": str(weights)}
    first, second = (
        moviegen_tae.from_pretrained(tmp_path / name / "weights") for name in ("first", "second")
    )
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value, atol=2e-3, rtol=2e-3)
    capsys.readouterr()
    run(tae_recipe, tmp_path / "second", *frozen, "steps=7", init=weights)
    assert "is not used" in capsys.readouterr().err


def test_initial_weights_of_another_architecture_are_refused(tmp_path: Path, tae_recipe: Path) -> None:
    run(tae_recipe, tmp_path / "first", "steps=1")
    weights = tmp_path / "first" / "weights"
    with pytest.raises(ValueError, match="latent_channels is 4 in the weights, 8 in the recipe"):
        run(tae_recipe, tmp_path / "second", "architecture.latent_channels=8", init=weights)
    assert not (tmp_path / "second").exists()  # what was refused does not take the folder


@pytest.fixture
def joint_recipe(dit_recipe: Path, image_latents: Path, tmp_path: Path) -> Path:
    """Every second batch is of images."""
    content = yaml.safe_load(dit_recipe.read_text())
    content |= {"images": {"latents": str(image_latents), "every": 2}, "log_steps": 1}
    path = tmp_path / "joint.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_one_model_trains_on_images_among_videos(tmp_path: Path, joint_recipe: Path) -> None:
    run(joint_recipe, tmp_path / "out", "steps=4")
    trained = {line["step"]: line for line in log_lines(tmp_path / "out") if "rate" in line}
    assert [("loss" in trained[step], "image.loss" in trained[step]) for step in (1, 2, 3, 4)] == [
        (True, False),
        (False, True),
    ] * 2


@pytest.mark.parametrize(
    ("frames", "text_hash", "sentence"),
    [(2, "0" * 64, "must hold latents of images, not of 2"), (1, "1" * 64, "by other text encoders")],
)
def test_images_that_do_not_fit_the_videos_are_refused(
    frames: int, text_hash: str, sentence: str, tmp_path: Path, joint_recipe: Path
) -> None:
    other = write_latents(tmp_path / "other", count=3, frames=frames, text_hash=text_hash)
    with pytest.raises(ValueError, match=sentence):
        run(joint_recipe, tmp_path / "out", f"images.latents={other}")
    with pytest.raises(ValueError, match=r"give --set images\.latents=FOLDER"):
        run(joint_recipe, tmp_path / "none", "images.latents=null")


def test_longer_clips_have_their_turns_and_a_loss_of_their_own(tmp_path: Path, dit_recipe: Path) -> None:
    longer = write_latents(tmp_path / "longer", count=3, frames=3)
    among = (f"longer.latents={longer}", "longer.every=3", "log_steps=1")
    run(dit_recipe, tmp_path / "out", "steps=3", *among)
    trained = {line["step"]: line for line in log_lines(tmp_path / "out") if "rate" in line}
    assert ["longer.loss" in trained[step] for step in (1, 2, 3)] == [False, False, True]
    with pytest.raises(ValueError, match="must hold latents of longer clips than the 2 latent frames"):
        run(
            dit_recipe,
            tmp_path / "none",
            f"longer.latents={write_latents(tmp_path / 'same', count=3, frames=2)}",
        )


def test_noise_on_the_text_reaches_the_training_and_not_the_validation(
    dit_recipe: Path, tmp_path: Path
) -> None:
    def module(noise: float) -> DiTModule:
        recipe = load_recipe(dit_recipe, [f"text_noise={noise}"])
        torch.manual_seed(0)
        made = build_training(recipe).module
        assert isinstance(made, DiTModule)
        with torch.no_grad():  # fresh ones start as zero and hear nothing
            for one, other in zip(made.model.parameters(), made.ema.model.parameters(), strict=True):
                one.normal_(std=0.3, generator=torch.Generator().manual_seed(one.numel()))
                other.copy_(one)
        return made

    plain, noisy = module(0.0), module(0.4)
    batch = collate_latents(plain.source)(range(3))
    (text,) = batch.texts
    added = 0.4 * torch.randn(text.embeddings.shape, generator=noisy.noise(5, "text minilm"))
    disturbed = replace(batch, texts=(replace(text, embeddings=text.embeddings + added),))
    heard = noisy.loss(batch, 5)[0]
    torch.testing.assert_close(heard, plain.loss(disturbed, 5)[0])
    assert abs(heard.item() - plain.loss(batch, 5)[0].item()) > 1e-3
    assert noisy.validate(tmp_path / "none.png") == plain.validate(tmp_path / "none.png")


def begun_from_a_stage(
    tmp_path: Path, recipe: Path, *changes: str
) -> tuple[moviegen_dit.VideoDiT, moviegen_dit.VideoDiT]:
    """A transformer, and what a training with changes makes of it before it learns; in first and second."""
    run(recipe, tmp_path / "first", "steps=1")
    frozen = ["optimizer.lr=1e-30", "optimizer.muon_lr=1e-30", "steps=1"]  # exported is what it began with
    run(recipe, tmp_path / "second", *changes, *frozen, init=tmp_path / "first" / "weights")
    first, second = (
        moviegen_dit.from_pretrained(tmp_path / name / "weights") for name in ("first", "second")
    )
    return first, second


def assert_states_are_close(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(state) == list(expected)
    for name, value in state.items():
        torch.testing.assert_close(value, expected[name], atol=2e-3, rtol=2e-3)


def positions_times(*factors: int) -> tuple[int, ...]:
    lengths = moviegen_dit.preset("miniature").positions
    return tuple(factor * length for factor, length in zip(factors, lengths, strict=True))


def test_position_tables_grow_from_the_stage_before(
    tmp_path: Path, dit_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = positions_times(1, 2, 3)
    small, grown = begun_from_a_stage(tmp_path, dit_recipe, f"architecture.positions={list(larger)}")
    assert "position tables grown from" in capsys.readouterr().err
    assert "grown" in log_lines(tmp_path / "second")[0]["changes"]
    assert grown.config.positions == larger
    assert_states_are_close(grown.state_dict(), moviegen_dit.grow_positions(small.state_dict(), larger))
    shorter = f"architecture.positions={[*larger[:2], larger[2] - 1]}"
    with pytest.raises(ValueError, match="can only grow, not to"):
        run(dit_recipe, tmp_path / "third", shorter, "steps=1", init=tmp_path / "second" / "weights")


def test_patches_are_split_from_the_stage_before(
    tmp_path: Path, dit_recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finer = ["architecture.patch=[1, 1, 1]", f"architecture.positions={list(positions_times(1, 2, 2))}"]
    small, split = begun_from_a_stage(tmp_path, dit_recipe, *finer)
    assert "patches split from (1, 2, 2) to (1, 1, 1)" in capsys.readouterr().err
    expected = moviegen_dit.split_patches(small.state_dict(), small.config.patch)
    assert_states_are_close(split.state_dict(), expected)
    back = [*finer, "architecture.patch=[1, 2, 2]", "steps=1"]
    with pytest.raises(ValueError, match=r"patches can be split to \(1, 1, 1\) only, not to \(1, 2, 2\)"):
        run(dit_recipe, tmp_path / "no", *back, init=tmp_path / "second" / "weights")


def test_exported_latents_are_normalised_over_draws(
    tmp_path: Path, tae_recipe: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moviegen_runtime.training.clips import collate_clips, open_clips
    from moviegen_runtime.training.recipe import ClipData

    sharp = moviegen_tae.TAE.posterior

    def coarse(self: moviegen_tae.TAE, clip: VideoClip) -> moviegen_tae.Posterior:
        """An untrained posterior is so narrow that its draws are its means."""
        posterior = sharp(self, clip)
        return moviegen_tae.Posterior(posterior.mean, posterior.log_variance + 5)

    monkeypatch.setattr(moviegen_tae.TAE, "posterior", coarse)
    run(tae_recipe, tmp_path / "out", "statistics_clips=11")
    tae = moviegen_tae.from_pretrained(tmp_path / "out" / "weights")
    source = open_clips(ClipData(shards=clips))
    with torch.no_grad():
        posterior = tae.posterior(collate_clips(source)(range(len(source))).clip())
    assert (posterior.log_variance > -0.5).all()
    draws = [tae.normalise(posterior.sample(torch.Generator().manual_seed(seed))) for seed in range(300)]
    values = torch.stack(draws).transpose(0, 2).flatten(1)
    torch.testing.assert_close(values.mean(dim=1), torch.zeros(len(values)), atol=0.03, rtol=0)
    torch.testing.assert_close(values.std(dim=1), torch.ones(len(values)), atol=0.03, rtol=0)


def test_a_training_that_comes_apart_stops_and_keeps_its_checkpoint(tmp_path: Path, dit_recipe: Path) -> None:
    out = tmp_path / "out"
    apart = ["optimizer.lr=1e30", "optimizer.muon_lr=1e30", "gradient_clip=null"]
    run(dit_recipe, out, *apart, "optimizer.warmup_steps=1000", "optimizer.lr=1e-6", "steps=1")
    before = (out / "checkpoints" / "last.ckpt").read_bytes()
    with pytest.raises(ValueError, match="came apart"):
        run(dit_recipe, tmp_path / "apart", *apart)
    assert not (tmp_path / "apart" / "checkpoints" / "last.ckpt").exists()
    assert (out / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_damaged_checkpoint_is_named(tmp_path: Path, dit_recipe: Path) -> None:
    out = tmp_path / "out"
    run(dit_recipe, out, "steps=1")
    checkpoint = out / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged: delete it"):
        run(dit_recipe, out, "steps=2")


def test_a_folder_of_something_else_is_refused(tmp_path: Path, dit_recipe: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="holds no training"):
        run(dit_recipe, tmp_path / "out")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["data=null"], "--set data.latents=FOLDER"),
        (["data.tae=nowhere"], "no weights at 'nowhere'"),
        (["validation.num_samples=11"], "too few to hold 11 out"),
        (["architecture.latent_channels=8"], "latents have 4 channels"),
        (["architecture.positions=[1, 8, 8]"], "latent frames must be"),
        (["architecture.layres=8"], "unknown key 'architecture.layres'"),
        (["preset=huge"], "no video transformer preset is called 'huge'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    overrides: list[str], sentence: str, tmp_path: Path, dit_recipe: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        run(dit_recipe, tmp_path / "out", *overrides)


def test_arguments_out_of_range_are_refused(tmp_path: Path, dit_recipe: Path) -> None:
    with pytest.raises(ValueError, match="--threads"):
        run(dit_recipe, tmp_path / "out", threads=0)
    with pytest.raises(ValueError, match="--max-minutes"):
        run(dit_recipe, tmp_path / "out", max_minutes=-1.0)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, dit_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device here"):
        Train(recipe=dit_recipe, out=tmp_path / "out", device="cuda").run()
    assert not (tmp_path / "out").exists()


def test_the_perceptual_term_is_trained_on(tmp_path: Path, tae_recipe: Path) -> None:
    run(tae_recipe, tmp_path / "without", "validation=null")
    run(tae_recipe, tmp_path / "with", "validation=null", "loss.perceptual=0.5")
    assert any(line.get("video.perceptual", 0) > 0 for line in log_lines(tmp_path / "with"))
    without, with_ = (
        moviegen_tae.from_pretrained(tmp_path / name / "weights") for name in ("without", "with")
    )
    assert not torch.equal(without.decoder.conv_out.spatial.weight, with_.decoder.conv_out.spatial.weight)
    assert state(tmp_path / "with")["state_dict"].keys() == state(tmp_path / "without")["state_dict"].keys()


def test_a_linear_code_starts_as_principal_components(tae_recipe: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(tae_recipe.read_text())
    content["architecture"] |= {"linear_code": True}
    tae_recipe.write_text(yaml.safe_dump(content))
    Train(
        tae_recipe, tmp_path / "run", set=["steps=1", "optimizer.lr=1e-12", "optimizer.muon_lr=1e-12"]
    ).run()
    tae = moviegen_tae.from_pretrained(tmp_path / "run" / "weights")
    assert tae.linear_code is not None
    basis = tae.linear_code.basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), rtol=0, atol=1e-2)  # kept in float16
    # The latents of what it was fitted on, all clips' or some, have the code's unit scale.
    assert float((tae.latent_std - 1).abs().max()) < 0.05
