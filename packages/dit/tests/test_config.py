"""Presets against the paper's sizes, and the limits of a config."""

from __future__ import annotations

import pytest
import torch
from moviegen_core import VideoShape
from moviegen_dit import TextEncoderSpec, VideoDiT, VideoDiTConfig, preset
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("name", "parameters", "nominal"),
    [
        ("30b", 29_378_426_880, 30e9),
        ("5b", 4_940_311_552, 5e9),
        ("1b", 938_899_968, 1e9),
        ("miniature", 6_897_920, 7e6),
    ],
)
def test_presets_have_the_size_in_their_name(name: str, parameters: int, nominal: float) -> None:
    with torch.device("meta"):
        model = VideoDiT(preset(name))
    counted = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {counted:,} parameters, {counted / nominal:.3f} of {nominal:,.0f}")
    assert counted == parameters
    assert 0.93 < counted / nominal < 1.01


def test_the_30b_is_that_of_table_1_and_figure_8() -> None:
    config = preset("30b")
    assert (config.layers, config.width, config.mlp_width, config.heads, config.head_width) == (
        48,
        6144,
        16384,
        48,
        128,
    )
    assert config.patch_channels == 64
    # 256 frames of 768 x 768 pixels are the 73K tokens of the abstract.
    assert config.token_shape(VideoShape(32, 96, 96)).positions == 73_728


def test_the_miniature_reaches_32_frames_of_128_pixels() -> None:
    assert preset("miniature").max_latent_shape == VideoShape(4, 16, 16)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'7b'; there are 30b, 5b, 1b, miniature"):
        preset("7b")


def test_heads_divide_the_width(config: VideoDiTConfig) -> None:
    with pytest.raises(ValidationError, match="5 does not divide 24"):
        VideoDiTConfig.model_validate(config.model_dump() | {"heads": 5})


def test_encoders_have_different_names(config: VideoDiTConfig) -> None:
    twice = (TextEncoderSpec(name="one", width=6),) * 2
    with pytest.raises(ValidationError, match="different names, not one, one"):
        VideoDiTConfig.model_validate(config.model_dump() | {"text_encoders": twice})


@pytest.mark.parametrize("field", ["width", "layers", "heads", "mlp_width", "latent_channels"])
def test_every_size_is_bounded(config: VideoDiTConfig, field: str) -> None:
    for size in (0, 10**9):
        with pytest.raises(ValidationError, match=field):
            VideoDiTConfig.model_validate(config.model_dump() | {field: size})
    with pytest.raises(ValidationError, match="positions"):
        VideoDiTConfig.model_validate(config.model_dump() | {"positions": (1, 1, 10**9)})


@pytest.mark.parametrize(
    ("latent", "sentence"),
    [
        (VideoShape(4, 2, 2), "latent frames must be a multiple of 1 and at most 3, not 4"),
        (VideoShape(1, 3, 2), "latent height must be a multiple of 2 and at most 8, not 3"),
        (VideoShape(1, 2, 12), "latent width must be a multiple of 2 and at most 10, not 12"),
    ],
)
def test_a_latent_that_does_not_fit_is_refused(
    config: VideoDiTConfig, latent: VideoShape, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        config.token_shape(latent)
