"""Intervals in closed form, and what the tables say of verdicts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from moviegen_miniature.judge import Verdict
from moviegen_miniature.judge.goals import paraphrase_goal, sample_goals
from moviegen_miniature.judge.intervals import Interval, mean_interval, median_interval, wilson
from moviegen_miniature.judge.likeness import Likeness
from moviegen_miniature.judge.report import Goal, Row, exactly, facts_table, form_table, goals_table

RIGHT = Verdict(
    actor_colour=True, actor_grey=True, setting=True, motion=True, camera=True, steady=True, sharpness=1.0
)
PATCH = replace(RIGHT, actor_grey=False, steady=False, sharpness=0.5)
PANNED = replace(RIGHT, camera=False)


def cells(table: str, line: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[line].split("|")[1:-1]]


def test_wilson_interval() -> None:
    assert wilson(50, 100) == pytest.approx((0.5, 0.4038, 0.5962), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((1.0, 0.8389, 1.0), abs=1e-4)
    with pytest.raises(ValueError, match="at least one trial"):
        wilson(0, 0)


def test_mean_interval() -> None:
    assert mean_interval([1.0, 3.0]) == pytest.approx((2.0, 2 - 1.959964, 2 + 1.959964))
    assert mean_interval([7.0]) == (7.0, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])


def test_median_interval_is_that_of_the_sign_test() -> None:
    # Known ranks: 6 values reach from the first to the last, 100 from the 40th to the 61st (1 to n).
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == (3.5, 1.0, 6.0)
    assert median_interval([float(value) for value in range(1, 101)]) == (50.5, 40.0, 61.0)
    assert median_interval([2.0, 1.0, 3.0]) == (2.0, -math.inf, math.inf)


def test_median_interval_holds_the_median_often_enough() -> None:
    rng = np.random.default_rng(0)
    held = [
        low <= math.log(2) <= high
        for _, low, high in (median_interval(rng.exponential(size=31).tolist()) for _ in range(2000))
    ]
    assert 0.94 < np.mean(held) < 0.98


def test_facts_are_counted_each_and_together() -> None:
    table = facts_table([Row("samples", [RIGHT, RIGHT, PANNED, PATCH])])
    assert cells(table, 2)[:2] == ["samples", "4"]
    shares = [cell.split()[0] for cell in cells(table, 2)[2:]]
    assert shares == ["100.0", "75.0", "100.0", "100.0", "75.0", "100.0", "75.0"]
    assert len({len(line) for line in table.splitlines()}) == 1


def test_form_is_shown_of_rows_that_measured_it() -> None:
    likenesses = [Likeness(0.9, 0.4)] * 5 + [Likeness(0.5, 0.2)]
    table = form_table([Row("shuffled", [RIGHT]), Row("samples", [PATCH] + [RIGHT] * 5, likenesses)])
    assert len(table.splitlines()) == 3
    assert cells(table, 2)[0] == "samples"
    assert cells(table, 2)[2].startswith("83.3 [")
    assert cells(table, 2)[3:] == ["1.00 [0.50, 1.00]", "0.90 [0.50, 0.90]", "0.40 [0.20, 0.40]"]


def test_a_goal_is_reached_by_the_figure_itself() -> None:
    at_the_bar = Goal("noise", Interval(28.0, 27.0, 29.0), 28.0, unit=" dB")
    above = Goal("weights", exactly(30.1), most=30.0, unit=" MB")
    sharp, soft = (Goal("sharpness", exactly(value), 0.75, 1.25, digits=2) for value in (1.0, 0.74))
    shown = Goal("wrong", exactly(0.4))
    assert [goal.reached for goal in (at_the_bar, above, sharp, soft)] == [True, False, True, False]
    table = goals_table([at_the_bar, sharp, shown])
    assert cells(table, 2) == ["noise", "at least 28.0 dB", "28.0 [27.0, 29.0] dB", "yes"]
    assert cells(table, 3) == ["sharpness", "at least 0.75 and at most 1.25", "1.00", "yes"]
    assert cells(table, 4) == ["wrong", "shown", "0.4", ""]


def test_goals_take_their_own_facts() -> None:
    row = Row("samples", [RIGHT, RIGHT, RIGHT, PATCH], [Likeness(0.8, 0.3)] * 4)
    measured = {goal.name.partition(": ")[2]: goal.measured.value for goal in sample_goals(row)}
    assert measured["actor in grey"] == measured["actor stays itself"] == 75
    assert measured["all three"] == measured["motion"] == 100
    assert measured["likeness, median"] == 0.8
    assert measured["likeness to one of like colour"] == 0.3
    assert paraphrase_goal(row).measured.value == 100
