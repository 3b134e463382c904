"""Saving and reading a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_core import VideoClip
from moviegen_tae import TAE, TAEConfig, from_pretrained, save

CONFIG = TAEConfig(
    channels=(4, 4, 8, 8),
    encoder_blocks=(0, 0, 0, 0),
    decoder_blocks=(0, 0, 0, 0),
    patch_size=4,
    norm_groups=2,
)


def test_a_saved_model_reads_back_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tae = TAE(CONFIG).eval()
    tae.set_normalisation(torch.randn(16), torch.rand(16) + 0.5)
    save(tae, tmp_path / "tae")
    loaded = from_pretrained(tmp_path / "tae")
    assert loaded.config == CONFIG
    clip = VideoClip(torch.rand(1, 3, 9, 16, 16), fps=8.0)
    torch.testing.assert_close(loaded.encode(clip).values, tae.encode(clip).values, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_model_that_is_read_lies_in_memory_as_a_new_one(tmp_path: Path, dtype: torch.dtype) -> None:
    tae = TAE(CONFIG)
    save(tae, tmp_path / "tae", dtype=dtype)
    loaded = from_pretrained(tmp_path / "tae").state_dict()
    assert not tae.encoder.conv_out.spatial.weight.is_contiguous(), "some kernels are channels-last"
    for name, tensor in tae.state_dict().items():
        assert loaded[name].stride() == tensor.stride(), name
        torch.testing.assert_close(loaded[name], tensor.to(dtype).float(), rtol=0, atol=0)


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    tae = TAE(CONFIG)
    save(tae, tmp_path / "tae", dtype=torch.float16)
    loaded = from_pretrained(tmp_path / "tae").state_dict()
    for name, tensor in tae.state_dict().items():
        torch.testing.assert_close(loaded[name], tensor.half().float(), rtol=0, atol=0)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save(TAE(CONFIG), tmp_path / "tae")
    config = tmp_path / "tae" / "config.json"
    config.write_text(config.read_text().replace('"latent_channels": 16', '"latent_channels": 8'))
    with pytest.raises(ValueError, match=r"\[16\], expected floating point \[8\]"):
        from_pretrained(tmp_path / "tae")


def test_an_unknown_name_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give a shipped name"):
        from_pretrained(tmp_path / "nowhere")
