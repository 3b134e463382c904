"""Saving, reading, and converting the public DAC-VAE's names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    codec_preset,
    convert_dacvae,
    convert_dacvae_file,
    load_codec,
    load_sight,
    save_codec,
    sight_preset,
)
from moviegen_core import AudioClip
from safetensors.torch import save_file
from torch import Tensor

CONFIG = AudioCodecConfig(
    sample_rate=48000, rates=(2, 4), encoder_width=4, decoder_width=8, hidden_width=6, latent_channels=3
)


def conv(name: str, *shape: int, biases: int | None = None) -> dict[str, tuple[int, ...]]:
    sizes = {"weight_g": (shape[0], 1, 1), "weight_v": shape, "bias": (biases or shape[0],)}
    return {f"{name}.{part}": size for part, size in sizes.items()}


def unit(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.block.0.alpha": (1, width, 1),
        **conv(f"{name}.block.1", width, width, 7),
        f"{name}.block.2.alpha": (1, width, 1),
        **conv(f"{name}.block.3", width, width, 1),
    }


def dacvae_shapes(config: AudioCodecConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published checkpoint, for any sizes, written down apart from the converter."""
    levels, shapes, width = len(config.rates), conv("encoder.block.0", config.encoder_width, 1, 7), 0
    for level, rate in enumerate(config.rates, start=1):
        width = config.encoder_width * 2 ** (level - 1)
        for place in range(3):
            shapes |= unit(f"encoder.block.{level}.block.{place}", width)
        shapes[f"encoder.block.{level}.block.3.alpha"] = (1, width, 1)
        shapes |= conv(f"encoder.block.{level}.block.4", 2 * width, width, 2 * rate)
    shapes[f"encoder.block.{levels + 1}.alpha"] = (1, 2 * width, 1)
    shapes |= conv(f"encoder.block.{levels + 2}", config.hidden_width, 2 * width, 3)
    shapes |= conv("quantizer.in_proj", 2 * config.latent_channels, config.hidden_width, 1)
    shapes |= conv("quantizer.out_proj", config.hidden_width, config.latent_channels, 1)
    shapes |= conv("decoder.model.0", config.decoder_width, config.hidden_width, 7)
    for level, rate in enumerate(reversed(config.rates), start=1):
        width = config.decoder_width // 2**level
        shapes[f"decoder.model.{level}.block.0.alpha"] = (1, 2 * width, 1)
        shapes |= conv(f"decoder.model.{level}.block.1", 2 * width, width, 2 * rate, biases=width)
        for place in (4, 5, 8):
            shapes |= unit(f"decoder.model.{level}.block.{place}", width)
        # Some of the watermark branch, whose kernels are not normed.
        shapes[f"decoder.model.{level}.block.3.weight"] = (width, width, 16)
        shapes[f"decoder.model.{level}.block.6.block.1.weight"] = (2, 4, 3)
        shapes[f"decoder.model.{level}.block.11.bias"] = (4,)
    head = "decoder.wm_model.encoder_block"
    shapes[f"{head}.pre.0.alpha"] = (1, width, 1)
    shapes |= conv(f"{head}.pre.1", 1, width, 7)
    shapes |= {f"{head}.pre.3.weight": (32, 1, 7), f"{head}.post.1.weight": (8, 4, 7)}
    shapes["decoder.wm_model.msg_processor.msg_processor.weight"] = (32, 8)
    return shapes


def dacvae(config: AudioCodecConfig = CONFIG) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn(shape) for name, shape in dacvae_shapes(config).items()}


def test_a_saved_codec_reads_back_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = AudioCodec(CONFIG).eval()
    codec.set_normalisation(torch.randn(3), torch.rand(3) + 0.5)
    save_codec(codec, tmp_path / "codec")
    loaded = load_codec(tmp_path / "codec")
    assert loaded.config == CONFIG
    clip = AudioClip(torch.rand(1, 1, 100), 48000)
    torch.testing.assert_close(loaded.encode(clip).values, codec.encode(clip).values, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_an_unknown_name_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give a shipped name"):
        load_codec(tmp_path / "nowhere")


def test_a_new_kernel_is_its_direction() -> None:
    """Weight norm starts with each slice as long as it is."""
    codec = AudioCodec(CONFIG)
    for name, module in codec.named_modules():
        if name.endswith(("conv", "conv1", "conv2")):
            torch.testing.assert_close(module.weight, module.weight_v)


@pytest.mark.parametrize("config", [CONFIG, codec_preset("miniature")])
def test_every_tensor_of_a_dacvae_has_its_place(config: AudioCodecConfig) -> None:
    tensors = dacvae(config)
    codec = convert_dacvae(tensors, config.sample_rate)
    assert codec.config == config
    read = {tuple(parameter.flatten()[:4].tolist()) for parameter in codec.parameters()}
    plain = {name: tensor for name, tensor in tensors.items() if not is_watermark(name)}
    assert len(plain) == len(list(codec.parameters()))
    assert read == {tuple(tensor.flatten()[:4].tolist()) for tensor in plain.values()}


def is_watermark(name: str) -> bool:
    parts = name.split(".")
    if "wm_model" in parts:
        return parts[2:5] not in (["encoder_block", "pre", "0"], ["encoder_block", "pre", "1"])
    return parts[:2] == ["decoder", "model"] and len(parts) > 4 and parts[4] in ("3", "6", "11")


def test_the_published_sizes_are_those_of_the_preset() -> None:
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in dacvae_shapes(codec_preset("paper")).items()}
        codec = AudioCodec(codec_preset("paper"))
    ours = sorted(tuple(parameter.shape) for parameter in codec.parameters())
    assert ours == sorted(tuple(tensor.shape) for name, tensor in tensors.items() if not is_watermark(name))


def test_both_spellings_of_weight_norm_are_read(tmp_path: Path) -> None:
    tensors = dacvae()
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in tensors.items()
    }
    save_file(newer, tmp_path / "dacvae.safetensors")
    one, other = convert_dacvae(tensors), convert_dacvae_file(tmp_path / "dacvae.safetensors")
    clip = AudioClip(torch.rand(1, 1, 50), 48000)
    torch.testing.assert_close(one.encode(clip).values, other.encode(clip).values, rtol=0, atol=0)


def test_what_is_no_dacvae_is_refused(tmp_path: Path) -> None:
    tensors = dacvae()
    with pytest.raises(ValueError, match=r"lacks tensor 'encoder.block.1.block.3.alpha'"):
        convert_dacvae({name: x for name, x in tensors.items() if name != "encoder.block.1.block.3.alpha"})
    with pytest.raises(ValueError, match=r"has an unknown tensor 'extra'"):
        convert_dacvae({**tensors, "extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"'encoder.block.0.bias' .* of shape \[4\], and is .* \[5\]"):
        convert_dacvae({**tensors, "encoder.block.0.bias": torch.zeros(5)})
    with pytest.raises(ValueError, match="finite"):
        convert_dacvae({**tensors, "encoder.block.0.bias": torch.full((4,), torch.nan)})
    with pytest.raises(ValueError, match=r"must have a tensor 'encoder.block.0.weight_v'"):
        convert_dacvae({})
    with pytest.raises(ValueError, match="no codec has the shapes"):
        convert_dacvae({**tensors, "encoder.block.1.block.4.weight_v": torch.zeros(8, 4, 1)})
    with pytest.raises(ValueError, match="there is no file"):
        convert_dacvae_file(tmp_path / "weights.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        convert_dacvae_file(tmp_path / "broken.safetensors")


def test_the_shipped_codec_keeps_when_something_sounds_and_at_what_pitch() -> None:
    """A tone that begins out of silence and fades."""
    codec = load_codec("miniature")
    assert codec.config == codec_preset("miniature")
    seconds = torch.arange(16_000) / 16_000
    tone = 0.5 * torch.sin(2 * torch.pi * 800 * seconds) * torch.exp(-6 * (seconds - 0.4)) * (seconds >= 0.4)
    with torch.no_grad():
        given = codec.decode(codec.encode(AudioClip(tone[None, None], 16_000))).samples[0, 0]
    loudness = given.unfold(0, 320, 160).square().mean(1).sqrt()  # every hundredth of a second
    assert loudness[:35].max() < 0.1 * loudness.max()
    assert int((loudness > 0.3 * loudness.max()).nonzero()[0]) == pytest.approx(40, abs=4)
    spectrum = torch.fft.rfft(given * torch.hann_window(16_000)).abs()
    assert int(spectrum.argmax()) == pytest.approx(800, abs=40)


def test_the_shipped_sight_sees_nothing_begin_where_nothing_moves() -> None:
    sight = load_sight("miniature")
    assert sight.config == sight_preset("miniature")
    pictures = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).expand(25, -1, -1, -1)
    with torch.no_grad():
        logits, bands = sight.foresee(sight.watch(sight.encode(pictures * 2 - 1)[None]))
    assert logits.max() < 0
    assert torch.isfinite(bands).all()
