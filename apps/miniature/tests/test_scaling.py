"""Logs of trainings: hours, losses, and the table that compares widths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moviegen_miniature.logs import hours, losses, read_log, read_logs
from moviegen_miniature.scaling import Scaling, table

RECIPES = Path(__file__).parent.parent / "recipes"
RECIPE = """\
model: dit
preset: miniature
architecture: {{width: {width}}}
batch_size: 64
steps: 200
optimizer: {{name: adamw, lr: 1.0e-3, warmup_steps: 1, schedule: constant}}
"""


def training(folder: Path, width: int, batch: int = 64) -> Path:
    """A training with a validation every 100 steps, whose second leg began after step 100."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE.format(width=width))
    entries = [
        {"step": 50, "samples": 50 * batch, "loss": 1.0, "samples_per_second": 32.0, "minutes": 1.7},
        {"step": 100, "samples": 100 * batch, "loss": 0.9, "samples_per_second": 64.0, "minutes": 2.5},
        {"step": 100, "validation.loss": 0.8},
        {"step": 200, "samples": 200 * batch, "loss": 0.7, "samples_per_second": 32.0, "minutes": 3.3},
        {"step": 200, "validation.loss": 0.6 + width / 10_000},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_hours_are_samples_over_speed_in_all_legs(tmp_path: Path) -> None:
    training(tmp_path / "a", 192)
    seconds = 50 * 64 / 32 + 50 * 64 / 64 + 100 * 64 / 32
    assert hours(read_logs(tmp_path)) == pytest.approx(seconds / 3600)
    training(tmp_path / "b", 192)
    assert hours(read_logs(tmp_path)) == pytest.approx(2 * seconds / 3600)


def test_widths_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    narrow, wide = training(tmp_path / "narrow", 192), training(tmp_path / "wide", 256, batch=32)
    Scaling((narrow, wide)).run()
    assert capsys.readouterr().out.splitlines() == [
        "| samples | width 192 (narrow) | width 256 (wide) |",
        "|---:|---:|---:|",
        "| 3,200 |  | 0.8000 |",
        "| 6,400 | 0.8000 | 0.6256 |",
        "| 12,800 | 0.6192 |  |",
    ]


def test_equal_counts_share_a_line() -> None:
    assert table({"a": [(10, 0.5)], "b": [(10, 0.25), (20, 0.125)]}).splitlines()[2:] == [
        "| 10 | 0.5000 | 0.2500 |",
        "| 20 |  | 0.1250 |",
    ]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = training(tmp_path / "run", 192)
    with pytest.raises(ValueError, match="at least two"):
        Scaling((run,)).run()
    with pytest.raises(ValueError, match="must differ"):
        Scaling((run, run)).run()
    with pytest.raises(ValueError, match=r"log\.jsonl is not there"):
        read_log(tmp_path / "log.jsonl")
    with pytest.raises(ValueError, match="must have been validated"):
        losses([{"step": 1, "samples": 4, "loss": 1.0}])
    (run / "log.jsonl").write_text('{"step": 1}\n[1]\n')
    with pytest.raises(ValueError, match="line 2 of"):
        read_log(run / "log.jsonl")
    tae = training(tmp_path / "tae", 192)
    (tae / "recipe.yaml").write_text((RECIPES / "tae.yaml").read_text())
    with pytest.raises(ValueError, match="no training of a transformer"):
        Scaling((tae, run)).run()
