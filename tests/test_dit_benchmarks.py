"""The benchmarks of the transformer measure what they say, at a size that takes seconds."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from moviegen_runtime import load
from projects import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import dit_speed
import sampler_cost

PAIR = dit_speed.Pair("Wan", 64, 2, 1)


def cells(table: str, row: int) -> dict[str, str]:
    """A row of a table by its titles; of two columns with one title, the last."""
    titles, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return dict(zip(titles, rows[row], strict=True))


def test_rows_are_compared_with_ours_of_the_same_pair_length_and_work() -> None:
    ours = dit_speed.Case("moviegen", PAIR, 512, "forward", 10, 1.0, 4 * 10**9, 4 * 10**9, 100)
    peer = replace(ours, model="Wan", seconds=3.0, flop=6 * 10**9, expected_flop=None, peak_bytes=250)
    other = replace(ours, tokens=2048, seconds=50.0)
    table = dit_speed.table([other, ours, peer], limit=8.0)
    row = cells(table, 2)
    assert (row["model"], row["ms"], row["GFLOP"], row["by hand"]) == ("Wan", "3000", "6.0", "-")
    assert (row["GFLOP/s"], row["of the limit"]) == ("2.0", "25%")
    assert row["ms a GFLOP, times ours"] == "2.00"
    assert row["times ours"] == "2.50"  # of memory
    assert "| 3000 | 3.00 |" in table


def test_a_forward_costs_as_many_flop_as_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the peer, which is not installed here: ours at a width of its own."""
    arch = dit_speed.config(PAIR, 96)
    monkeypatch.setattr(dit_speed, "matched", lambda _: arch)
    case = dit_speed.case("moviegen", PAIR, 256, "forward", repeats=1)
    assert case.flop == case.expected_flop
    trained = dit_speed.case("moviegen", PAIR, 256, "training step", repeats=1)
    assert 2.5 < trained.flop / case.flop < 3.5
    assert trained.peak_bytes > 4 * 2 * trained.parameters  # gradients, and two moments at the least


def test_the_machine_has_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dit_speed, "COMPARED", (64, 128))
    rates = dit_speed.limits(PAIR, 96, repeats=2)
    assert rates["best"] >= rates["products"] > 0
    assert rates["attention"] > 0


def test_sampling_calls_the_model_once_a_step_on_both_halves() -> None:
    cast = load("miniature", device="cpu", micro_batch=2)
    cost = sampler_cost.run(cast, 12)
    assert (cost.calls, cost.batch, cost.clips) == (12, 4, 2)
    assert 0 < cost.before < cost.outside < cost.seconds
    assert cells(sampler_cost.table([cost]), 0)["steps"] == "12"
