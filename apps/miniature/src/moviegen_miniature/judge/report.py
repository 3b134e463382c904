"""The judge's table, and its own validation on true clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.judge.scoring import Judge, Reading, Verdict, compare
from moviegen_miniature.render import render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites

_PERMUTATIONS = 10


class Interval(NamedTuple):
    """A share and its 95 % interval, 0 to 1."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    verdicts: Sequence[Verdict]


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share, at 95 %.

    Raises:
        ValueError: there is no trial.
    """
    if trials < 1:
        raise ValueError("an interval needs at least one trial")
    z = 1.959964
    share = successes / trials
    spread = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / spread
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / spread
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def table(rows: Sequence[Row]) -> str:
    """The table as text: percentages with 95 % Wilson intervals, sharpness as a median."""
    head = ("", "clips", "actor, colour", "actor, grey", "set", "motion", "all", "sharpness")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = "|".join("-" * (width + 2) for width in widths)
    texts = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    ]
    return "\n".join([f"| {texts[0]} |", f"|{rule}|", *(f"| {text} |" for text in texts[1:])])


def _cells(row: Row) -> tuple[str, ...]:
    verdicts = row.verdicts
    facts = (
        [verdict.actor_colour for verdict in verdicts],
        [verdict.actor_grey for verdict in verdicts],
        [verdict.setting for verdict in verdicts],
        [verdict.motion for verdict in verdicts],
        [verdict.all_right for verdict in verdicts],
    )
    shares = [_percent(wilson(sum(fact), len(fact))) for fact in facts]
    sharpness = f"{float(np.median([verdict.sharpness for verdict in verdicts])):.2f}"
    return row.name, str(len(verdicts)), *shares, sharpness


def _percent(interval: Interval) -> str:
    share, low, high = (100 * value for value in interval)
    return f"{share:.1f} [{low:.1f}, {high:.1f}]"


def validation(judge: Judge, scenes: Sequence[tuple[str, Sequence[Scene]]]) -> list[Row]:
    """The judge on clips whose truth is known.

    For each named list of scenes, their true clips; and for the first list also the same clips against the
    scenes of other clips (near chance for a judge that reads the clip), and clips in which a disc of the
    actor's mean colour takes its place (near chance for a judge in grey that reads form).
    """
    rows = []
    for name, listed in scenes:
        truths = [judge.read(render(scene, judge.sprites).frames) for scene in listed]
        rows.append(Row(f"true clips, {name}", _compared(truths, listed, truths)))
        if len(rows) == 1:
            controls = [_shuffled(listed, truths), _patched(judge, listed, truths)]
    return rows + controls


def _compared(shown: Sequence[Reading], asked: Sequence[Scene], truths: Sequence[Reading]) -> list[Verdict]:
    return [compare(*group) for group in zip(shown, asked, truths, strict=True)]


def _shuffled(scenes: Sequence[Scene], truths: Sequence[Reading]) -> Row:
    """Several permutations, since in a single one facts coincide more or less often by luck."""
    rng = np.random.default_rng(0)
    verdicts: list[Verdict] = []
    for _ in range(_PERMUTATIONS):
        order = rng.permutation(len(scenes))
        asked, true = [scenes[place] for place in order], [truths[place] for place in order]
        verdicts += _compared(truths, asked, true)
    return Row("shuffled captions", verdicts)


def _patched(judge: Judge, scenes: Sequence[Scene], truths: Sequence[Reading]) -> Row:
    discs = patches(judge.sprites)
    shown = [judge.read(render(scene, discs).frames) for scene in scenes]
    return Row("patches of colour", _compared(shown, scenes, truths))


def patches(sprites: Sprites) -> Sprites:
    """Sprites that are soft discs of each actor's mean colour."""
    return Sprites({name: _patch(frames) for name, frames in sprites.pictures.items()})


def _patch(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = frames.shape[1]
    along = (np.arange(side) + 0.5) / side * 2 - 1
    cover = ((0.85 - np.hypot(along, along[:, None])) * 5 + 0.5).clip(0, 1)
    total = frames.reshape(-1, 4).sum(0, dtype=np.float64)
    colour = np.append(total[:3] / total[3] * 255, 255)
    return np.asarray(np.rint(cover[None, :, :, None] * colour), dtype=np.uint8)
