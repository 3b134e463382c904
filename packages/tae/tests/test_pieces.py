"""Without gradients a clip goes through in pieces of its frames, which must change nothing."""

from __future__ import annotations

import pytest
import torch
from moviegen_core import VideoClip, VideoLatent
from moviegen_tae import TAE, TAEConfig, pieces
from moviegen_tae.layers import enlarged
from moviegen_tae.pieces import Kept, regrouped
from moviegen_tae.temporal import doubled

PLAIN = TAEConfig(
    channels=(8, 8, 16, 16),
    encoder_blocks=(0, 1, 1, 0),
    decoder_blocks=(1, 1, 0, 1),
    latent_channels=4,
    patch_size=2,
    norm_groups=4,
)
WITH_SHORTCUTS = PLAIN.model_copy(update={"resampling_shortcuts": True})
LATENT_DIFFUSION = TAEConfig(
    channels=(4, 8, 8, 12),
    encoder_blocks=(1, 1, 0, 1),
    decoder_blocks=(1, 0, 1, 0),
    latent_channels=4,
    norm_groups=2,
    width_changes_in="blocks",
    latent_projection=True,
)


@pytest.mark.parametrize("values", [1, 400, 2**20])
@pytest.mark.parametrize("config", [PLAIN, WITH_SHORTCUTS, LATENT_DIFFUSION])
def test_pieces_of_any_length_give_what_whole_clips_give(
    config: TAEConfig, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From single frames everywhere to the whole clip in one piece; batches, odd lengths, dropped frames."""
    monkeypatch.setattr(pieces, "_VALUES_ON_CPU", values)
    torch.manual_seed(0)
    tae = TAE(config).double().eval()
    with torch.no_grad():
        for parameter in tae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    for frames in (1, 2, 8, 9, 13, 19):
        clip = VideoClip(torch.randn(2, 3, frames, 16, 24, dtype=torch.float64), 8.0)
        whole = tae.posterior(clip)
        latent = VideoLatent(whole.mean, tae.stride, frames, 8.0)
        decoded = tae.decode(latent).frames
        with torch.no_grad():
            streamed = tae.posterior(clip)
            torch.testing.assert_close(streamed.mean, whole.mean)
            torch.testing.assert_close(streamed.log_variance, whole.log_variance)
            torch.testing.assert_close(tae.decode(latent).frames, decoded)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 4)])
def test_a_picture_enlarged_by_small_kernels_is_nearest_neighbour_and_a_convolution(
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 5, 3, padding=1).double()
    picture = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        large = torch.nn.functional.interpolate(picture, scale_factor=2, mode="nearest")
        torch.testing.assert_close(enlarged(conv, picture), conv(large))


def test_two_taps_do_to_single_positions_what_three_do_to_doubled_ones() -> None:
    torch.manual_seed(0)
    kernel, line = torch.randn(4, 3, 3, dtype=torch.float64), torch.randn(1, 3, 9, dtype=torch.float64)
    conv1d = torch.nn.functional.conv1d
    expected = conv1d(line.repeat_interleave(2, dim=2), kernel, padding=1)
    first, second = (conv1d(line, part, padding=1) for part in doubled(kernel, 2))
    torch.testing.assert_close(first[..., :-1], expected[..., ::2])
    torch.testing.assert_close(second[..., 1:], expected[..., 1::2])


def test_what_goes_in_is_left_as_it_was() -> None:
    tae = TAE(PLAIN).eval()
    clip = VideoClip(torch.randn(1, 3, 9, 16, 16), 8.0)
    frames = clip.frames.clone()
    with torch.no_grad():
        latent = tae.encode(clip)
        values = latent.values.clone()
        tae.decode(latent)
    assert torch.equal(clip.frames, frames)
    assert torch.equal(latent.values, values)


def test_pieces_work_in_mixed_precision() -> None:
    tae = TAE(LATENT_DIFFUSION).eval()
    clip = VideoClip(torch.randn(1, 3, 9, 16, 16), 8.0)
    with torch.no_grad():
        exact = tae.decode(tae.encode(clip)).frames
        with torch.autocast("cpu", torch.bfloat16):
            mixed = tae.decode(tae.encode(clip)).frames
    assert (mixed.float() - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("multiple", [1, 2])
@pytest.mark.parametrize("lengths", [[1, 1, 1, 1, 1], [7], [2, 5, 1], [4, 4]])
def test_regrouping_keeps_order_and_makes_multiples(
    lengths: list[int], multiple: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_VALUES_ON_CPU", 3 * 4)
    frames = torch.arange(sum(lengths) * 4.0).reshape(-1, 1, 2, 2)
    groups = list(regrouped(iter(frames.split(lengths)), multiple))
    assert torch.equal(torch.cat(groups), frames)
    assert all(len(group) == (3 if multiple == 1 else 2) for group in groups[:-1])


def test_what_is_kept_is_added_to_what_was_made_of_it() -> None:
    kept = Kept(iter(torch.arange(4.0)))
    lagging = (piece for pair in zip(kept, kept, strict=True) for piece in (10 * pair[0], 10 * pair[1]))
    assert [float(x) for x in kept.added(lagging, torch.add)] == [0.0, 11.0, 22.0, 33.0]
