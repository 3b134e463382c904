"""Inflation of image autoencoders: their weights in space, the identity along time (paper, section 3.1.1).

The paper starts from a pre-trained latent-diffusion image autoencoder. What is read here are the tensors of
diffusers' `AutoencoderKL`; every temporal convolution starts by keeping the frame at its centre and every
temporal attention by adding 0 (our choice), so a frame is coded as the image that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from moviegen_tae.config import LEVELS, TAEConfig
from moviegen_tae.model import TAE

_WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
_CONFIG_FILE = "config.json"
_MAX_CONFIG_BYTES = 1 << 20

# From our names to those of an AutoencoderKL, in this order; its decoder counts from the latent to pixels.
_RENAMES = {
    **{f"encoder.levels.{i}.blocks.": f"encoder.down_blocks.{i}.resnets." for i in range(LEVELS)},
    **{f"decoder.levels.{i}.blocks.": f"decoder.up_blocks.{LEVELS - 1 - i}.resnets." for i in range(LEVELS)},
    **{
        f"encoder.downsamples.{i}.spatial.": f"encoder.down_blocks.{i}.downsamplers.0.conv."
        for i in range(LEVELS - 1)
    },
    **{
        f"decoder.upsamples.{i}.spatial.": f"decoder.up_blocks.{LEVELS - 2 - i}.upsamplers.0.conv."
        for i in range(LEVELS - 1)
    },
    "decoder.latent_projection.": "post_quant_conv.",
    ".middle.block1.": ".mid_block.resnets.0.",
    ".middle.block2.": ".mid_block.resnets.1.",
    ".middle.attention.spatial_norm.": ".mid_block.attentions.0.group_norm.",
    ".middle.attention.spatial.q.": ".mid_block.attentions.0.to_q.",
    ".middle.attention.spatial.k.": ".mid_block.attentions.0.to_k.",
    ".middle.attention.spatial.v.": ".mid_block.attentions.0.to_v.",
    ".middle.attention.spatial.out.": ".mid_block.attentions.0.to_out.0.",
    ".shortcut.": ".conv_shortcut.",
    ".norm_out.": ".conv_norm_out.",
    ".spatial.": ".",
}

# What checkpoints of before 2023 call the layers of attention.
_OLD_NAMES = {
    ".attentions.0.query.": ".attentions.0.to_q.",
    ".attentions.0.key.": ".attentions.0.to_k.",
    ".attentions.0.value.": ".attentions.0.to_v.",
    ".attentions.0.proj_attn.": ".attentions.0.to_out.0.",
}


class _Settings(BaseModel):
    """What counts of an `AutoencoderKL`'s `config.json`: what the shapes of its tensors do not tell."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    act_fn: Literal["silu"] = "silu"
    norm_num_groups: int = Field(default=32, ge=1)
    scaling_factor: float = Field(default=1.0, gt=0)
    shift_factor: float | None = None


def inflate(state_dict: Mapping[str, Tensor], config: TAEConfig | None = None) -> TAE:
    """An autoencoder of videos that codes every frame as an image autoencoder does.

    Encoding keeps frames 0, 8, 16, ... and decoding repeats each 8 times: the moments of a video are those of
    these images, and a video of equal frames comes back like its image. Latents are not normalised yet.

    Args:
        state_dict: tensors of a diffusers `AutoencoderKL` of four levels, with or without the convolutions
            around its latent (`quant_conv`, `post_quant_conv`).
        config: the architecture that the tensors must fit; None: read from their shapes, with 32 norm groups,
            which shapes do not tell.

    Returns:
        A model in float32 on the CPU, in evaluation mode. The queries, keys and values of temporal attention
        are random, always by the same seed; what it adds is 0 until training moves it.

    Raises:
        ValueError: a tensor is missing, unknown, of a wrong shape or not finite, or the levels are not four.
    """
    tensors = {}
    for name, tensor in state_dict.items():
        new = _renamed(name, _OLD_NAMES)
        tensors[name if new in state_dict else new] = tensor  # with both names there, one is unknown
    if config is None:
        config = _config_of(tensors, _Settings().norm_num_groups)
    if config.resampling_shortcuts:
        raise ValueError("an image autoencoder has no resampling_shortcuts: inflate it without them")
    with torch.device("meta"):
        wanted = _spatial(TAE(config))
    _check(tensors, {name: tuple(tensor.shape) for name, tensor in wanted.items()})
    values = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in tensors.items()}
    if odd := [name for name, value in values.items() if not bool(torch.isfinite(value).all())]:
        raise ValueError(f"tensor {odd[0]!r} of the image autoencoder must be finite in float32")
    if "quant_conv.weight" in values:
        _fold_quant_conv(values)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tae = TAE(config)
    with torch.no_grad():
        for name, tensor in _spatial(tae).items():
            tensor.copy_(values[name])
    return tae.eval()


def inflate_pretrained(source: Path | str) -> TAE:
    """Inflate an image autoencoder that diffusers wrote to disk.

    Args:
        source: its folder, or its safetensors file alone. The folder's `config.json` tells the number of
            norm groups, and by `scaling_factor` and `shift_factor` how latents are normalised.

    Raises:
        ValueError: there is no such file, it is damaged, or `inflate` refuses what it holds.
    """
    folder = Path(source)
    path = folder / _WEIGHTS_FILE if folder.is_dir() else folder
    described = folder.is_dir() and (folder / _CONFIG_FILE).exists()
    settings = _read_settings(folder / _CONFIG_FILE) if described else _Settings()
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}: give a safetensors file, or the folder of a diffusers AutoencoderKL "
            f"(often named vae) with {_WEIGHTS_FILE}"
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    try:
        tae = inflate(tensors, _config_of(tensors, settings.norm_num_groups))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    mean = torch.full((tae.latent_channels,), settings.shift_factor or 0.0)
    tae.set_normalisation(mean, torch.full_like(mean, 1 / settings.scaling_factor))
    return tae


def _renamed(name: str, renames: Mapping[str, str]) -> str:
    for ours, theirs in renames.items():
        name = name.replace(ours, theirs)
    return name


def _spatial(tae: TAE) -> dict[str, Tensor]:
    """Parameters that act within one frame, by their names in an `AutoencoderKL`."""
    parameters = tae.named_parameters()
    return {_renamed(name, _RENAMES): tensor for name, tensor in parameters if ".temporal" not in name}


def _config_of(tensors: Mapping[str, Tensor], norm_groups: int) -> TAEConfig:
    """The architecture, from the shapes of tensors; whether all of them fit it is `_check`'s to say."""
    levels = _indices(tensors, "encoder.down_blocks.")
    if levels != {str(i) for i in range(LEVELS)}:
        raise ValueError(
            f"an image autoencoder must have {LEVELS} levels to be inflated (encoder.down_blocks.0 to "
            f".{LEVELS - 1} in diffusers' names), not {len(levels)}"
        )
    down_blocks = [f"encoder.down_blocks.{i}.resnets." for i in range(LEVELS)]
    up_blocks = [f"decoder.up_blocks.{LEVELS - 1 - i}.resnets." for i in range(LEVELS)]
    fields = {
        "channels": [_kernel_shape(tensors, f"{block}0.conv1.weight")[0] for block in down_blocks],
        "encoder_blocks": [len(_indices(tensors, block)) for block in down_blocks],
        "decoder_blocks": [len(_indices(tensors, block)) for block in up_blocks],
        "latent_channels": _kernel_shape(tensors, "decoder.conv_in.weight")[1],
        "norm_groups": norm_groups,
        "width_changes_in": "blocks",
        "latent_projection": "post_quant_conv.weight" in tensors,
    }
    try:
        return TAEConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"][:1])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"no TAE has the shapes of this image autoencoder: {where}{message}") from error


def _indices(tensors: Mapping[str, Tensor], prefix: str) -> set[str]:
    """What stands between `prefix` and the next dot in names of tensors."""
    return {name.removeprefix(prefix).partition(".")[0] for name in tensors if name.startswith(prefix)}


def _kernel_shape(tensors: Mapping[str, Tensor], name: str) -> torch.Size:
    if name not in tensors or tensors[name].dim() != 4:
        raise ValueError(f"an image autoencoder must have a tensor {name!r} of four dimensions")
    return tensors[name].shape


def _check(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Compare names, shapes and types; `shapes` is of all but `quant_conv`, which may be there or not."""
    if "quant_conv.weight" in tensors:
        moments = shapes["encoder.conv_out.bias"][0]
        quant_conv = {"quant_conv.weight": (moments, moments, 1, 1), "quant_conv.bias": (moments,)}
        shapes = {**shapes, **quant_conv}
    if odd := sorted(tensors.keys() ^ shapes.keys()):
        problem = "lacks" if odd[0] in shapes else "has an unknown"
        raise ValueError(f"the image autoencoder {problem} tensor {odd[0]!r}")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shapes[name] or not tensor.is_floating_point():
            raise ValueError(
                f"tensor {name!r} of the image autoencoder is {tensor.dtype} {list(tensor.shape)}, "
                f"expected floating point {list(shapes[name])}"
            )


def _fold_quant_conv(tensors: dict[str, Tensor]) -> None:
    """Make one convolution of the encoder's last and the 1x1 after it; no padding comes in between."""
    mix_OM = tensors.pop("quant_conv.weight").double().flatten(1)
    weight, bias = tensors["encoder.conv_out.weight"].double(), tensors["encoder.conv_out.bias"].double()
    tensors["encoder.conv_out.weight"] = torch.einsum("om,mchw->ochw", mix_OM, weight).float()
    tensors["encoder.conv_out.bias"] = (mix_OM @ bias + tensors.pop("quant_conv.bias").double()).float()


def _read_settings(path: Path) -> _Settings:
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise ValueError(f"{path} is larger than a config can be ({_MAX_CONFIG_BYTES} bytes)")
        return _Settings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise ValueError(f"{path}: {where}{first['msg']}") from error
