"""Retraining in legs: what it says beforehand, and where it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import moviegen_miniature.retrain as retrain
import pytest
from moviegen_runtime.training import run
from moviegen_runtime.training.recipe_file import load_recipe

RECIPES = Path(__file__).parent.parent / "recipes"


def test_the_forecast_is_work_over_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "_measured_gflops", lambda: 200.0)
    tae = load_recipe(RECIPES / "tae.yaml", ["steps=600", "batch_size=10"])
    dit = load_recipe(RECIPES / "dit.yaml", ["steps=6000", "batch_size=20"])
    minutes = {
        "tae": 600 * (10 * 11.9 + 13.3) / 100 / 60,
        "dit": 6000 * (20 * 1.2 + 33.6) / 100 / 60,
        "latents": 60_000 * 1.7 / 100 / 60,
    }
    parts = ", ".join(f"{name} {value:.0f}" for name, value in minutes.items())
    assert retrain._forecast(tae, dit) == (
        f"from nothing this takes about {sum(minutes.values()):.0f} minutes here ({parts})"
    )


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
