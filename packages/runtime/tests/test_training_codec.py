"""What a step of the codec's training learns from, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from moviegen_audio import SoundCaption, load_codec
from moviegen_runtime.data import source
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.training.audio_recipe import CodecRecipe
from moviegen_runtime.training.build import codec_config, load_initial, new_model
from moviegen_runtime.training.codec_module import CodecModule
from moviegen_runtime.training.recipe_file import validate_recipe
from moviegen_runtime.training.sounds import SoundBatch, collate_sounds, random_cuts

RECIPE: dict[str, Any] = {
    "model": "codec",
    "preset": "miniature",
    "architecture": {
        "sample_rate": 4000,
        "rates": [4, 5],
        "encoder_width": 2,
        "decoder_width": 8,
        "hidden_width": 8,
        "latent_channels": 4,
    },
    "crop_seconds": 0.35,
    "batch_size": 2,
    "steps": 10,
    "optimizer": {"lr": 1e-3},
    "statistics_sounds": 6,
}
GAME = {"start": 3, "weight": 0.7, "features": 1.3, "channels": 1, "lr": 1e-3}


class Sounds:
    """Noise whose samples are all different, so that a cut says where it came from; some in stereo."""

    def __init__(self, samples: int = 1700, rate: int = 4000) -> None:
        self.samples, self.rate = samples, rate

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> CaptionedSound:
        random = np.random.default_rng(index)
        samples = random.normal(0, 0.1, (1 + index % 2, self.samples + 10 * index)).astype(np.float32)
        return CaptionedSound(samples, self.rate, SoundCaption(9, False, False, 0, "noise"))


def module(sounds: Sounds | None = None, **changes: Any) -> CodecModule:
    recipe = validate_recipe({**RECIPE, **changes}, "here")
    assert isinstance(recipe, CodecRecipe)
    torch.manual_seed(0)
    made = CodecModule(codec_config(recipe), recipe, sounds or Sounds())
    made.trainer = SimpleNamespace(precision="32-true")
    return made


def batch() -> SoundBatch:
    return collate_sounds(Sounds(), 4000)(range(2))


def test_cuts_are_parts_of_their_sounds_in_order() -> None:
    places = set()
    for seed in range(20):
        cuts = random_cuts(batch(), 1400, torch.Generator().manual_seed(seed))
        assert cuts.shape == (2, 1, 1400)
        for place, (cut, sound) in enumerate(zip(cuts, batch().sounds, strict=True)):
            (start,) = (sound[0] == cut[0, 0]).nonzero()[:, 0].tolist()
            assert torch.equal(sound[:, start : start + 1400], cut)
            places.add((place, start))
    assert len(places) > 30
    with pytest.raises(ValueError, match="1700 samples is too short for cuts of 1800"):
        random_cuts(batch(), 1800, torch.Generator())


def test_stereo_is_mixed() -> None:
    stereo = torch.from_numpy(Sounds()[1].samples)
    torch.testing.assert_close(batch().sounds[1], stereo.mean(dim=0, keepdim=True))


def test_a_step_depends_on_its_number_alone_and_reaches_every_weight() -> None:
    training = module(loss={"waveform": 1.0})
    losses = [training.loss(batch(), step)[0] for step in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]
    losses[0].backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in training.model.parameters())
    assert set(training.loss(batch(), 0)[1]) == {"mel", "waveform", "kl"}


def test_discriminators_are_heard_from_their_start_on() -> None:
    training = module(discriminator=GAME)
    assert set(training.loss(batch(), 2)[1]) == {"mel", "kl"}
    total, terms = training.loss(batch(), 3)
    assert set(terms) == {"mel", "kl", "adversarial", "features", "discriminator"}
    weights = {"mel": 15.0, "kl": 1e-2, "adversarial": 0.7, "features": 1.3, "discriminator": 1.0}
    torch.testing.assert_close(total, sum(weights[name] * term for name, term in terms.items()))


def test_each_player_learns_from_its_own_terms() -> None:
    training = module(discriminator=GAME)
    assert training.discriminator is not None
    total, terms = training.loss(batch(), 3)
    players = (list(training.model.parameters()), list(training.discriminator.parameters()))
    weights = {"mel": 15.0, "kl": 1e-2, "adversarial": 0.7, "features": 1.3}
    own = (sum(weights[name] * terms[name] for name in weights), terms["discriminator"])
    for parameters, of_own in zip(players, own, strict=True):
        wanted = torch.autograd.grad(of_own, parameters, retain_graph=True)
        given = torch.autograd.grad(total, parameters, retain_graph=True)
        for ours, theirs in zip(given, wanted, strict=True):
            torch.testing.assert_close(ours, theirs)
    optimizer = training.configure_optimizers()
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in moved} == {id(p) for p in [*players[0], *players[1]]}


def test_lengths_and_frequencies_are_no_matrices() -> None:
    optimizer = {"name": "muon", "lr": 1e-3, "muon_lr": 1e-3, "weight_decay": 0.1}
    training = module(optimizer=optimizer)
    names = {id(p): name for name, p in training.model.named_parameters()}
    groups = training.configure_optimizers().param_groups
    of_muon = [names[id(p)] for group in groups if group["rule"] == "muon" for p in group["params"]]
    assert of_muon
    assert all(name.endswith("weight_v") for name in of_muon)
    assert not any(name.startswith("encoder.layers.0.") for name in of_muon)
    decayed = [names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]]
    assert all(name.endswith("weight_v") for name in decayed)


def test_a_few_steps_on_one_batch_lower_the_loss() -> None:
    training = module(optimizer={"name": "muon", "lr": 3e-3, "muon_lr": 3e-3})
    optimizer = training.configure_optimizers()
    losses = []
    for _ in range(30):
        total, terms = training.loss(batch(), 0)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(terms["mel"].detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_exported_latents_are_normalised_over_the_sounds(tmp_path: Path) -> None:
    training = module()
    training.export(tmp_path / "weights")
    codec = load_codec(tmp_path / "weights")
    clips = list(training._clips(Sounds(), range(6)))
    posteriors = [codec.posterior(clip) for clip in clips]
    draws = [
        codec.normalise(posterior.sample(torch.Generator().manual_seed(seed)))[0]
        for posterior in posteriors
        for seed in range(200)
    ]
    values = torch.cat(draws, dim=1)
    torch.testing.assert_close(values.mean(dim=1), torch.zeros(4), atol=0.02, rtol=0)
    torch.testing.assert_close(values.std(dim=1), torch.ones(4), atol=0.02, rtol=0)
    again = module()
    load_initial(again, tmp_path / "weights")
    for name, value in codec.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)


def test_a_leg_of_the_decoder_leaves_latents_as_they_were(tmp_path: Path) -> None:
    module().export(tmp_path / "first")
    training = module(decoder_only=True, discriminator=GAME, optimizer={"lr": 1e-2})
    load_initial(training, tmp_path / "first")
    optimizer = training.configure_optimizers()
    for step in range(2, 5):
        optimizer.zero_grad()
        training.loss(batch(), step)[0].backward()
        optimizer.step()
        training.ema.update(training.model)
    training.export(tmp_path / "second")
    first, second = (load_codec(tmp_path / name).state_dict() for name in ("first", "second"))
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    assert moved == {name for name in first if name.startswith("decoder.")}


def test_a_leg_of_the_decoder_does_not_start_from_nothing() -> None:
    module().prepare()
    with pytest.raises(ValueError, match="decoder_only trains on the latents of an encoder that is there"):
        module(decoder_only=True).prepare()


def test_validation_hears_whole_sounds_and_draws_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = SimpleNamespace(name="noise", load=lambda: Sounds)
    monkeypatch.setattr(source, "entry_points", lambda **_: [point])
    training = module(validation={"every_steps": 1, "data": {"source": "noise"}, "num_sounds": 3})
    figures = training.validate(tmp_path / "preview.png")
    assert set(figures) == {"mel", "si_sdr", "posterior_std", "foretold"}
    assert figures == training.validate(tmp_path / "preview.png")
    assert (tmp_path / "preview.png").is_file()
    clips = training._clips(Sounds(), range(3))
    made = [(training.ema.model.decode(training.ema.model.encode(clip)), clip) for clip in clips]
    mel = [float(training.early_loss.mel(ours.samples, clip.samples)) for ours, clip in made]
    assert figures["mel"] == pytest.approx(np.mean(mel), rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "sounds", "sentence"),
    [
        ({"crop_seconds": 0.2}, Sounds(), "crop_seconds must be at least 0.25625 at 4000"),
        ({"crop_seconds": 0.3, "discriminator": GAME}, Sounds(), "crop_seconds must be at least 0.32 at"),
        ({}, Sounds(samples=1000), "too short for cuts of 0.35 s: the first has 0.25 s"),
        ({}, Sounds(rate=8000), "reads 4000 samples a second, the sounds have 8000"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(
    changes: dict[str, Any], sounds: Sounds, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        module(sounds, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"compile": True}, "compile is not for the codec"),
        ({"los": {}}, "unknown key 'los'"),
        ({"discriminator": {"lr": 1e-3, "period": 2}}, "unknown key 'discriminator.period'"),
        ({"data": {"shards": "folder"}}, "key 'data.source' is missing"),
        ({"crop_seconds": 0}, "crop_seconds: input should be greater than 0"),
    ],
)
def test_a_bad_recipe_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        validate_recipe({**RECIPE, **changes}, "here")


def test_a_source_that_nobody_offers_is_explained() -> None:
    with pytest.raises(ValueError, match="no sound source is called 'nowhere'"):
        module(validation={"every_steps": 1, "data": {"source": "nowhere"}})


def test_a_recipe_builds_its_model() -> None:
    recipe = validate_recipe(RECIPE, "here")
    with torch.device("meta"):
        assert sum(p.numel() for p in new_model(recipe).parameters()) > 0


def test_sounds_of_a_wrong_type_are_refused() -> None:
    caption = SoundCaption(9, False, False, 0, "noise")
    with pytest.raises(ValueError, match="must be non-empty float32"):
        CaptionedSound(np.zeros((1, 10)), 4000, caption)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rate must be at least 1"):
        CaptionedSound(np.zeros((1, 10), np.float32), 0, caption)
