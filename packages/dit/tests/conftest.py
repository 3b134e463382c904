"""A small model in which nothing is zero any more, and prompts for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from moviegen_core import TextContext
from moviegen_dit import TextEncoderSpec, VideoDiT, VideoDiTConfig

collect_ignore = ["interpreted"]  # test_kernels.py runs that folder, in a process of its own

CONFIG = VideoDiTConfig(
    width=24,
    layers=2,
    heads=2,
    mlp_width=40,
    text_encoders=(TextEncoderSpec(name="one", width=6), TextEncoderSpec(name="two", width=10)),
    positions=(3, 4, 5),
    latent_channels=4,
)

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


@pytest.fixture
def config() -> VideoDiTConfig:
    return CONFIG


@pytest.fixture
def model() -> VideoDiT:
    """In float64, with every parameter that starts at zero moved away from it."""
    torch.manual_seed(0)
    made = VideoDiT(CONFIG).double()
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return made


@pytest.fixture
def contexts() -> MakeContexts:
    """Prompts of the two encoders with the given lengths: `[[2, 3], [0, 4]]` is two prompts in each."""

    def make(lengths: list[list[int]]) -> list[TextContext]:
        generator = torch.Generator().manual_seed(1)
        made = []
        for spec, counts in zip(CONFIG.text_encoders, lengths, strict=True):
            longest = max(*counts, 1)
            states = torch.randn(len(counts), longest, spec.width, generator=generator, dtype=torch.float64)
            mask = torch.arange(longest) < torch.tensor(counts)[:, None]
            made.append(TextContext(states, mask, spec.name))
        return made

    return make
