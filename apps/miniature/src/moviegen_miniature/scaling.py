"""Which width of the transformer is worth its time: loss against samples of some trainings, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import tyro

from moviegen_miniature.logs import losses, read_log

Curve = list[tuple[int, float]]


@dataclass(frozen=True)
class Scaling:
    """Print the loss on held-out latents of trainings of several widths, after so many samples."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of the trainings, of any steps and batch sizes."""
    plot: Path | None = None
    """PNG of their curves; matplotlib must be installed."""

    def run(self) -> None:
        """Print the table, and draw it where that is asked for.

        Raises:
            ValueError: fewer than two trainings, or one that is damaged, not validated or no transformer's.
        """
        if len(self.runs) < 2:
            raise ValueError("give the folders of at least two trainings, to compare them")
        curves = {named(run): losses(read_log(run / "log.jsonl")) for run in self.runs}
        if len(curves) < len(self.runs):
            raise ValueError(
                "trainings that are compared must differ in width or in the name of their folder"
            )
        print(table(curves))
        if self.plot is not None:
            draw(curves, self.plot)


def named(run: Path) -> str:
    """A training by its width and its folder.

    Raises:
        ValueError: it is not a transformer's.
    """
    from moviegen_runtime.training.build import dit_config
    from moviegen_runtime.training.recipe_file import load_recipe

    recipe = load_recipe(run / "recipe.yaml")
    if recipe.model != "dit":
        raise ValueError(f"{run} is no training of a transformer, whose widths are compared here")
    return f"width {dit_config(recipe).width} ({run.name})"


def table(curves: dict[str, Curve]) -> str:
    """Loss after so many samples, a column a training; empty where it was not validated just then."""
    counts = sorted({samples for curve in curves.values() for samples, _ in curve})
    lines = [f"| samples | {' | '.join(curves)} |", f"|---:|{'---:|' * len(curves)}"]
    for count in counts:
        found = [dict(curve).get(count) for curve in curves.values()]
        cells = ["" if loss is None else f"{loss:.4f}" for loss in found]
        lines.append(f"| {count:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(curves: dict[str, Curve], path: Path) -> None:
    """The curves on logarithmic axes, on which a power law is a straight line."""
    pyplot = import_module("matplotlib.pyplot")
    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for name, curve in curves.items():
        axis.plot(*zip(*curve, strict=True), "o-", markersize=3, label=name)
    axis.set(xlabel="samples", ylabel="loss on held-out latents", xscale="log", yscale="log")
    axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
