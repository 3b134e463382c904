"""Inflation, against an image autoencoder written here in plain functions over diffusers' names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from moviegen_core import VideoClip, VideoShape
from moviegen_tae import TAE, TAEConfig, inflate, inflate_pretrained, preset
from safetensors.torch import save_file
from torch import Tensor

WIDTHS = (32, 64, 64, 96)
LATENTS = 4
GROUPS = 32


@dataclass(frozen=True)
class Image:
    """An image autoencoder of one residual block a level in the encoder and two in the decoder."""

    tensors: dict[str, Tensor]

    def moments(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to mean and log variance (N, 2 * LATENTS, H / 8, W / 8)."""
        x = self.conv("encoder.conv_in", x)
        for i in range(4):
            x = self.resnet(f"encoder.down_blocks.{i}.resnets.0", x)
            if i < 3:
                name = f"encoder.down_blocks.{i}.downsamplers.0.conv"
                x = F.conv2d(F.pad(x, (0, 1, 0, 1)), *self.layer(name), stride=2)
        x = self.head("encoder", self.middle("encoder", x))
        return F.conv2d(x, *self.layer("quant_conv")) if "quant_conv.weight" in self.tensors else x

    def pixels(self, z: Tensor) -> Tensor:
        """(N, LATENTS, h, w) to (N, 3, 8 * h, 8 * w)."""
        if "post_quant_conv.weight" in self.tensors:
            z = F.conv2d(z, *self.layer("post_quant_conv"))
        x = self.middle("decoder", self.conv("decoder.conv_in", z))
        for i in range(4):
            for j in range(2):
                x = self.resnet(f"decoder.up_blocks.{i}.resnets.{j}", x)
            if i < 3:
                x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
                x = self.conv(f"decoder.up_blocks.{i}.upsamplers.0.conv", x)
        return self.head("decoder", x)

    def layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]

    def conv(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.layer(name), padding=1)

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, GROUPS, *self.layer(name), eps=1e-6)

    def resnet(self, name: str, x: Tensor) -> Tensor:
        y = self.conv(f"{name}.conv1", F.silu(self.norm(f"{name}.norm1", x)))
        y = self.conv(f"{name}.conv2", F.silu(self.norm(f"{name}.norm2", y)))
        narrow = f"{name}.conv_shortcut"
        return y + (F.conv2d(x, *self.layer(narrow)) if f"{narrow}.weight" in self.tensors else x)

    def middle(self, part: str, x: Tensor) -> Tensor:
        x = self.resnet(f"{part}.mid_block.resnets.0", x)
        name = f"{part}.mid_block.attentions.0"
        tokens = self.norm(f"{name}.group_norm", x).flatten(2).mT
        q, k, v = (F.linear(tokens, *self.layer(f"{name}.to_{role}")) for role in "qkv")
        seen = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v
        x = x + F.linear(seen, *self.layer(f"{name}.to_out.0")).mT.reshape(x.shape)
        return self.resnet(f"{part}.mid_block.resnets.1", x)

    def head(self, part: str, x: Tensor) -> Tensor:
        return self.conv(f"{part}.conv_out", F.silu(self.norm(f"{part}.conv_norm_out", x)))


def random_tensors(quant: bool = False, post_quant: bool = False) -> dict[str, Tensor]:
    """Of an `Image`, in float32."""
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}

    def add(name: str, *shape: int, around: float = 0.0) -> None:
        fan_in = torch.Size(shape[1:]).numel()
        tensors[f"{name}.weight"] = around + torch.randn(shape, generator=generator) * fan_in**-0.5
        tensors[f"{name}.bias"] = 0.3 * torch.randn(shape[0], generator=generator)

    def add_resnet(name: str, before: int, after: int) -> None:
        add(f"{name}.norm1", before, around=1.0)
        add(f"{name}.conv1", after, before, 3, 3)
        add(f"{name}.norm2", after, around=1.0)
        add(f"{name}.conv2", after, after, 3, 3)
        if before != after:
            add(f"{name}.conv_shortcut", after, before, 1, 1)

    deep = WIDTHS[-1]
    for part, first, last, inner in (
        ("encoder", (WIDTHS[0], 3), (2 * LATENTS, deep), deep),
        ("decoder", (deep, LATENTS), (3, WIDTHS[0]), WIDTHS[0]),
    ):
        add(f"{part}.conv_in", *first, 3, 3)
        add_resnet(f"{part}.mid_block.resnets.0", deep, deep)
        add(f"{part}.mid_block.attentions.0.group_norm", deep, around=1.0)
        for role in ("to_q", "to_k", "to_v", "to_out.0"):
            add(f"{part}.mid_block.attentions.0.{role}", deep, deep)
        add_resnet(f"{part}.mid_block.resnets.1", deep, deep)
        add(f"{part}.conv_norm_out", inner, around=1.0)
        add(f"{part}.conv_out", *last, 3, 3)
    down, up = (WIDTHS[0], *WIDTHS), (deep, *reversed(WIDTHS))
    for i in range(4):
        add_resnet(f"encoder.down_blocks.{i}.resnets.0", down[i], down[i + 1])
        add_resnet(f"decoder.up_blocks.{i}.resnets.0", up[i], up[i + 1])
        add_resnet(f"decoder.up_blocks.{i}.resnets.1", up[i + 1], up[i + 1])
        if i < 3:
            add(f"encoder.down_blocks.{i}.downsamplers.0.conv", down[i + 1], down[i + 1], 3, 3)
            add(f"decoder.up_blocks.{i}.upsamplers.0.conv", up[i + 1], up[i + 1], 3, 3)
    if quant:
        add("quant_conv", 2 * LATENTS, 2 * LATENTS, 1, 1)
    if post_quant:
        add("post_quant_conv", LATENTS, LATENTS, 1, 1)
    return tensors


def doubled(tensors: dict[str, Tensor]) -> Image:
    return Image({name: tensor.double() for name, tensor in tensors.items()})


def images(count: int) -> Tensor:
    """(count, 3, 16, 24)."""
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, 3, 16, 24, generator=generator, dtype=torch.float64) - 1


@pytest.mark.parametrize(("quant", "post_quant"), [(False, False), (True, False), (True, True)])
@torch.no_grad()
def test_a_frame_is_coded_as_its_image(quant: bool, post_quant: bool) -> None:
    tensors = random_tensors(quant, post_quant)
    tae, image = inflate(tensors).double(), doubled(tensors)
    x = images(1)
    expected = image.moments(x)
    posterior = tae.posterior(VideoClip(x[:, :, None], fps=8.0))
    moments = torch.cat([posterior.mean, posterior.log_variance], dim=1)
    # Folding a convolution rounds its weights to float32; nothing else does.
    close = {"rtol": 1e-5, "atol": 1e-5} if quant else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(moments[:, :, 0], expected, **close)
    z = expected[:, :LATENTS]
    frames = tae.decode_moments(z[:, :, None], VideoShape(1, 16, 24))
    torch.testing.assert_close(frames[:, :, 0], image.pixels(z), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_a_video_is_coded_as_every_eighth_of_its_frames() -> None:
    """Time only picks and repeats: nothing mixes, also where frames differ."""
    tensors = random_tensors()
    tae, image = inflate(tensors).double(), doubled(tensors)
    x = images(11)
    clip = VideoClip(x.transpose(0, 1)[None], fps=8.0)
    mean = tae.posterior(clip).mean
    expected = image.moments(x[[0, 8]])[:, :LATENTS]
    torch.testing.assert_close(mean[0].transpose(0, 1), expected, rtol=1e-10, atol=1e-10)
    frames = tae.decode(tae.encode(clip)).frames[0].transpose(0, 1)
    pictures = image.pixels(expected)[[0] * 8 + [1] * 3]
    torch.testing.assert_close(frames, pictures, rtol=1e-10, atol=1e-10)


def test_the_architecture_is_read_from_the_shapes() -> None:
    tae = inflate(random_tensors(post_quant=True))
    assert tae.config == TAEConfig(
        channels=WIDTHS,
        encoder_blocks=(1, 1, 1, 1),
        decoder_blocks=(2, 2, 2, 2),
        latent_channels=LATENTS,
        norm_groups=GROUPS,
        width_changes_in="blocks",
        latent_projection=True,
    )
    assert torch.equal(tae.latent_mean, torch.zeros(LATENTS))
    assert torch.equal(tae.latent_std, torch.ones(LATENTS))


def test_inflation_is_the_same_each_time_and_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, second = inflate(random_tensors()), inflate(random_tensors())
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in first.parameters())


def test_old_names_of_attention_and_half_precision_are_read() -> None:
    tensors = {name: tensor.half() for name, tensor in random_tensors().items()}
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = dict(tensors)
    for name in tensors:
        for new, before in old.items():
            if f".{new}." in name:
                renamed[name.replace(new, before)] = renamed.pop(name)
    assert renamed.keys() != tensors.keys()
    new_tae, old_tae = inflate(tensors).state_dict(), inflate(renamed).state_dict()
    assert all(torch.equal(new_tae[name], old_tae[name]) for name in new_tae)
    with pytest.raises(ValueError, match="has an unknown tensor"):
        inflate({**tensors, **renamed})


Damage = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda t: t.clear(), "must have 4 levels .* not 0"),
        (lambda t: t.update({"encoder.down_blocks.4.a": torch.ones(1)}), "must have 4 levels .* not 5"),
        (lambda t: t.pop("encoder.down_blocks.2.resnets.0.conv1.weight"), "must have a tensor"),
        (lambda t: t.pop("decoder.conv_norm_out.bias"), "lacks tensor 'decoder.conv_norm_out.bias'"),
        (lambda t: t.update({"quant_conv.weight": torch.ones(8, 8, 1, 1)}), "lacks tensor 'quant_conv.bias'"),
        (lambda t: t.update({"loss.scale": torch.ones(1)}), "has an unknown tensor 'loss.scale'"),
        (lambda t: t.update({"encoder.conv_in.bias": torch.ones(5)}), r"\[5\], expected .* \[32\]"),
        (lambda t: t.update({"encoder.conv_in.bias": torch.ones(32, dtype=torch.int64)}), "int64"),
        (lambda t: t["encoder.conv_in.bias"].fill_(float("nan")), "'encoder.conv_in.bias' .* finite"),
        (
            lambda t: t.update({"encoder.down_blocks.1.resnets.0.conv1.weight": torch.ones(40, 1, 1, 1)}),
            "32 does not divide 40",
        ),
        (
            lambda t: t.update({"encoder.down_blocks.1.resnets.0.conv1.weight": torch.ones(9999, 1, 1, 1)}),
            "channels: .* 4096",
        ),
    ],
)
def test_a_damaged_autoencoder_gets_one_sentence(damage: Damage, sentence: str) -> None:
    tensors = random_tensors()
    damage(tensors)
    with pytest.raises(ValueError, match=sentence) as caught:
        inflate(tensors)
    assert "\n" not in str(caught.value)


def test_tensors_must_fit_the_architecture_that_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"has an unknown tensor|lacks tensor|expected floating point"):
        inflate(random_tensors(), preset("paper"))
    config = inflate(random_tensors()).config
    with pytest.raises(ValueError, match="no resampling_shortcuts"):
        inflate(random_tensors(), config.model_copy(update={"resampling_shortcuts": True}))
    fewer = inflate(random_tensors(), config.model_copy(update={"norm_groups": 16}))
    assert fewer.encoder.norm_out.num_groups == 16


def write(folder: Path, **settings: object) -> Path:
    folder.mkdir()
    save_file(random_tensors(), folder / "diffusion_pytorch_model.safetensors")
    if settings:
        (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_a_folder_brings_its_norm_groups_and_its_normalisation(tmp_path: Path) -> None:
    folder = write(tmp_path / "vae", norm_num_groups=16, scaling_factor=0.5, shift_factor=0.25, sample_size=8)
    tae = inflate_pretrained(folder)
    assert tae.config.norm_groups == 16
    clip = VideoClip(images(1).float()[:, :, None], fps=8.0)
    with torch.no_grad():
        torch.testing.assert_close(tae.encode(clip).values, (tae.posterior(clip).mean - 0.25) * 0.5)


def test_a_file_alone_is_read_with_the_usual_groups(tmp_path: Path) -> None:
    tae = inflate_pretrained(write(tmp_path / "vae") / "diffusion_pytorch_model.safetensors")
    expected: TAE = inflate(random_tensors())
    assert tae.config == expected.config
    state = expected.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in tae.state_dict().items())


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("[", "config.json: Invalid JSON"),
        ("[]", "config.json: "),
        ('{"act_fn": "relu"}', "config.json: act_fn: Input should be 'silu'"),
        ('{"scaling_factor": 0}', "config.json: scaling_factor: .* greater than 0"),
        ('{"shift_factor": NaN}', "config.json: shift_factor: .* finite"),
        ('{"norm_num_groups": 5}', "5 does not divide 32"),
        (" " * (2 << 20), "larger than a config can be"),
    ],
)
def test_a_bad_config_gets_one_sentence(tmp_path: Path, config: str, sentence: str) -> None:
    folder = write(tmp_path / "vae")
    (folder / "config.json").write_text(config)
    with pytest.raises(ValueError, match=sentence) as caught:
        inflate_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_safetensors_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*diffusion_pytorch_model.safetensors"):
        inflate_pretrained(tmp_path)
    pickled = tmp_path / "diffusion_pytorch_model.bin"
    torch.save(random_tensors(), pickled)
    with pytest.raises(ValueError, match="damaged or not a safetensors file"):
        inflate_pretrained(pickled)
