"""What a step of the audio transformer's training learns from, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from moviegen_audio import Sight, SightConfig, load_dit, load_sight, save_sight
from moviegen_core import weights_hash
from moviegen_runtime.data.sound_latents import (
    MEMBERS,
    SOUND_KIND,
    SeenFrames,
    ShardedSounds,
    SoundProperties,
    SoundSample,
    write_sound,
)
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_runtime.training.audio_build import audio_dit_config, build_audio_dit
from moviegen_runtime.training.audio_dit_module import AudioDiTModule, HeardAndSeen, collate_heard
from moviegen_runtime.training.audio_recipe import AudioDiTRecipe
from moviegen_runtime.training.build import load_initial
from moviegen_runtime.training.recipe_file import validate_recipe

ARCHITECTURE: dict[str, Any] = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "mlp_width": 16,
    "latent_channels": 4,
    "text_encoder": {"name": "minilm", "width": 8},
    "video_width": 4,
    "sight": {"side": 8, "channels": [4, 4], "width": 4, "frames": 3, "bands": 2},
}
NOTHING_HIDDEN = {"no_context": 1.0, "nothing": 0.0, "no_text": 0.0, "no_video": 0.0}
RATES = (8.0, 12.0, 24.0, 60.0)


def what_sees(folder: Path, seed: int = 0) -> Path:
    """Weights that see, written if they are not there."""
    if not folder.exists():
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            save_sight(Sight(SightConfig.model_validate(ARCHITECTURE["sight"])), folder)
    return folder


def write_set(
    folder: Path, *, see: bool = True, text: str = "minilm", hop: int = 640, width: int = 4
) -> Path:
    """Six sounds of a second or a little more, with films of several rates, or without."""
    seen_by = weights_hash(what_sees(folder.parent / "sight"))
    draw = torch.Generator().manual_seed(0)
    properties = SoundProperties(
        codec="a" * 64,
        sample_rate=16_000,
        hop=hop,
        encoders={text: 8},
        encoder_hashes={text: ("b" if text == "minilm" else "c") * 64},
        features=(seen_by, width) if see else None,
        source="test",
        num_sounds=6,
    )
    begin(folder, SOUND_KIND, MEMBERS, properties.model_dump(mode="json"))
    samples = []
    for i in range(6):
        fps, samples_ = RATES[i % 4], 16_000 + 640 * i
        seen = SeenFrames(torch.randn(int(fps), width, generator=draw), fps) if see else None
        latent = torch.randn(4, -(-samples_ // hop), generator=draw)
        states = {text: torch.randn(2 + i % 3, 8, generator=draw)}
        samples.append(SoundSample(latent, states, f"{i}", samples_, seen))
    write_shard(folder, 0, map(write_sound, samples))
    finish(folder, 1)
    return folder


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("films") / "set")


def recipe_of(folder: Path, **changes: Any) -> AudioDiTRecipe:
    content: dict[str, Any] = {
        "model": "audio_dit",
        "preset": "miniature",
        "architecture": ARCHITECTURE,
        "data": {"sounds": str(folder)},
        "sight": str(folder.parent / "sight"),
        "batch_size": 2,
        "steps": 10,
        "optimizer": {"lr": 1e-3},
    }
    recipe = validate_recipe({**content, **changes}, "here")
    assert isinstance(recipe, AudioDiTRecipe)
    return recipe


def module(folder: Path, **changes: Any) -> AudioDiTModule:
    """With every parameter that starts at zero moved away from it."""
    torch.manual_seed(0)
    made = build_audio_dit(recipe_of(folder, **changes)).module
    assert isinstance(made, AudioDiTModule)
    made.trainer = SimpleNamespace(precision="32-true")
    with torch.no_grad():
        for mine, average in zip(made.model.parameters(), made.ema.model.parameters(), strict=True):
            if mine.requires_grad and not mine.any():
                mine.normal_(std=0.2)
            average.copy_(mine)
    return made


def batch(folder: Path, indices: Sequence[int] = (0, 1, 2, 3)) -> HeardAndSeen:
    return collate_heard(ShardedSounds(folder), "minilm")(indices)


def test_a_batch_is_as_long_as_its_shortest_sound(films: Path) -> None:
    made, stored = batch(films, (3, 1)), ShardedSounds(films)
    assert made.latents.shape == (2, 4, 26)
    torch.testing.assert_close(made.latents[0], stored[3].latent[:, :26].float())
    assert made.text.lengths.tolist() == [2, 3]
    assert made.seen is not None
    assert [each.fps for each in made.seen] == [60, 12]


@pytest.mark.parametrize(("first", "frames"), [(0, 25), (7, 11)])
def test_each_frame_of_sound_sees_the_picture_of_its_middle(films: Path, first: int, frames: int) -> None:
    """At any frame rate, one batch of several: picture n is seen from n / fps to (n + 1) / fps."""
    content = batch(films)
    assert content.seen is not None
    found = module(films)._features(content.seen, first, frames)
    assert (found.values.shape, found.fps) == ((4, frames, 4), 25.0)
    for values, each in zip(found.values, content.seen, strict=True):
        for place, value in enumerate(values):
            number = int((first + place + 0.5) / 25 * each.fps)
            assert torch.equal(value, each.values[number].float())


def test_features_of_a_clip_need_no_sight(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set")
    training = module(folder, architecture={**ARCHITECTURE, "sight": None}, sight=None)
    training.loss(batch(folder), 0)[0].backward()
    assert training.model.video.projection.weight.grad is not None


def test_what_sees_stays_as_it_is(films: Path) -> None:
    training = module(films, masking=NOTHING_HIDDEN, optimizer={"lr": 1e-2, "weight_decay": 0.1})
    optimizer = training.configure_optimizers()
    for step in range(3):
        training.loss(batch(films), step)[0].backward()
        optimizer.step()
        training.ema.update(training.model)
    wanted = load_sight(films.parent / "sight").state_dict()
    for model in (training.model, training.ema.model):
        assert model.sight is not None
        for name, value in model.sight.state_dict().items():
            assert torch.equal(value, wanted[name]), name


def test_weights_that_saw_otherwise_begin_with_the_recipes_sight(films: Path, tmp_path: Path) -> None:
    before = module(films)
    before.export(tmp_path / "weights")
    assert load_initial(module(films), tmp_path / "weights") is None
    what_sees(tmp_path / "sight", seed=1)
    other = module(write_set(tmp_path / "set"))
    assert other.model.sight is not None
    wanted = {f"sight.{name}": value.clone() for name, value in other.model.sight.state_dict().items()}
    assert load_initial(other, tmp_path / "weights") == "sight replaced by the recipe's"
    for model in (other.model, other.ema.model):
        for name, value in model.state_dict().items():
            expected = wanted.get(name, before.ema.model.state_dict()[name].half().float())
            assert torch.equal(value, expected), name


def test_a_step_depends_on_its_number_alone_and_reaches_every_weight(films: Path) -> None:
    training = module(films, masking={**NOTHING_HIDDEN, "no_text": 0.5}, noise_draws=2)
    losses = [training.loss(batch(films), step)[0] for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    for step in range(4):  # some with a text, some without
        training.loss(batch(films), step)[0].backward()
    for name, parameter in training.model.named_parameters():
        if name.startswith("sight."):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_what_is_hidden_is_not_learned_from(films: Path) -> None:
    content = batch(films)
    other = HeardAndSeen(content.latents, batch(films, (1, 0, 2, 3)).text, batch(films, (1, 0, 2, 3)).seen)
    for masking, same in (({"nothing": 1.0}, True), (NOTHING_HIDDEN, False)):
        training = module(films, masking=masking)
        assert (training.loss(content, 0)[0] == training.loss(other, 0)[0]) == same


def test_lengths_are_drawn_by_their_shares(films: Path) -> None:
    training = module(
        films, lengths=[{"seconds": 0.2, "share": 3}, {"seconds": 0.6}, {"seconds": 9, "share": 1}]
    )
    spans = [training._span(25, step) for step in range(200)]
    counts = [sum(frames == length for _, frames in spans) for length in (5, 15, 25)]
    assert sum(counts) == 200
    assert counts[0] == pytest.approx(120, abs=25)
    firsts = {first for first, frames in spans if frames == 5}
    assert {0, 20} <= firsts <= set(range(21))
    assert len(firsts) > 15
    assert spans == [training._span(25, step) for step in range(200)]
    assert module(films)._span(25, 0) == (0, 25)


def test_sounds_alone_are_logged_apart(films: Path, tmp_path: Path) -> None:
    alone = write_set(tmp_path / "alone", see=False)
    training = module(films, alone={"sounds": str(alone)})
    assert set(training.loss(batch(films), 0)[1]) == {"loss"}
    assert set(training.loss(batch(alone), 0)[1]) == {"alone.loss"}


def test_a_few_steps_on_one_batch_lower_the_loss(films: Path) -> None:
    training = module(films, masking=NOTHING_HIDDEN, optimizer={"name": "muon", "lr": 1e-2, "muon_lr": 1e-2})
    optimizer = training.configure_optimizers()
    losses = []
    for _ in range(60):
        loss, _terms = training.loss(batch(films), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_matrices_inside_are_moved_by_muon(films: Path) -> None:
    training = module(films, optimizer={"name": "muon", "lr": 1e-3, "muon_lr": 1e-3})
    names = {id(p): name for name, p in training.model.named_parameters()}
    groups = training.configure_optimizers().param_groups
    of_muon = {names[id(p)] for group in groups if group["rule"] == "muon" for p in group["params"]}
    assert "blocks.0.up.weight" in of_muon
    assert all(name.startswith("blocks.") for name in of_muon)
    assert "blocks.0.offsets" not in of_muon


def test_validation_says_what_seeing_is_worth(films: Path, tmp_path: Path) -> None:
    training = module(films, validation={"every_steps": 1, "num_samples": 3})
    figures = training.validate(tmp_path / "preview.png")
    assert set(figures) == {"loss", "blind_loss"}
    assert figures["loss"] != figures["blind_loss"]
    assert figures == training.validate(tmp_path / "preview.png")
    alone = write_set(tmp_path / "alone", see=False)
    blind = module(alone, validation={"every_steps": 1, "num_samples": 3})
    assert set(blind.validate(tmp_path / "preview.png")) == {"loss"}


def test_exported_weights_are_those_of_the_average(films: Path, tmp_path: Path) -> None:
    training = module(films)
    training.export(tmp_path / "weights")
    again = module(films)
    assert load_initial(again, tmp_path / "weights") is None
    state = load_dit(tmp_path / "weights").state_dict()
    for name, value in training.ema.model.state_dict().items():
        assert torch.equal(state[name], value.half().float())
        assert torch.equal(again.model.state_dict()[name], state[name])


@pytest.mark.parametrize(
    ("written", "changes", "sentence"),
    [
        ({}, {"data": None}, "give --set data.sounds=FOLDER"),
        ({}, {"data": {"sounds": "SET", "codec": "nowhere"}}, "no weights at 'nowhere'"),
        ({}, {"validation": {"every_steps": 1, "num_samples": 6}}, "6 sounds are too few to hold 6 out"),
        ({}, {"alone": {"every": 3}}, "give --set alone.sounds=FOLDER"),
        ({}, {"alone": {"sounds": "SET"}}, "must hold sounds without pictures"),
        (
            {},
            {"architecture": {**ARCHITECTURE, "latent_channels": 8}},
            "4 channels at 25 a second; .* 8 at 25",
        ),
        ({"hop": 320}, {}, "4 channels at 50 a second; this transformer reads 4 at 25"),
        ({"text": "t5"}, {}, "text of {'t5': 8}; this transformer reads minilm, 8 wide"),
        ({}, {"sight": None}, "give --set sight=FOLDER"),
        ({}, {"architecture": {**ARCHITECTURE, "sight": None}}, "no sight of its own: leave sight out"),
        ({}, {"sight": "OTHER"}, "cache the sounds again with `moviegen data sounds --sight"),
        (
            {},
            {"architecture": {**ARCHITECTURE, "sight": {**ARCHITECTURE["sight"], "frames": 5}}},
            "has another architecture than the recipe's sight",
        ),
        (
            {"width": 5},
            {"architecture": {**ARCHITECTURE, "sight": None}, "sight": None},
            "features 5 wide; this transformer reads 4",
        ),
        ({}, {"architecture": {**ARCHITECTURE, "layres": 2}}, "unknown key 'architecture.layres'"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(
    written: dict[str, Any], changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    folder = write_set(tmp_path / "set", **written)
    for section in ("data", "alone"):
        if (changes.get(section) or {}).get("sounds") == "SET":
            changes = {**changes, section: {**changes[section], "sounds": str(folder)}}
    if changes.get("sight") == "OTHER":
        changes = {**changes, "sight": str(what_sees(tmp_path / "other", seed=1))}
    with pytest.raises(ValueError, match=sentence):
        build_audio_dit(recipe_of(folder, **changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"maskin": {}}, "unknown key 'maskin'"),
        ({"masking": {"no_music": 1}}, "unknown key 'masking.no_music'"),
        ({"masking": {"nothing": 2}}, "masking.nothing: input should be less than or equal to 1"),
        ({"compile": True, "lengths": [{"seconds": 1}, {"seconds": 2}]}, "compile is for one shape"),
    ],
)
def test_a_bad_recipe_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        recipe_of(Path("nowhere"), **changes)


def test_the_miniatures_preset_is_what_is_trained_on_the_stage() -> None:
    config = audio_dit_config(recipe_of(Path("nowhere"), architecture={}))
    assert config.sight is not None
    assert config.sight.side == 64
