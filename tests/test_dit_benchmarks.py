"""The benchmarks of the transformers measure what they say, at a size that takes seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from moviegen_runtime import load
from projects import ROOT
from torch import nn

sys.path.insert(0, str(ROOT / "benchmarks"))
import audio_dit
import dit_speed
import pairs
import sampler_cost

PAIR = pairs.Pair("Wan", 64, 2, 1)


def cells(table: str, row: int) -> dict[str, str]:
    """A row of a table by its titles; of two columns with one title, the last."""
    titles, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    return dict(zip(titles, rows[row], strict=True))


def test_rows_are_compared_with_ours_of_the_same_pair_length_and_work() -> None:
    ours = pairs.Case("moviegen", PAIR, 512, "forward", 10, 1.0, 4 * 10**9, 4 * 10**9, 100)
    peer = replace(ours, model="Wan", seconds=3.0, flop=6 * 10**9, expected_flop=None, peak_bytes=250)
    other = replace(ours, tokens=2048, seconds=50.0)
    table = pairs.table([other, ours, peer], limit=8.0)
    row = cells(table, 2)
    assert (row["model"], row["ms"], row["GFLOP"], row["by hand"]) == ("Wan", "3000", "6.0", "-")
    assert (row["GFLOP/s"], row["of the limit"]) == ("2.0", "25%")
    assert row["ms a GFLOP, times ours"] == "2.00"
    assert row["times ours"] == "2.50"  # of memory
    assert "| 3000 | 3.00 |" in table


@pytest.mark.parametrize(
    ("bench", "tokens", "most"),
    [(dit_speed, 256, 3.5), (audio_dit, 250, 4.5)],  # at this width the features of video cost a good part
    ids=["video", "audio"],
)
def test_a_forward_costs_as_many_flop_as_by_hand(
    bench: ModuleType, tokens: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the peer, which is not installed here: ours at a width of its own."""
    arch = bench.config(PAIR, 96)
    monkeypatch.setattr(bench, "matched", lambda _: arch)
    case = pairs.case(bench.made, "moviegen", PAIR, tokens, "forward", repeats=1)
    assert case.flop == case.expected_flop
    trained = pairs.case(bench.made, "moviegen", PAIR, tokens, "training step", repeats=1)
    assert 2.5 < trained.flop / case.flop < most


def test_a_training_step_holds_gradients_and_two_moments() -> None:
    """With a matrix so large that its copies come from the system, and go back there."""

    def made(*_: object) -> pairs.Made:
        layer, x = nn.Linear(4096, 4096), torch.randn(1, 4096)
        return pairs.Made(layer, lambda: layer(x), lambda: layer(x))

    forward, trained = (pairs.case(made, "one layer", PAIR, 1, work, repeats=1) for work in pairs.WORKS)
    assert forward.peak_bytes < 4 * forward.parameters
    assert trained.peak_bytes == pytest.approx(3 * 4 * trained.parameters, rel=0.1)


def test_models_take_turns_after_a_call_that_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    clock = iter(range(100))
    monkeypatch.setattr(pairs.time, "perf_counter", lambda: 1.0 * next(clock) ** 2)

    def made(name: str, *_: object) -> pairs.Made:
        layer, x = nn.Linear(1, 1), torch.ones(1, 1)

        def forward() -> torch.Tensor:
            called.append(name)
            return layer(x)

        return pairs.Made(layer, forward, forward)

    seconds = pairs.turns(made, ["moviegen", "Wan"], PAIR, 1, "forward", repeats=3)
    assert called == ["moviegen", "Wan"] * 4
    # The clock is read twice a call; its nth and (n + 1)th reading are 2n + 1 apart.
    assert seconds == {"moviegen": 2 * 8 + 1, "Wan": 2 * 10 + 1}


def test_the_feed_forward_is_as_wide_as_makes_the_parameters_equal() -> None:
    def linear(width: int) -> nn.Module:
        return nn.Linear(10, width)

    assert pairs.matched_width(linear, lambda: nn.Linear(10, 43)) == 40
    with pytest.raises(ValueError, match="too few"):
        pairs.matched_width(linear, lambda: nn.Linear(10, 7))


def test_the_machine_has_rates() -> None:
    sizes = dit_speed.products(dit_speed.config(PAIR, 96))
    rates = pairs.limits(sizes, PAIR.heads, (64, 128), repeats=2)
    assert rates["best"] >= rates["products"] > 0
    assert rates["attention"] > 0


def test_sampling_calls_the_model_once_a_step_on_both_halves() -> None:
    cast = load("miniature", device="cpu", micro_batch=2)
    cost = sampler_cost.run(cast, 12)
    assert (cost.calls, cost.batch, cost.clips) == (12, 4, 2)
    assert 0 < cost.before < cost.outside < cost.seconds
    assert cells(sampler_cost.table([cost]), 0)["steps"] == "12"
