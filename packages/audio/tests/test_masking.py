"""What is hidden in training: the paper's rates, and where masked frames lie."""

from __future__ import annotations

import pytest
import torch
from moviegen_audio import AudioMasking

BATCH, FRAMES = 20_000, 40


def test_rates_are_the_papers() -> None:
    hidden = AudioMasking().draw(BATCH, FRAMES, torch.Generator().manual_seed(0))
    shown = hidden.given.any(dim=1).float().mean().item()
    assert hidden.drop_text.float().mean().item() == pytest.approx(0.2 + 0.8 * 0.1, abs=0.01)
    assert hidden.drop_video.float().mean().item() == pytest.approx(0.2 + 0.8 * 0.1, abs=0.01)
    # Both at once: with everything, or each by itself.
    both = (hidden.drop_text & hidden.drop_video).float().mean().item()
    assert both == pytest.approx(0.2 + 0.8 * 0.01, abs=0.01)
    # Where more than 39 of 40 frames are masked, none is shown: that is 1 of 10 of the part from 30 to 40.
    assert shown == pytest.approx(0.8 * 0.5 * 0.9, abs=0.01)


def test_what_is_masked_is_one_span_of_three_quarters_at_least() -> None:
    masking = AudioMasking(no_context=0.0, nothing=0.0)
    given = masking.draw(BATCH, FRAMES, torch.Generator().manual_seed(0)).given
    masked = (~given).sum(dim=1)
    assert (int(masked.min()), int(masked.max())) == (31, 40)
    assert masked.float().mean().item() == pytest.approx(35.5, abs=0.1)
    edges = given[:, 1:] != given[:, :-1]
    assert int(edges.sum(dim=1).max()) == 2
    assert given[:, 0].any()
    # Half reach the end by intent, and one in (room + 1) of the others.
    to_the_end = (~given[:, -1]).float().mean().item()
    chance = sum(1 / (room + 1) for room in range(10)) / 10
    assert to_the_end == pytest.approx(0.5 + 0.5 * chance, abs=0.01)


def test_everything_is_hidden_together() -> None:
    masking = AudioMasking(no_context=0.0, nothing=1.0, no_text=0.0, no_video=0.0)
    hidden = masking.draw(8, FRAMES, torch.Generator().manual_seed(0))
    assert not hidden.given.any()
    assert hidden.drop_text.all()
    assert hidden.drop_video.all()


def test_the_generator_alone_decides() -> None:
    first, second = (AudioMasking().draw(50, FRAMES, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.given, second.given)
    assert torch.equal(first.drop_text, second.drop_text)


def test_probabilities_are_from_0_to_1() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        AudioMasking(nothing=1.5)
