"""Retraining in legs: what it says beforehand, and where it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import moviegen_miniature.retrain as retrain
import pytest
import torch
from moviegen_core import VideoClip
from moviegen_runtime.training import run
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_tae import TAE, preset
from torch.utils.flop_counter import FlopCounterMode

RECIPES = Path(__file__).parent.parent / "recipes"


def test_the_forecast_is_work_over_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "_measured_gflops", lambda: 200.0)
    monkeypatch.setattr(retrain, "TRAIN_GFLOP", {"tae": 10.0, "dit": 2.0})
    monkeypatch.setattr(retrain, "MUON_GFLOP", {"tae": 20.0, "dit": 60.0})
    monkeypatch.setattr(retrain, "ENCODE_GFLOP", 2.0)
    monkeypatch.setattr(retrain, "LATENTS", 30_000)
    tae = load_recipe(RECIPES / "tae.yaml", ["steps=600", "batch_size=10"])
    dit = load_recipe(RECIPES / "dit.yaml", ["steps=6000", "batch_size=20"])
    assert retrain._forecast(tae, dit) == (
        "from nothing this takes about 122 minutes here (tae 12, dit 100, latents 10)"
    )


def test_the_work_that_the_forecast_counts_is_the_models() -> None:
    tae = TAE(preset("miniature"))
    clip = VideoClip(torch.zeros(1, 3, 16, 64, 64), fps=8.0)
    image = VideoClip(torch.zeros(2, 3, 1, 64, 64), fps=8.0)
    with FlopCounterMode(display=False) as encoding, torch.no_grad():
        tae.encode(clip)
    step = []
    for batch in (clip, image):  # three steps of the first to one of the second
        with FlopCounterMode(display=False) as counter:
            tae.decode_moments(tae.posterior(batch).mean, batch.shape).sum().backward()
        step.append(counter.get_total_flops())
    assert encoding.get_total_flops() / 1e9 == pytest.approx(retrain.ENCODE_GFLOP, rel=0.1)
    assert (3 * step[0] + step[1]) / 4e9 == pytest.approx(retrain.TRAIN_GFLOP["tae"], rel=0.1)


def test_a_leg_ends_where_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    legs: list[tuple[str, float | None]] = []

    def train(recipe: Any, out: Path, machine: run.Machine) -> bool:
        assert out == tmp_path / "out" / recipe.model
        legs.append((recipe.model, machine.max_minutes))
        return False

    monkeypatch.setattr(retrain, "_measured_gflops", lambda: 200.0)
    monkeypatch.setattr("moviegen_miniature.commands.Fetch.run", lambda _: None)
    monkeypatch.setattr(run, "train", train)
    monkeypatch.setattr(run, "prepare_process", lambda _: None)
    retrain.Retrain(RECIPES, tmp_path / "out", max_minutes=30).run()
    assert [model for model, _ in legs] == ["tae"]
    assert 29 < (legs[0][1] or 0) <= 30
    assert "the same command goes on from there" in capsys.readouterr().err
