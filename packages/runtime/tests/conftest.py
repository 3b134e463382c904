"""A cast that is complete and tiny, with random weights: what a pipeline does, it does to it too."""

from __future__ import annotations

import json
from pathlib import Path

import moviegen_dit
import moviegen_tae
import pytest
import torch
from moviegen_runtime import Cast, load

TINY_DEFAULTS = {
    "frames": 9,
    "size": "32x32",
    "fps": 8,
    "steps": 4,
    "guidance": 3.0,
    "schedule": "linear",
    "method": "euler",
}


def random_weights(module: torch.nn.Module, deviation: float) -> None:
    """Move every weight away from its start: a new transformer is the identity, whose samples say nothing."""
    for parameter in module.parameters():
        parameter.data += deviation * torch.randn_like(parameter)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: weights of both models, and defaults of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tae = moviegen_tae.TAE(
            moviegen_tae.TAEConfig(
                channels=(8, 8, 16, 16),
                encoder_blocks=(0, 0, 0, 0),
                decoder_blocks=(0, 0, 0, 0),
                latent_channels=4,
                patch_size=4,
                norm_groups=4,
            )
        )
        dit = moviegen_dit.VideoDiT(
            moviegen_dit.VideoDiTConfig(
                width=32,
                layers=2,
                heads=2,
                mlp_width=48,
                text_encoders=(moviegen_dit.TextEncoderSpec(name="minilm", width=384),),
                positions=(3, 3, 3),
                latent_channels=4,
            )
        )
        random_weights(dit, 0.1)
    moviegen_tae.save(tae, folder / "tae")
    moviegen_dit.save(dit, folder / "dit")
    (folder / "cast.json").write_text(json.dumps({"defaults": TINY_DEFAULTS}))
    return folder


@pytest.fixture(scope="session")
def cast(tiny_model: Path) -> Cast:
    """The tiny cast on the CPU, one sample at a time."""
    return load(tiny_model, device="cpu")
