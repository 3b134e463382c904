"""Saving and reading a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from moviegen_core import TextContext
from moviegen_dit import VideoDiT, from_pretrained, save

MakeContexts = Callable[[list[list[int]]], list[TextContext]]


def test_a_saved_model_reads_back_the_same(model: VideoDiT, contexts: MakeContexts, tmp_path: Path) -> None:
    model.float()
    save(model, tmp_path / "dit")
    loaded = from_pretrained(tmp_path / "dit")
    assert loaded.config == model.config
    assert not loaded.training
    prompts = [context.to("cpu", torch.float32) for context in contexts([[3, 1], [2, 4]])]
    x, t = torch.randn(2, 4, 2, 4, 4), torch.tensor([0.1, 0.9])
    assert torch.equal(loaded(x, t, loaded.prepare(prompts)), model(x, t, model.prepare(prompts)))


def test_half_precision_weights_are_read_in_float32(model: VideoDiT, tmp_path: Path) -> None:
    save(model, tmp_path / "dit", torch.float16)
    for name, parameter in from_pretrained(tmp_path / "dit").named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, model.get_parameter(name).half().float())


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights at 'enormous'"):
        from_pretrained("enormous")
