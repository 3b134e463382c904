"""What a step of the autoencoder's training learns from: crops, images, and the two players of its game."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.training.build import load_initial, tae_config
from moviegen_runtime.training.clips import ClipBatch, collate_clips, random_crops
from moviegen_runtime.training.recipe import Crops, TAERecipe
from moviegen_runtime.training.recipe_file import validate_recipe
from moviegen_runtime.training.tae_module import TAEModule
from moviegen_tae import from_pretrained, hinge_loss
from torch import Tensor

RECIPE: dict[str, Any] = {
    "model": "tae",
    "preset": "miniature",
    "architecture": {
        "channels": [8, 8, 8, 8],
        "encoder_blocks": [0, 0, 0, 0],
        "decoder_blocks": [0, 0, 0, 0],
        "norm_groups": 4,
        "latent_channels": 4,
    },
    "batch_size": 2,
    "steps": 10,
    "optimizer": {"lr": 1e-3},
}
GAME = {"discriminator": {"start": 3, "weight": 0.7, "channels": 8, "layers": 1, "lr": 1e-3}}


class Noise:
    """Clips whose pixels are all different, so that a cut says where it came from."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> CaptionedClip:
        random = np.random.default_rng(index)
        return CaptionedClip(random.integers(0, 255, (8, 24, 32, 3), dtype=np.uint8), 8.0, "noise")


def module(**changes: Any) -> TAEModule:
    recipe = validate_recipe({**RECIPE, **changes}, "here")
    assert isinstance(recipe, TAERecipe)
    torch.manual_seed(0)
    return TAEModule(tae_config(recipe), recipe, Noise())


def batch() -> ClipBatch:
    return collate_clips(Noise())(range(2))


def positions(cut: Tensor, clip: Tensor) -> list[tuple[int, int, int]]:
    """Where in a clip a cut was taken from."""
    T, H, W = (whole - part + 1 for whole, part in zip(clip.shape[:3], cut.shape[:3], strict=True))
    t, h, w = cut.shape[:3]
    return [
        (i, j, k)
        for i in range(T)
        for j in range(H)
        for k in range(W)
        if torch.equal(clip[i : i + t, j : j + h, k : k + w], cut)
    ]


def test_crops_are_cuts_of_one_size_a_step_and_one_place_a_clip() -> None:
    crops, clips = Crops(sides=(8, 16), frames=(3, 8)), batch()
    sizes, places = set(), set()
    for seed in range(24):
        cut = random_crops(clips, crops, torch.Generator().manual_seed(seed))
        sizes.add(tuple(cut.frames.shape[1:4]))
        found = [positions(*pair) for pair in zip(cut.frames, clips.frames, strict=True)]
        assert [len(each) for each in found] == [1, 1]
        places.update(tuple(each) for each in found)
        again = random_crops(clips, crops, torch.Generator().manual_seed(seed))
        assert torch.equal(cut.frames, again.frames)
    assert sizes == {(t, side, side) for t in (3, 8) for side in (8, 16)}
    assert len(places) > 24  # also within one batch they differ


def test_a_crop_of_the_whole_is_the_whole() -> None:
    square = ClipBatch(batch().frames[:, :, :, :24], 8.0)
    cut = random_crops(square, Crops(sides=(24,), frames=(8,)), torch.Generator())
    assert torch.equal(cut.frames, square.frames)


def test_images_are_cropped_too_and_stay_images() -> None:
    training = module(crops={"sides": [16], "frames": [5]}, images={"every": 2, "frames_per_clip": 3})
    kinds = []
    for step in range(4):
        kind, clip = training._cut(batch(), step)
        kinds.append((kind, tuple(clip.frames.shape)))
    assert kinds == [("video", (2, 3, 5, 16, 16)), ("image", (6, 3, 1, 16, 16))] * 2


def test_crops_that_the_clips_do_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="8 frames of 24 x 32"):
        module(crops={"sides": [8, 32], "frames": [8]})
    with pytest.raises(ValueError, match="up to 9 frames"):
        module(crops={"sides": [8], "frames": [9]})


def test_frames_that_are_too_small_for_the_discriminator_are_refused_at_once() -> None:
    large = {**GAME["discriminator"], "layers": 3}
    assert module(discriminator=large).discriminator is not None  # 24 rows are just enough
    with pytest.raises(ValueError, match="it needs 24, or fewer layers"):
        module(discriminator=large, crops={"sides": [24, 16], "frames": [8]})
    with pytest.raises(ValueError, match="it needs 48, or fewer layers"):
        module(discriminator={**large, "layers": 4})


def test_before_its_start_there_is_no_discriminator() -> None:
    with_, without = module(**GAME), module()
    for name, value in without.model.state_dict().items():
        assert torch.equal(with_.model.state_dict()[name], value)  # the same first weights
    losses = [training.loss(batch(), 2) for training in (with_, without)]
    assert torch.equal(losses[0][0], losses[1][0])
    assert losses[0][1].keys() == losses[1][1].keys()
    losses[0][0].backward()
    assert with_.discriminator is not None
    assert all(p.grad is None for p in with_.discriminator.parameters())


def test_one_backward_pass_gives_each_player_its_own_gradient() -> None:
    """Against two separate passes: the share of the decoder written out, and the hinge loss alone."""
    training, reference = module(**GAME), module()
    discriminator = training.discriminator
    assert discriminator is not None
    total, terms = training.loss(batch(), 5)
    total.backward()

    reference.model.load_state_dict(training.model.state_dict())
    others, _ = reference.loss(batch(), 5)
    clip = batch().clip()
    posterior = reference.model.posterior(clip)
    z = posterior.sample(reference.noise(5, "posterior"))
    fake = reference.model.decode_moments(z, clip.shape).transpose(1, 2).flatten(0, 1)
    real = clip.frames.transpose(1, 2).flatten(0, 1)
    last = reference.model.decoder.conv_out.temporal.weight
    adversarial = -discriminator(fake).mean()
    norms = [
        float(torch.autograd.grad(each, last, retain_graph=True)[0].norm()) for each in (others, adversarial)
    ]
    weight = norms[0] / (norms[1] + 1e-4)
    assert terms["video.adaptive_weight"].item() == pytest.approx(weight, rel=1e-4)
    parameters = list(reference.model.parameters())
    expected = torch.autograd.grad(others + 0.7 * weight * adversarial, parameters)
    for ours, gradient in zip(training.model.parameters(), expected, strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad, gradient, rtol=1e-3, atol=1e-5)
    loss = hinge_loss(discriminator(real), discriminator(fake.detach()))
    assert terms["video.discriminator"].item() == pytest.approx(loss.item(), rel=1e-5)
    wanted = torch.autograd.grad(loss, list(discriminator.parameters()))
    for parameter, gradient in zip(discriminator.parameters(), wanted, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_a_leg_of_the_decoder_leaves_latents_as_they_were(tmp_path: Path) -> None:
    module().export(tmp_path / "first")
    training = module(decoder_only=True, **GAME, optimizer={"lr": 1e-2})
    load_initial(training, tmp_path / "first")
    training.trainer = SimpleNamespace(precision="32-true")
    optimizer = training.configure_optimizers()
    for step in range(2, 5):
        optimizer.zero_grad()
        training.loss(batch(), step)[0].backward()
        optimizer.step()
        training.ema.update(training.model)
    training.export(tmp_path / "second")
    first, second = (from_pretrained(tmp_path / name).state_dict() for name in ("first", "second"))
    moved = {name for name in first if not torch.equal(first[name], second[name])}
    decoder = {name for name in first if name.startswith("decoder.")}
    assert moved <= decoder
    # A single latent frame attends to itself, whatever it asks for: rounding is all of their gradients, or
    # not even that.
    free = ("attention.temporal.q.", "attention.temporal.k.")
    assert all(any(part in name for part in free) for name in decoder - moved)


def test_the_decoder_is_given_as_much_of_the_posteriors_noise_as_is_asked_for() -> None:
    clip = batch().clip()
    for share in (0.0, 0.3, 1.0):
        training = module(latent_noise=share, images=None)
        posterior = training.model.posterior(clip)
        draw = posterior.sample(training.noise(0, "posterior"))
        frames = training.model.decode_moments(posterior.mean + share * (draw - posterior.mean), clip.shape)
        expected = (frames - clip.frames).abs().mean()
        got = training.loss(batch(), 0)[1]["video.reconstruction"]
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_a_training_begins_with_a_shallower_decoder_and_not_with_a_deeper_one(tmp_path: Path) -> None:
    def of(blocks: list[int]) -> TAEModule:
        return module(architecture={**RECIPE["architecture"], "decoder_blocks": blocks})

    shallow, deep = of([0, 0, 0, 0]), of([1, 0, 2, 0])
    shallow.export(tmp_path / "shallow")
    deep.export(tmp_path / "deep")
    words = load_initial(deep, tmp_path / "shallow")
    assert words == "decoder deepened from (0, 0, 0, 0) to (1, 0, 2, 0)"
    load_initial(shallow, tmp_path / "shallow")
    clip = batch().clip()
    for made, first in ((deep.model, shallow.model), (deep.ema.model, shallow.ema.model)):
        assert torch.equal(made.decode(made.encode(clip)).frames, first.decode(first.encode(clip)).frames)
    with pytest.raises(
        ValueError, match=r"deep do not fit architecture\.decoder_blocks: .* only become deeper"
    ):
        load_initial(shallow, tmp_path / "deep")


def test_a_leg_of_the_decoder_does_not_start_from_nothing() -> None:
    with pytest.raises(ValueError, match="decoder_only trains on the latents of an encoder that is there"):
        module(decoder_only=True).prepare()


def test_both_players_are_moved_and_clipped_each_by_its_own_norm() -> None:
    training = module(**GAME)
    assert training.discriminator is not None
    training.trainer = SimpleNamespace(precision="32-true")
    optimizer = training.configure_optimizers()
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    players = (training.model, training.discriminator)
    assert {id(p) for p in moved} == {id(p) for player in players for p in player.parameters()}
    assert len(moved) == len({id(p) for p in moved})
    for player, size in zip(players, (10.0, 1e-3), strict=True):
        for p in player.parameters():
            p.grad = torch.full_like(p, size)
    before = [p.grad.clone() for p in training.discriminator.parameters() if p.grad is not None]
    training.configure_gradient_clipping(optimizer, 0.5, None)
    norms = [torch.cat([p.grad.flatten() for p in player.parameters()]).norm() for player in players]  # type: ignore[union-attr]
    assert norms[0].item() == pytest.approx(0.5, rel=1e-4)
    assert norms[1].item() < 0.5
    for p, gradient in zip(training.discriminator.parameters(), before, strict=True):
        assert p.grad is not None
        assert torch.equal(p.grad, gradient)
