"""What the miniature must show, each figure with its 95 % interval and the bar that it must reach."""

from __future__ import annotations

from collections.abc import Iterable

from moviegen_miniature.judge.intervals import mean_interval, median_interval, wilson
from moviegen_miniature.judge.report import Goal, Row, exactly, percent
from moviegen_miniature.judge.trials import Fidelity


def autoencoder_goals(fidelity: Fidelity, row: Row) -> list[Goal]:
    """Of true clips of held-out combinations through the autoencoder."""
    name = "autoencoder, held-out clips"
    return [
        Goal(f"{name}: PSNR", mean_interval(fidelity.psnr), 28, unit=" dB", digits=2),
        Goal(f"{name}: SSIM", mean_interval(fidelity.ssim), 0.91, digits=3),
        _share(f"{name}: actor in colour", (verdict.actor_colour for verdict in row.verdicts), 97),
        _share(f"{name}: actor in grey", (verdict.actor_grey for verdict in row.verdicts), 93),
    ]


def sample_goals(row: Row) -> list[Goal]:
    """Of one sample each of combinations that training saw."""
    sharpness = median_interval([verdict.sharpness for verdict in row.verdicts])
    right, wrong = (median_interval(values) for values in zip(*row.likenesses, strict=True))
    return [
        _share("samples, seen: actor in colour", (verdict.actor_colour for verdict in row.verdicts), 90),
        _share("samples, seen: actor in grey", (verdict.actor_grey for verdict in row.verdicts), 80),
        _share("samples, seen: motion", (verdict.motion for verdict in row.verdicts), 95),
        _share("samples, seen: set", (verdict.setting for verdict in row.verdicts), 98),
        _share("samples, seen: all three", (verdict.all_three for verdict in row.verdicts), 80),
        _share("samples, seen: actor stays itself", (verdict.steady for verdict in row.verdicts), 90),
        Goal("samples, seen: sharpness, median", sharpness, 0.75, 1.25, digits=2),
        Goal("samples, seen: likeness, median", right, 0.7, digits=3),
        Goal("samples, seen: likeness to one of like colour", wrong, digits=2),
    ]


def held_out_goal(row: Row) -> Goal:
    """Of one sample each of combinations that training never saw."""
    return _share("samples, held out: all three", (verdict.all_three for verdict in row.verdicts), 70)


def paraphrase_goal(row: Row) -> Goal:
    """Of some samples of each paraphrase; the interval is that over noise, for these paraphrases."""
    return _share("paraphrases: all three", (verdict.all_three for verdict in row.verdicts), 50)


def weights_goal(weights_bytes: int) -> Goal:
    """Of both models in float16."""
    return Goal("weights of both in float16", exactly(weights_bytes / 1e6), most=30, unit=" MB")


def seconds_goal(seconds: float) -> Goal:
    """Of `moviegen generate` from its start to its end."""
    return Goal("moviegen generate, one clip", exactly(seconds), most=30, unit=" s")


def hours_goal(hours: float) -> Goal:
    """Of all trainings together."""
    return Goal("all trainings", exactly(hours), most=10, unit=" h")


def _share(name: str, facts: Iterable[bool], least: float) -> Goal:
    counted = list(facts)
    return Goal(name, percent(wilson(sum(counted), len(counted))), least, unit=" %")
