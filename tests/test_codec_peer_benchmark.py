"""The short training of codecs side by side: the same batches for all, and a table of what was measured."""

from __future__ import annotations

import sys
from functools import partial

import pytest
import torch
from moviegen_audio import AudioCodecConfig
from projects import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import codec_peer

CONFIG = AudioCodecConfig(
    sample_rate=16_000,
    rates=(4, 4, 5, 8),
    encoder_width=2,
    decoder_width=16,
    hidden_width=8,
    latent_channels=4,
)


def test_networks_are_trained_on_the_same_batches_and_better_after_more_steps() -> None:
    make = partial(codec_peer.ours, CONFIG, 1e-2)
    said: list[str] = []
    found = []
    for steps in (1, 20):
        recipe = codec_peer.short(steps, seed=0).model_copy(update={"batch_size": 2})
        assert recipe.validation is not None
        few = recipe.validation.model_copy(update={"num_sounds": 2})
        recipe = recipe.model_copy(update={"validation": few})
        one, other = codec_peer.trained(recipe, CONFIG, {"one": make, "other": make}, said.append)
        assert (one.mel, one.si_sdr, one.kilobits) == (other.mel, other.si_sdr, other.kilobits)
        assert one.parameters == sum(p.numel() for p in make().model.parameters())
        found.append(one)
    assert found[1].mel < 0.8 * found[0].mel
    assert said[-1].startswith("seed 0, step 20 of 20: loss one ")


def test_what_muon_leaves_alone_is_both_ends_and_the_bottleneck() -> None:
    network = codec_peer.ours(CONFIG, 1e-2)
    kernels = [name for name, _ in network.model.named_parameters() if name.endswith(".weight_v")]
    outer = {name for name in kernels if not network.is_inner(name)}
    shapes = {tuple(p.shape) for name, p in network.model.named_parameters() if name in outer}
    assert shapes == {(2, 1, 7), (8, 8, 1), (8, 4, 1), (1, 1, 7)}
    assert len(kernels) > 40


def test_the_latent_carries_as_many_bits_as_its_divergence() -> None:
    network = codec_peer.ours(CONFIG, 0.5)
    sound = 0.1 * torch.randn(1, 1, 16_000)
    coded = network.code(sound, None)
    nats = float(coded.penalty.detach()) / 0.5  # a latent value; 4 of them, 25 times a second
    assert float(coded.kilobits.detach()) == pytest.approx(nats * 1.442695 * 4 * 25 / 1000, rel=1e-5)
    assert coded.samples.shape == sound.shape


def test_the_table_has_mean_and_spread_over_seeds() -> None:
    figures = [
        codec_peer.Figures("one", 0, 1000, 1.0, -2.0, 3.0),
        codec_peer.Figures("other", 0, 2000, 2.0, 0.0, 4.0),
        codec_peer.Figures("one", 1, 1000, 1.5, 4.0, 5.0),
    ]
    assert codec_peer.table(figures).splitlines()[2:] == [
        "| one | 1,000 | 4.00 | 1.250 (1.000 to 1.500) | 1.00 (-2.00 to 4.00) |",
        "| other | 2,000 | 4.00 | 2.000 (2.000 to 2.000) | 0.00 (0.00 to 0.00) |",
    ]
