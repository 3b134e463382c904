"""The study's tables and its plot."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
from moviegen_core import replacing

from moviegen_miniature.judge.intervals import wilson
from moviegen_miniature.sampling.study import Outcome


def schedules_table(reference: Outcome, outcomes: Sequence[Outcome]) -> str:
    """Every schedule, after the reference that it is compared with."""
    return _table(["schedule", "steps"], reference, [reference, *outcomes])


def shortcuts_table(outcomes: Sequence[Outcome]) -> str:
    """Every shortcut, the first without any, to which times are compared."""
    return _table(["left out", "steps"], outcomes[0], outcomes)


def _table(head: list[str], whole: Outcome, outcomes: Sequence[Outcome]) -> str:
    titles = [*head, "latent error, %", "PSNR, dB", "judged", "all four, %", "in grey, %", "sharpness"]
    titles += ["ms a clip", "of the first"]
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for each in outcomes:
        verdicts = each.verdicts
        cells = [each.solver.name, f"{each.solver.steps:,}"]
        exact = each.latent_error == 0
        cells += ["-", "-"] if exact else [f"{100 * each.latent_error:.2f}", f"{each.psnr:.1f}"]
        cells.append(str(len(verdicts)))
        for right in ([v.all_four for v in verdicts], [v.actor_grey for v in verdicts]):
            share, low, high = (100 * part for part in wilson(sum(right), len(right)))
            cells.append(f"{share:.1f} [{low:.1f}, {high:.1f}]")
        cells.append(f"{float(np.median([verdict.sharpness for verdict in verdicts])):.2f}")
        cells += [f"{1e3 * each.seconds:.0f}", f"{each.seconds / whole.seconds:.2f}"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(schedules: Sequence[Outcome], shortcuts: Sequence[Outcome], path: Path) -> None:
    """Errors over steps, a line a schedule, and the judge's score over time, a point a shortcut."""
    pyplot = import_module("matplotlib.pyplot")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 6), layout="constrained")
    for name in dict.fromkeys(each.solver.name for each in schedules):
        line = sorted(
            (each.solver.steps, each.latent_error) for each in schedules if each.solver.name == name
        )
        left.plot(*zip(*line, strict=True), "o-", label=name)
    left.set(xlabel="steps", ylabel="latent error against the reference", xscale="log", yscale="log")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "fontsize": "small", "ncols": 2}
    left.legend(**below)
    for each in shortcuts:
        share, low, high = wilson(sum(v.all_four for v in each.verdicts), len(each.verdicts))
        bars = [[share - low], [high - share]]
        right.errorbar(1e3 * each.seconds, share, yerr=bars, fmt="o", label=each.solver.name)
    right.set(xlabel="ms a clip", ylabel="all four facts right")
    right.legend(title="left out", **below)
    with replacing(path) as aside:
        figure.savefig(aside, dpi=110, format="png")
