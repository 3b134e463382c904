"""LPIPS on VGG16 against an implementation written here layer by layer, with random weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from moviegen_runtime.features.efficientnet_lite import PerceptualDistance
from moviegen_runtime.features.vgg_lpips import VggLpips, load_vgg_lpips
from moviegen_runtime.training.recipe import EfficientNetFeatures, LpipsFeatures
from moviegen_runtime.training.tae_module import perceptual_distance
from torch import Tensor, nn

# Configuration D of Simonyan and Zisserman 2014 without its last pooling; M is a pooling.
LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512)
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> tuple[Weights, Weights]:
    """Random weights under the published names; the classifier is there too, in small."""
    draw = torch.Generator().manual_seed(0)
    backbone: Weights = {"classifier.0.weight": torch.zeros(2, 2)}
    width, place = 3, 0
    for layer in LAYERS:
        if isinstance(layer, int):
            deviation = math.sqrt(2 / (9 * width))
            backbone[f"features.{place}.weight"] = torch.randn(layer, width, 3, 3, generator=draw) * deviation
            backbone[f"features.{place}.bias"] = torch.randn(layer, generator=draw) * 0.1
            width = layer
        place += 2 if isinstance(layer, int) else 1  # a convolution and its rectifier
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, channels, 1, 1, generator=draw)
        for i, channels in enumerate((64, 128, 256, 512, 512))
    }
    return backbone, heads


@pytest.fixture(scope="module")
def distance(weights: tuple[Weights, Weights]) -> VggLpips:
    return VggLpips(*weights)


def frames(count: int, height: int = 32, width: int = 40, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, height, width, generator=draw) * 2 - 1


def torchvision_vgg16(backbone: Mapping[str, Tensor]) -> nn.Sequential:
    """`torchvision.models.vgg16().features`, whose modules have the numbers that the weights' names have."""
    modules: list[nn.Module] = []
    width = 3
    for layer in LAYERS:
        if isinstance(layer, int):
            modules += [nn.Conv2d(width, layer, 3, padding=1), nn.ReLU()]
            width = layer
        else:
            modules.append(nn.MaxPool2d(2, 2))
    features = nn.Sequential(*modules)
    names = {name.removeprefix("features."): value for name, value in backbone.items() if "features" in name}
    features.load_state_dict(names)
    return features


@torch.no_grad()
def plain_lpips(a: Tensor, b: Tensor, backbone: Weights, heads: Weights) -> list[float]:
    """One number a frame, after the paper: eq. 1 with the outputs of relu1_2, 2_2, 3_3, 4_3 and 5_3."""
    shift = torch.tensor([-0.030, -0.088, -0.188])[None, :, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[None, :, None, None]
    totals = [0.0] * a.shape[0]
    pair, level = [(a - shift) / scale, (b - shift) / scale], 0
    for number, layer in enumerate(torchvision_vgg16(backbone)):
        pair = [layer(each) for each in pair]
        if number in (3, 8, 15, 22, 29):
            normed = [each / (each.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for each in pair]
            weighted = (normed[0] - normed[1]) ** 2 * heads[f"lin{level}.model.1.weight"]
            for i, each in enumerate(weighted):
                totals[i] += each.sum(dim=0).mean().item()
            level += 1
    return totals


@pytest.mark.parametrize(("height", "width"), [(32, 40), (33, 47), (16, 16)])
def test_it_is_lpips(height: int, width: int, distance: VggLpips, weights: tuple[Weights, Weights]) -> None:
    a, b = frames(3, height, width), frames(3, height, width, seed=1)
    expected = plain_lpips(a, b, *weights)
    assert distance(a, b).item() == pytest.approx(sum(expected) / 3, rel=1e-4)
    for i in range(3):
        assert distance(a[i : i + 1], b[i : i + 1]).item() == pytest.approx(expected[i], rel=1e-4)


def test_equal_frames_are_at_distance_zero_and_the_gradient_is_finite_there(distance: VggLpips) -> None:
    prediction, target = frames(1).requires_grad_(), frames(1)
    loss = distance(prediction, target)
    loss.backward()
    assert loss.item() == 0
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()


def test_features_that_are_all_zero_give_no_nan(weights: tuple[Weights, Weights]) -> None:
    """Where every rectifier is off, the published code divides by a root whose slope is infinite."""
    backbone = {name: value.clone() for name, value in weights[0].items()}
    backbone["features.28.bias"] -= 1e6
    prediction = frames(1).requires_grad_()
    VggLpips(backbone, weights[1])(prediction, frames(1, seed=1)).backward()
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert prediction.grad.abs().max() > 0


def test_the_gradient_reaches_the_prediction_alone(distance: VggLpips) -> None:
    prediction, target = frames(1).requires_grad_(), frames(1, seed=1).requires_grad_()
    distance(prediction, target).backward()
    assert target.grad is None
    assert prediction.grad is not None
    assert prediction.grad.abs().max() > 0
    assert not any(p.requires_grad for p in distance.parameters())


def saved(folder: Path, weights: tuple[Weights, Weights]) -> tuple[Path, Path, str, str]:
    paths = (folder / "vgg16.pth", folder / "vgg.pth")
    for path, state in zip(paths, weights, strict=True):
        torch.save(state, path)
    return (*paths, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths))


def test_files_are_read_after_their_hash(
    tmp_path: Path, weights: tuple[Weights, Weights], distance: VggLpips
) -> None:
    backbone, heads, backbone_sha256, heads_sha256 = saved(tmp_path, weights)
    read = load_vgg_lpips(backbone, heads, backbone_sha256, heads_sha256)
    assert torch.equal(read(frames(1), frames(1, seed=1)), distance(frames(1), frames(1, seed=1)))
    with pytest.raises(ValueError, match=rf"SHA-256 is {backbone_sha256}, not 0000"):
        load_vgg_lpips(backbone, heads, "0" * 64, heads_sha256)
    with pytest.raises(ValueError, match="No such file"):
        load_vgg_lpips(backbone, tmp_path / "absent.pth", backbone_sha256, heads_sha256)


def test_a_file_of_the_right_hash_still_runs_no_code(
    tmp_path: Path, weights: tuple[Weights, Weights]
) -> None:
    backbone, heads, _, heads_sha256 = saved(tmp_path, weights)
    for content in (b"cos\nsystem\n(S'false'\ntR.", b"", b"PK\x03\x04"):
        backbone.write_bytes(content)
        with pytest.raises(ValueError, match="without running code"):
            load_vgg_lpips(backbone, heads, hashlib.sha256(content).hexdigest(), heads_sha256)
    torch.save([1, 2], backbone)
    with pytest.raises(ValueError, match="by their names"):
        load_vgg_lpips(backbone, heads, hashlib.sha256(backbone.read_bytes()).hexdigest(), heads_sha256)


def test_a_recipe_names_its_files(
    tmp_path: Path, weights: tuple[Weights, Weights], distance: VggLpips
) -> None:
    backbone, heads, backbone_sha256, heads_sha256 = saved(tmp_path, weights)
    features = LpipsFeatures(
        kind="vgg_lpips",
        backbone=backbone,
        heads=heads,
        backbone_sha256=backbone_sha256,
        heads_sha256=heads_sha256,
    )
    chosen = perceptual_distance(features)
    assert torch.equal(chosen(frames(1), frames(1, seed=1)), distance(frames(1), frames(1, seed=1)))
    published = LpipsFeatures(kind="vgg_lpips", backbone=backbone, heads=heads)
    with pytest.raises(ValueError, match=rf"SHA-256 is {backbone_sha256}, not 397923af"):
        perceptual_distance(published)
    assert isinstance(perceptual_distance(EfficientNetFeatures()), PerceptualDistance)


def test_weights_of_another_network_are_refused(weights: tuple[Weights, Weights]) -> None:
    backbone, heads = weights
    with pytest.raises(ValueError, match=r"need 'features\.0\.weight'.*not nothing"):
        VggLpips({}, heads)
    with pytest.raises(ValueError, match=r"'lin0\.model\.1\.weight' of shape \(1, 64, 1, 1\), not \(1, 3"):
        VggLpips(backbone, {**heads, "lin0.model.1.weight": torch.zeros(1, 3, 1, 1)})


def test_frames_of_another_shape_are_refused(distance: VggLpips) -> None:
    with pytest.raises(ValueError, match="must agree"):
        distance(frames(1), frames(2))
    with pytest.raises(ValueError, match="sides of 16 or more"):
        distance(frames(1, 8, 16), frames(1, 8, 16))
