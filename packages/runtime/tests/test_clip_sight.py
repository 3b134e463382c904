"""The picture tower of a CLIP in miniature: real classes of transformers with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from moviegen_runtime.features.clip_sight import ClipSight
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    T5Config,
    T5EncoderModel,
)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

VISION = CLIPVisionConfig(
    hidden_size=8,
    intermediate_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=16,
    patch_size=4,
    projection_dim=6,
)
TEXT = CLIPTextConfig(
    vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
)


@pytest.fixture(scope="module", autouse=True)
def _offline() -> None:
    transformers.utils.logging.disable_progress_bar()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole CLIP as MetaCLIP is published: its config says the width of the projection at the top only."""
    folder = tmp_path_factory.mktemp("clip")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPConfig(text_config=TEXT.to_dict(), vision_config=VISION.to_dict(), projection_dim=6)
        CLIPModel(config).save_pretrained(folder)
    path = folder / "config.json"
    written = json.loads(path.read_text())
    del written["vision_config"]["projection_dim"]
    path.write_text(json.dumps(written))
    return folder


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_the_embeddings_of_the_whole_model(folder: Path) -> None:
    sight = ClipSight(folder)
    assert (sight.width, sight.size, sight.precision) == (6, (16, 16), "float32")
    seen = pictures(3)
    mean, std = (torch.tensor(values)[:, None, None] for values in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    model = CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        pooled = model.vision_model(pixel_values=((seen + 1) / 2 - mean) / std).pooler_output
        expected = model.visual_projection(pooled)
    torch.testing.assert_close(sight.encode(seen), expected, rtol=1e-5, atol=1e-6)


def test_a_picture_is_seen_the_same_alone_and_among_many(folder: Path) -> None:
    sight = ClipSight(folder)
    together = sight.encode(pictures(40))
    assert together.shape == (40, 6)
    for place in (0, 31, 32, 39):
        alone = sight.encode(pictures(40)[place : place + 1])[0]
        torch.testing.assert_close(alone, together[place], rtol=1e-5, atol=1e-6)


def test_the_tower_alone_sees_what_the_whole_model_sees(folder: Path, tmp_path: Path) -> None:
    tower = CLIPVisionModelWithProjection.from_pretrained(folder, projection_dim=6)
    tower.save_pretrained(tmp_path)
    alone, whole = ClipSight(tmp_path), ClipSight(folder)
    torch.testing.assert_close(alone.encode(pictures(2)), whole.encode(pictures(2)), rtol=1e-5, atol=1e-6)
    assert alone.weights_hash != whole.weights_hash
    assert ClipSight(folder).weights_hash == whole.weights_hash


def test_features_in_half_precision_are_nearly_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ClipSight(folder).encode(pictures(8))
    monkeypatch.setattr("moviegen_runtime.features.clip_sight.precision_on", lambda _: "bfloat16")
    halved = ClipSight(folder).encode(pictures(8))
    assert halved.dtype == torch.float32
    assert 0 < float((halved - expected).norm() / expected.norm()) < 0.03


def test_what_is_not_there_or_does_not_fit_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"picture encoder lacks in .*: config\.json, model\.safetensors"):
        ClipSight(tmp_path)
    with pytest.raises(ValueError, match=r"must be \(F, 3, 16, 16\), not \(2, 3, 8, 16\)"):
        ClipSight(folder).encode(torch.zeros(2, 3, 8, 16))
    CLIPVisionModel(VISION).save_pretrained(tmp_path / "bare")
    with pytest.raises(ValueError, match=r"lacks the tensor 'visual_projection\.weight'"):
        ClipSight(tmp_path / "bare")
    sizes = T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5EncoderModel(sizes).save_pretrained(tmp_path / "t5")
    with pytest.raises(ValueError, match="describes a model of type 't5', not a clip"):
        ClipSight(tmp_path / "t5")


def test_a_text_tower_is_no_picture_encoder(folder: Path, tmp_path: Path) -> None:
    transformers.CLIPTextModel.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="of type 'clip_text_model', not a clip"):
        ClipSight(tmp_path)
