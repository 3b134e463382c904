"""What is seen: single pictures, and what moves from one to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_audio import (
    AudioDiT,
    AudioDiTConfig,
    FrameFeatures,
    Sight,
    SightConfig,
    load_dit,
    load_sight,
    save_dit,
    save_sight,
    sight_preset,
)
from moviegen_audio.layers import GatedProjection
from moviegen_dit import TextEncoderSpec
from pydantic import ValidationError
from torch import Tensor

SIGHT = SightConfig(side=8, channels=(4, 8), width=5, frames=3, bands=2)
CONFIG = AudioDiTConfig(
    width=8,
    layers=1,
    heads=2,
    mlp_width=8,
    text_encoder=TextEncoderSpec(name="t5", width=6),
    video_width=5,
    sight=SIGHT,
    latent_channels=3,
)


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def new(**changes: object) -> Sight:
    torch.manual_seed(0)
    return Sight(SightConfig.model_validate({**SIGHT.model_dump(), **changes}))


def test_every_picture_is_seen_by_itself_and_places_count() -> None:
    sight = new()
    assert (sight.size, sight.width) == ((8, 8), 5)
    together = sight.encode(pictures(4))
    assert together.shape == (4, 5)
    torch.testing.assert_close(together[2:3], sight.encode(pictures(4)[2:3]))
    dot = torch.zeros(2, 3, 8, 8)
    dot[0, :, 1, 1] = dot[1, :, 6, 6] = 1
    left, right = sight.encode(dot)
    assert (left - right).abs().max() > 1e-3


def test_gradients_reach_every_weight_of_it() -> None:
    sight = new()
    logits, bands = sight.foresee(sight.watch(sight.encode(pictures(3))[None]))
    assert (logits.shape, bands.shape) == ((1, 3), (1, 3, 2))
    (logits.square().sum() + bands.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in sight.parameters())


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(F, 3, 8, 8\), not \(2, 3, 8, 9\)"):
        new().encode(torch.zeros(2, 3, 8, 9))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sight": {**SIGHT.model_dump(), "side": 10}}, "side must be a multiple of 4"),
        ({"sight": {**SIGHT.model_dump(), "frames": 4}}, "frames must be odd, not 4"),
        ({"video_width": 6}, "sight must be video_width wide and see frame_rate frames a second, 6 and 25"),
        ({"frame_rate": 50.0}, "5 and 50, not 5 and 25"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        AudioDiTConfig.model_validate({**CONFIG.model_dump(), **changes})


def test_the_papers_transformers_have_no_sight() -> None:
    assert sight_preset("miniature").side == 64
    with pytest.raises(ValueError, match="'13b' has no sight of its own"):
        sight_preset("13b")


def test_what_a_video_adds_is_the_papers_projection() -> None:
    torch.manual_seed(0)
    made, features = GatedProjection(5, 6), torch.randn(2, 7, 5)
    wanted = torch.tanh(made.gate) * made.norm(made.projection(features))
    torch.testing.assert_close(made(features), wanted)


def test_a_frame_is_watched_with_its_neighbours_and_no_others() -> None:
    sight, features = new(), torch.randn(1, 9, 5)
    changed = features.clone()
    changed[:, 4] += 1
    differs = (sight.watch(changed) != sight.watch(features)).any(dim=-1)[0]
    assert differs.tolist() == [3 <= place <= 5 for place in range(9)]


def test_what_stands_still_is_the_same_from_its_beginning_to_its_end() -> None:
    still = torch.randn(1, 1, 5).expand(1, 9, 5)
    out = new(frames=5).watch(still)
    torch.testing.assert_close(out, out[:, :1].expand_as(out))


def test_a_transformer_reads_what_is_watched() -> None:
    torch.manual_seed(0)
    model = AudioDiT(CONFIG)
    assert model.sight is not None
    features = FrameFeatures(model.sight.encode(pictures(4))[None], 12.5)
    wanted = model.video(model.sight.watch(features.resampled(8, 25.0)))
    torch.testing.assert_close(model.prepare(8, video=features).video, wanted)


def test_what_sees_reads_back_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AudioDiT(CONFIG)
    save_dit(model, tmp_path / "dit")
    again = load_dit(tmp_path / "dit")
    assert again.config == CONFIG
    assert model.sight is not None
    save_sight(model.sight, tmp_path / "sight")
    alone = load_sight(tmp_path / "sight")
    assert alone.config == SIGHT
    for sight in (again.sight, alone):
        assert sight is not None
        assert torch.equal(sight.encode(pictures(2)), model.sight.encode(pictures(2)))
    with pytest.raises(ValueError, match="audio-sight"):
        load_sight(tmp_path / "dit")
