"""Perceptual distance by LPIPS (Zhang et al. 2018, version 0.1) on VGG16, from files on this machine.

Latent diffusion trains its autoencoders with it; Movie Gen does not say by which features it compares
(section 3.1.1). The weights are 550 MB and not ours to ship, so both files are named by path, must be byte
for byte what their SHA-256 says, and are read as tensors only.

Legend: B batch, C channels, H rows, W columns.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Convolutions between two poolings: their places in torchvision's `features`, and their width.
_STAGES = (((0, 2), 64), ((5, 7), 128), ((10, 12, 14), 256), ((17, 19, 21), 512), ((24, 26, 28), 512))
# Of images in [-1, 1]: ImageNet's mean and deviation, moved to that range.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class VggLpips(nn.Module):
    """How far apart frames are: weighted squared distances of VGG16's normed features, as LPIPS. Frozen.

    Args:
        backbone: weights by torchvision's names, `features.0.weight` and so on; a classifier is ignored.
        heads: the weight of every channel, `lin0.model.1.weight` to `lin4.model.1.weight`, (1, C, 1, 1).

    Raises:
        ValueError: a weight is missing or has another shape.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.heads = nn.ParameterList()
        width = 3
        for stage, (places, channels) in enumerate(_STAGES):
            convolutions = nn.ModuleList()
            for place in places:
                convolution = nn.Conv2d(width, channels, 3, padding=1)
                for name, parameter in convolution.named_parameters():
                    parameter.data = _weight(backbone, f"features.{place}.{name}", parameter.shape)
                convolutions.append(convolution)
                width = channels
            self.stages.append(convolutions)
            head = _weight(heads, f"lin{stage}.model.1.weight", torch.Size((1, channels, 1, 1)))
            self.heads.append(nn.Parameter(head))
        self.register_buffer("shift", torch.tensor(_SHIFT).view(-1, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(-1, 1, 1), persistent=False)
        self.requires_grad_(False)

    def features(self, frames: Tensor) -> list[Tensor]:
        """Five maps of frames (B, 3, H, W) in [-1, 1], the last at a sixteenth of their side."""
        x_BCHW = (frames - self.shift) / self.scale
        maps = []
        for stage, convolutions in enumerate(self.stages):
            if stage > 0:
                x_BCHW = F.max_pool2d(x_BCHW, 2)
            for convolution in convolutions:  # type: ignore[attr-defined]  # a ModuleList
                x_BCHW = F.relu(convolution(x_BCHW))
            maps.append(x_BCHW)
        return maps

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Scalar: the mean over frames (B, 3, H, W) in [-1, 1]; its gradient goes to `prediction` only.

        Raises:
            ValueError: the shapes differ, or are not those of frames with sides of 16 or more.
        """
        if prediction.shape != target.shape:
            raise ValueError(
                f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} must agree"
            )
        if prediction.ndim != 4 or prediction.shape[1] != 3 or min(prediction.shape[2:]) < 16:
            raise ValueError(
                f"frames must be (B, 3, H, W) with sides of 16 or more, not {tuple(prediction.shape)}"
            )
        with torch.no_grad():
            wanted = self.features(target)
        distance = prediction.new_zeros(())
        for head, ours, theirs in zip(self.heads, self.features(prediction), wanted, strict=True):
            difference = F.normalize(ours, dim=1, eps=_EPSILON) - F.normalize(theirs, dim=1, eps=_EPSILON)
            distance = distance + (difference.square() * head).sum(dim=1).mean()
        return distance


def load_vgg_lpips(backbone: Path, heads: Path, backbone_sha256: str, heads_sha256: str) -> VggLpips:
    """Read both files, each after its hash.

    Args:
        backbone: torchvision's `vgg16-397923af.pth`.
        heads: `weights/v0.1/vgg.pth` of the package `lpips`.
        backbone_sha256, heads_sha256: in lower-case hexadecimal.

    Raises:
        ValueError: a file is missing, has another hash, or does not hold the weights.
    """
    return VggLpips(_read(backbone, backbone_sha256), _read(heads, heads_sha256))


def _read(path: Path, sha256: str) -> Mapping[str, Tensor]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read the feature weights {path}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{path} is not the file that was asked for: its SHA-256 is {found}, not {sha256}")
    try:
        # What was hashed is what is read: the file is not opened a second time.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} does not hold tensors that can be read without running code") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} must hold weights by their names")
    return state


def _weight(state: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    value = state.get(name)
    if not isinstance(value, Tensor) or value.shape != shape:
        found = tuple(value.shape) if isinstance(value, Tensor) else "nothing"
        raise ValueError(f"the feature weights need {name!r} of shape {tuple(shape)}, not {found}")
    return value.detach().float()
