"""The judge's tables: what clips show, how their actors look, and what is asked of the miniature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from moviegen_miniature.judge.intervals import Interval, median_interval, wilson
from moviegen_miniature.judge.likeness import Likeness
from moviegen_miniature.judge.scoring import Verdict


@dataclass(frozen=True)
class Row:
    """Clips of one kind.

    Args:
        name: what they are.
        verdicts: one for each clip.
        likenesses: one for each clip, or none at all where form is not measured.
    """

    name: str
    verdicts: Sequence[Verdict]
    likenesses: Sequence[Likeness] = ()


@dataclass(frozen=True)
class Goal:
    """A figure that the miniature must reach, or one that is shown beside it.

    Args:
        measured: with infinite ends where it has no interval.
        least: what it must not be below; None: nothing is asked.
        most: what it must not be above.
        unit: written after the figures.
        digits: of them after the point.
    """

    name: str
    measured: Interval
    least: float | None = None
    most: float | None = None
    unit: str = ""
    digits: int = 1

    @property
    def reached(self) -> bool:
        """Whether the figure itself is where it must be."""
        low, high = self.least, self.most
        return (low is None or self.measured.value >= low) and (high is None or self.measured.value <= high)


def facts_table(rows: Sequence[Row]) -> str:
    """What clips show: percentages with 95 % Wilson intervals."""
    head = ("", "clips", "actor, colour", "actor, grey", "set", "motion", "camera", "all three", "all four")
    return aligned([head, *(_facts(row) for row in rows)])


def form_table(rows: Sequence[Row]) -> str:
    """How their actors look: a percentage, and medians with 95 % intervals, of rows with likenesses."""
    head = ("", "clips", "stays itself", "sharpness", "likeness", "to one of like colour")
    return aligned([head, *(_form(row) for row in rows if row.likenesses)])


def goals_table(goals: Sequence[Goal]) -> str:
    """What is asked of the miniature, and what was measured."""
    head = ("", "asked", "measured", "reached")
    return aligned([head, *(_goal(goal) for goal in goals)])


def percent(interval: Interval) -> Interval:
    """A share in percent."""
    return Interval(*(100 * value for value in interval))


def exactly(value: float) -> Interval:
    """A figure that was counted or timed once, without an interval."""
    return Interval(value, -math.inf, math.inf)


def _facts(row: Row) -> tuple[str, ...]:
    facts = (
        [verdict.actor_colour for verdict in row.verdicts],
        [verdict.actor_grey for verdict in row.verdicts],
        [verdict.setting for verdict in row.verdicts],
        [verdict.motion for verdict in row.verdicts],
        [verdict.camera for verdict in row.verdicts],
        [verdict.all_three for verdict in row.verdicts],
        [verdict.all_four for verdict in row.verdicts],
    )
    return row.name, str(len(row.verdicts)), *(_share(fact) for fact in facts)


def _form(row: Row) -> tuple[str, ...]:
    medians = (
        [verdict.sharpness for verdict in row.verdicts],
        [likeness.right for likeness in row.likenesses],
        [likeness.wrong for likeness in row.likenesses],
    )
    steady = _share([verdict.steady for verdict in row.verdicts])
    return row.name, str(len(row.verdicts)), steady, *(_text(median_interval(each), 2) for each in medians)


def _share(facts: Sequence[bool]) -> str:
    return _text(percent(wilson(sum(facts), len(facts))), 1)


def _goal(goal: Goal) -> tuple[str, ...]:
    asked = [
        f"{word} {bound:.{goal.digits}f}{goal.unit}"
        for word, bound in (("at least", goal.least), ("at most", goal.most))
        if bound is not None
    ]
    reached = ("yes" if goal.reached else "no") if asked else ""
    return (
        goal.name,
        " and ".join(asked) or "shown",
        f"{_text(goal.measured, goal.digits)}{goal.unit}",
        reached,
    )


def _text(interval: Interval, digits: int) -> str:
    value, low, high = (f"{each:.{digits}f}" for each in interval)
    return f"{value} [{low}, {high}]" if math.isfinite(interval.high - interval.low) else value


def aligned(lines: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table whose columns stand under each other; the first line is its head."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = "|".join("-" * (width + 2) for width in widths)
    texts = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    return "\n".join([f"| {texts[0]} |", f"|{rule}|", *(f"| {text} |" for text in texts[1:])])
