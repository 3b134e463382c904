"""The spatial upsampler: what it starts as, what it reads, and how it is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from moviegen_core import TextContext, VideoShape
from moviegen_dit import (
    SpatialUpsampler,
    UpsamplerConfig,
    VideoDiT,
    VideoDiTConfig,
    from_pretrained,
    locate_upsampler,
    preset,
    save,
    save_upsampler,
    upsampler_from_pretrained,
    upsampler_preset,
    upsampler_state,
)
from pydantic import ValidationError

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


def config_of(base: VideoDiTConfig, positions: tuple[int, int, int]) -> UpsamplerConfig:
    changes = {"positions": positions, "condition_channels": base.latent_channels}
    return UpsamplerConfig.model_validate(base.model_dump() | changes)


def widened(base: VideoDiT, positions: tuple[int, int, int]) -> SpatialUpsampler:
    upsampler = SpatialUpsampler(config_of(base.config, positions)).double()
    upsampler.load_state_dict(upsampler_state(base, upsampler.config))
    return upsampler


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_starts_as_the_transformer_that_it_is_made_of(model: VideoDiT, contexts: MakeContexts) -> None:
    upsampler, prompts = widened(model, model.config.positions), contexts([[3, 1], [2, 4]])
    x, t = randn(2, 4, 3, 8, 10), torch.tensor([0.2, 0.7]).double()
    given = upsampler(x, randn(2, 4, 3, 8, 10, seed=1), t, upsampler.prepare(prompts))
    wanted = model(x, t, model.prepare(prompts))
    assert wanted.abs().max() > 0.1
    torch.testing.assert_close(given, wanted, rtol=1e-12, atol=1e-12)


def test_a_new_one_does_not_look_at_the_enlarged_video_and_learns_to() -> None:
    upsampler = SpatialUpsampler(upsampler_preset("miniature"))
    weight = upsampler.dit.patch_in.weight
    assert not weight[:, 64:].any()
    assert weight.detach()[:, :64].std() == pytest.approx(1 / 8, rel=0.05)
    with torch.no_grad():
        upsampler.dit.patch_out.weight.normal_(std=0.1)
    x, enlarged = randn(1, 16, 2, 4, 4).float(), randn(1, 16, 2, 4, 4, seed=1).float()
    upsampler(x, enlarged, torch.tensor([0.5]), upsampler.null_conditions(1)).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad[:, 64:].abs().max() > 0


def test_tables_along_time_are_cut_and_those_of_space_grown(model: VideoDiT) -> None:
    upsampler = widened(model, (2, 8, 5))
    assert torch.equal(upsampler.dit.frame_positions, model.frame_positions[:2])
    assert len(upsampler.dit.row_positions) == 8
    assert torch.equal(upsampler.dit.column_positions, model.column_positions)
    assert upsampler.config.window == 2


def test_another_transformer_is_refused(model: VideoDiT) -> None:
    config = config_of(model.config, (2, 8, 5)).model_copy(update={"mlp_width": 48})
    with pytest.raises(ValueError, match="differs from it in positions and condition_channels only"):
        upsampler_state(model, config)


def test_what_it_is_shown_moves_every_output_and_must_have_its_shape(model: VideoDiT) -> None:
    upsampler = widened(model, model.config.positions)
    with torch.no_grad():
        upsampler.dit.patch_in.weight[:, 16:].normal_(generator=torch.Generator().manual_seed(2))
    x, t, none = randn(1, 4, 2, 4, 4), torch.tensor([0.5]).double(), upsampler.null_conditions(1)
    first, second = (upsampler(x, randn(1, 4, 2, 4, 4, seed=seed), t, none) for seed in (1, 2))
    assert bool(((first - second).abs() > 1e-9).all())
    with pytest.raises(ValueError, match=r"shape of the noisy one, \(1, 4, 2, 4, 4\), not \(1, 4, 1, 4, 4\)"):
        upsampler(x, randn(1, 4, 1, 4, 4), t, none)


@pytest.mark.parametrize(("name", "parameters"), [("7b", 6_943_826_944), ("miniature", 6_916_864)])
def test_presets_have_exactly_these_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        model = SpatialUpsampler(upsampler_preset(name))
    counted = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {counted:,} parameters")
    assert counted == parameters


def test_the_7b_is_what_the_paper_says_of_it() -> None:
    config = upsampler_preset("7b")
    per_block = 8 * config.width**2 + 3 * config.width * config.mlp_width
    assert config.layers * per_block == pytest.approx(7e9, rel=0.05)
    assert (config.window, config.factor, config.head_width) == (14, 2, 128)
    assert config.token_shape(VideoShape(14, 136, 240)) == VideoShape(14, 68, 120)  # 1088 x 1920 pixels
    assert config.text_encoders == preset("30b").text_encoders


def test_the_miniature_may_start_from_the_miniature_and_is_small_enough() -> None:
    base, config = preset("miniature"), upsampler_preset("miniature")
    changed = {"positions", "condition_channels", "factor"}
    assert config.model_dump(exclude=changed) == base.model_dump(exclude=changed)
    assert config.max_latent_shape == VideoShape(14, 16, 16)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'30b'; there are 7b, miniature"):
        upsampler_preset("30b")


def test_what_it_is_shown_is_a_latent(config: VideoDiTConfig) -> None:
    with pytest.raises(ValidationError, match="those of a latent, 4, not 5"):
        UpsamplerConfig.model_validate(config.model_dump() | {"condition_channels": 5})


def test_a_saved_one_reads_back_the_same_and_is_no_transformer(model: VideoDiT, tmp_path: Path) -> None:
    upsampler = widened(model, (2, 4, 5)).float()
    save_upsampler(upsampler, tmp_path / "up")
    loaded = upsampler_from_pretrained(tmp_path / "up")
    assert loaded.config == upsampler.config
    again = loaded.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in upsampler.state_dict().items())
    with pytest.raises(ValueError, match="holds 'upsampler' weights, not 'dit'"):
        from_pretrained(tmp_path / "up")
    save(model, tmp_path / "dit")
    with pytest.raises(ValueError, match="holds 'dit' weights, not 'upsampler'"):
        upsampler_from_pretrained(tmp_path / "dit")


def test_the_shipped_one_is_the_preset_and_looks_at_what_it_is_shown() -> None:
    shipped = upsampler_from_pretrained("miniature")
    assert shipped.config == upsampler_preset("miniature")
    weight = shipped.dit.patch_in.weight.detach()
    assert weight[:, 64:].std() > 0.01  # what it is shown began at zero
    with pytest.raises(ValueError, match="no weights"):
        locate_upsampler("30b")
