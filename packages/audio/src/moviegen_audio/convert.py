"""Weights of Meta's public DAC-VAE (the repository `facebookresearch/dacvae`) as a codec's.

Its encoder is DAC's. Its decoder carries a watermark branch: layers 2, 3, 6, 7, 10 and 11 of every block, and
a model that the last two layers of the plain decoder were moved into, as `encoder_block.pre`.
What is read here is the plain decoder, without watermark; the branch is left out.

The published file is a pickle, which this project never opens. Who trusts it can write its tensors down once,
with any PyTorch: `torch.load(path, weights_only=True)["state_dict"]` into `safetensors.torch.save_file`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from moviegen_audio.codec import AudioCodec
from moviegen_audio.config import AudioCodecConfig

_WATERMARK = re.compile(
    r"decoder\.(model\.\d+\.block\.(2|3|6|7|10|11)\.|wm_model\.(?!encoder_block\.pre\.[01]\.))"
)
# Newer PyTorch calls the two parts of a weight-normed kernel so.
_PARTS = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def convert_dacvae(state_dict: Mapping[str, Tensor], sample_rate: int = 48_000) -> AudioCodec:
    """The codec of a DAC-VAE's tensors.

    Args:
        state_dict: tensors by their published names, kernels in the two parts of weight norm.
        sample_rate: samples a second of its sounds, which the tensors do not tell.

    Returns:
        A model in float32 on the CPU, in evaluation mode; its latents are not normalised.

    Raises:
        ValueError: a tensor is missing, unknown, of a wrong shape or not finite.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        for long, short in _PARTS.items():
            name = name.replace(long, short)
        if not _WATERMARK.match(name):
            tensors[name] = tensor
    config = _config_of(tensors, sample_rate)
    with torch.device("meta"):
        codec = AudioCodec(config)
    modules = _names(len(config.rates))
    wanted: dict[str, tuple[str, torch.Size]] = {}
    for name, parameter in codec.named_parameters():
        module, _, part = name.rpartition(".")
        wanted[f"{modules[module]}.{part}"] = (name, parameter.shape)
    if odd := sorted(tensors.keys() ^ wanted.keys()):
        problem = "lacks" if odd[0] in wanted else "has an unknown"
        raise ValueError(f"the DAC-VAE {problem} tensor {odd[0]!r}")
    values = {
        "latent_mean": torch.zeros(config.latent_channels),
        "latent_std": torch.ones(config.latent_channels),
    }
    for name, tensor in tensors.items():
        ours, shape = wanted[name]
        value = tensor.detach().to("cpu", torch.float32)
        if tensor.shape != shape or not tensor.is_floating_point() or not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"tensor {name!r} of the DAC-VAE must be floating point, finite and of shape {list(shape)}, "
                f"and is {tensor.dtype} {list(tensor.shape)}"
            )
        values[ours] = value.clone()
    codec.load_state_dict(values, assign=True)
    for parameter in codec.parameters():
        parameter.requires_grad_(True)
    return codec.eval()


def convert_dacvae_file(path: Path | str) -> AudioCodec:
    """`convert_dacvae` of a safetensors file of 48 kHz.

    Raises:
        ValueError: there is no such file, it is damaged, or `convert_dacvae` refuses what it holds.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}: give a safetensors file with a DAC-VAE's tensors")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    try:
        return convert_dacvae(tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _names(levels: int) -> dict[str, str]:
    """From our names of layers to theirs."""
    names = {
        "encoder.layers.0.conv": "encoder.block.0",
        f"encoder.layers.{4 * levels + 1}.snake": f"encoder.block.{levels + 1}",
        f"encoder.layers.{4 * levels + 1}.conv": f"encoder.block.{levels + 2}",
        f"encoder.layers.{4 * levels + 2}.conv": "quantizer.in_proj",
        "decoder.layers.0.conv": "quantizer.out_proj",
        "decoder.layers.1.conv": "decoder.model.0",
        f"decoder.layers.{4 * levels + 2}.snake": "decoder.wm_model.encoder_block.pre.0",
        f"decoder.layers.{4 * levels + 2}.conv": "decoder.wm_model.encoder_block.pre.1",
    }
    for level in range(levels):
        down, up = f"encoder.block.{level + 1}.block", f"decoder.model.{level + 1}.block"
        names[f"encoder.layers.{4 * level + 4}.snake"] = f"{down}.3"
        names[f"encoder.layers.{4 * level + 4}.conv"] = f"{down}.4"
        names[f"decoder.layers.{4 * level + 2}.snake"] = f"{up}.0"
        names[f"decoder.layers.{4 * level + 2}.conv"] = f"{up}.1"
        for unit, place in enumerate((4, 5, 8)):
            for i, part in enumerate(("snake1", "conv1", "snake2", "conv2")):
                names[f"encoder.layers.{4 * level + unit + 1}.{part}"] = f"{down}.{unit}.block.{i}"
                names[f"decoder.layers.{4 * level + unit + 3}.{part}"] = f"{up}.{place}.block.{i}"
    return names


def _config_of(tensors: Mapping[str, Tensor], sample_rate: int) -> AudioCodecConfig:
    """The architecture, from the shapes of tensors; whether all of them fit it is for the caller to say."""
    rates: list[int] = []
    while (name := f"encoder.block.{len(rates) + 1}.block.4.weight_v") in tensors:
        rates.append(_shape(tensors, name)[2] // 2)
    fields = {
        "sample_rate": sample_rate,
        "rates": rates,
        "encoder_width": _shape(tensors, "encoder.block.0.weight_v")[0],
        "decoder_width": _shape(tensors, "decoder.model.0.weight_v")[0],
        "hidden_width": _shape(tensors, "decoder.model.0.weight_v")[1],
        "latent_channels": _shape(tensors, "quantizer.out_proj.weight_v")[1],
    }
    try:
        return AudioCodecConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"][:1])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"no codec has the shapes of this DAC-VAE: {where}{message}") from error


def _shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in tensors or tensors[name].dim() != 3:
        raise ValueError(f"a DAC-VAE must have a tensor {name!r} of three dimensions")
    return tensors[name].shape
