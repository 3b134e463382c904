"""What sampling costs besides the transformer: the shipped miniature, at its own defaults.

    python benchmarks/sampler_cost.py              one clip at a time, and ten together
    python benchmarks/sampler_cost.py --write      also puts the table into the docs

Time is that of the stage "sampling" of `Cast.generate`: from noise and the prompt's states to the latent,
with the solver, guidance, reports of progress, and the prompt's keys and values. Outside the model is what is
left of it without the calls of `VideoDiT.forward`. Memory is that of the process after the last step, less
that after the tenth.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from moviegen_dit import VideoDiT
from moviegen_runtime import Cast, Progress, TextToVideoRequest, load
from record import ROOT, device_name, fill, record
from torch import Tensor

PAGE = ROOT / "docs" / "transformer" / "speed.md"
PROMPT = "a helicopter flies to the right over a green field"
SETTLED = 10  # steps after which nothing new should be held


@dataclass(frozen=True)
class Cost:
    """One run, or medians over runs.

    Args:
        clips: sampled together.
        batch: samples in each call of the model: twice as many, with and without prompt.
        calls: of the model.
        seconds, outside: of the stage, and of what of it was outside the model.
        before: seconds of that before the first step: noise, the prompt's keys and values.
        growth: bytes that the process holds more at the last step than at the tenth.
    """

    clips: int
    steps: int
    calls: int
    batch: int
    seconds: float
    outside: float
    before: float
    growth: int

    @property
    def share(self) -> float:
        return self.outside / self.seconds


class Watch:
    """Times a stage and the model's calls within it."""

    def __init__(self, model: VideoDiT) -> None:
        self.inside, self.batches, self.held = 0.0, list[int](), list[int]()
        self.started = self.ended = self.first_call = 0.0
        self._forward = model.forward

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        """Stands in for that of the model."""
        entered = time.perf_counter()
        self.first_call = self.first_call or entered
        velocity = self._forward(x, *given)
        self.inside += time.perf_counter() - entered
        self.batches.append(len(x))
        return velocity

    def progress(self, progress: Progress) -> None:
        if progress.stage != "sampling":
            return
        self.ended = time.perf_counter()
        if progress.done == 0:
            self.started = self.ended
        if progress.done in (SETTLED, progress.total):  # reading it takes time: not at every step
            self.held.append(resident())


def resident() -> int:
    """Bytes that this process holds now (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def run(cast: Cast, steps: int) -> Cost:
    """Sample as many clips as go together, once."""
    requests = [
        TextToVideoRequest(prompt=PROMPT, seed=seed, steps=steps) for seed in range(cast.machine.micro_batch)
    ]
    watch = Watch(cast.dit)
    with patch.object(cast.dit, "forward", watch.forward):
        cast.generate(requests, on_progress=watch.progress)
    (batch,) = set(watch.batches)
    seconds = watch.ended - watch.started
    return Cost(
        *(len(requests), steps, len(watch.batches), batch, seconds, seconds - watch.inside),
        before=watch.first_call - watch.started,
        growth=watch.held[-1] - watch.held[0],
    )


def median(runs: list[Cost]) -> Cost:
    """The run whose share is in the middle."""
    middle = statistics.median_low([each.share for each in runs])
    return next(each for each in runs if each.share == middle)


def table(costs: list[Cost]) -> str:
    lines = [
        "| clips together | steps | calls of the model | samples a call | ms in all | outside the model "
        "| of these before the first step | share outside | MB more at the end |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in costs:
        cells = [str(each.clips), str(each.steps), str(each.calls), str(each.batch)]
        cells += [f"{1e3 * part:.1f}" for part in (each.seconds, each.outside, each.before)]
        cells += [f"{each.share:.1%}", f"{each.growth / 1e6:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, nargs="+", default=[30, 300], help=f"more than {SETTLED} each")
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if min(given.steps) <= SETTLED:
        parser.error(f"--steps must be more than {SETTLED}")
    torch.set_num_threads(given.threads)
    costs = []
    for clips in given.clips:
        cast = load("miniature", device="cpu", micro_batch=clips)
        for steps in given.steps:
            run(cast, SETTLED + 1)  # settles what happens once
            costs.append(median([run(cast, steps) for _ in range(given.repeats)]))
    printed = f"{device_name()}, threads: {given.threads}, torch {torch.__version__}\n{table(costs)}"
    print(printed)
    if given.write:
        record("sampler_cost", {"costs": [asdict(each) for each in costs]}, given.threads)
        fill(PAGE, "sampler-cost", printed)


if __name__ == "__main__":
    main()
