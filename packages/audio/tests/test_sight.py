"""What is seen: single pictures, and motion where the features of neighbours are projected together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_audio import AudioDiT, AudioDiTConfig, FrameFeatures, Sight, SightConfig, load_dit, save_dit
from moviegen_audio.layers import GatedProjection
from moviegen_dit import TextEncoderSpec
from pydantic import ValidationError
from torch import Tensor

SIGHT = SightConfig(side=8, channels=(4, 8))
CONFIG = AudioDiTConfig(
    width=8,
    layers=1,
    heads=2,
    mlp_width=8,
    text_encoder=TextEncoderSpec(name="t5", width=6),
    video_width=5,
    video_kernel=3,
    sight=SIGHT,
    latent_channels=3,
)


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_every_picture_is_seen_by_itself_and_places_count() -> None:
    torch.manual_seed(0)
    sight = Sight(SIGHT, 5)
    assert (sight.size, sight.width) == ((8, 8), 5)
    together = sight.encode(pictures(4))
    assert together.shape == (4, 5)
    torch.testing.assert_close(together[2:3], sight.encode(pictures(4)[2:3]))
    dot = torch.zeros(2, 3, 8, 8)
    dot[0, :, 1, 1] = dot[1, :, 6, 6] = 1
    left, right = sight.encode(dot)
    assert (left - right).abs().max() > 1e-3


def test_gradients_reach_every_weight_of_it() -> None:
    torch.manual_seed(0)
    sight = Sight(SIGHT, 5)
    sight.encode(pictures(3)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in sight.parameters())


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(F, 3, 8, 8\), not \(2, 3, 8, 9\)"):
        Sight(SIGHT, 5).encode(torch.zeros(2, 3, 8, 9))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sight": {"side": 10, "channels": [4, 8]}}, "side must be a multiple of 4"),
        ({"video_kernel": 4}, "video_kernel must be odd"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        AudioDiTConfig.model_validate({**CONFIG.model_dump(), **changes})


def projection(kernel: int) -> GatedProjection:
    torch.manual_seed(0)
    made = GatedProjection(5, 6, kernel)
    torch.nn.init.ones_(made.gate)
    return made


def test_a_kernel_of_one_is_the_papers_projection() -> None:
    made = projection(1)
    features = torch.randn(2, 7, 5)
    wanted = torch.tanh(made.gate) * made.norm(made.projection(features))
    torch.testing.assert_close(made(features), wanted)


def test_a_frame_is_projected_with_its_neighbours_and_no_others() -> None:
    made, features = projection(3), torch.randn(1, 9, 5)
    changed = features.clone()
    changed[:, 4] += 1
    differs = (made(changed) != made(features)).any(dim=-1)[0]
    assert differs.tolist() == [3 <= place <= 5 for place in range(9)]


def test_what_stands_still_is_the_same_from_its_beginning_to_its_end() -> None:
    still = torch.randn(1, 1, 5).expand(1, 9, 5)
    out = projection(5)(still)
    torch.testing.assert_close(out, out[:, :1].expand_as(out))


def test_a_transformer_that_sees_reads_back_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AudioDiT(CONFIG)
    save_dit(model, tmp_path)
    again = load_dit(tmp_path)
    assert again.config == CONFIG
    assert model.sight is not None
    assert again.sight is not None
    assert torch.equal(again.sight.encode(pictures(2)), model.sight.encode(pictures(2)))
    features = FrameFeatures(model.sight.encode(pictures(2))[None], 12.5)
    assert model.prepare(4, video=features).video.shape == (1, 4, 8)
