"""What benchmarks of transformers share: ours beside a peer, case by case, each in a process of its own.

A pair is a peer and ours of the same width, depth, heads and tokens, whose feed-forward is as wide as makes
the numbers of parameters equal. Weights are random, numbers float32, one sample, a prompt of 64 tokens. FLOP
are those that PyTorch executes in products and attention, 2 a multiplication and addition. A training step is
forward, backward and AdamW, fused. The two take turns in one process, so that what slows the machine for a
while slows both. Memory is what a process of a model's own held at most while it worked, above what it held
with model and inputs (Linux).

The limit of the machine is its fastest product of the sizes in the model, in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from measuring import apart, held
from record import device_name
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

OURS = "moviegen"
WORKS = ("forward", "training step")
PROMPT_TOKENS = 64

Run = Callable[[], Tensor]
Sizes = list[tuple[int, int]]


@dataclass(frozen=True)
class Pair:
    """A peer and what ours shares with it."""

    peer: str
    width: int
    layers: int
    heads: int

    def shrunk(self, by: int) -> Pair:
        """The same at a fraction of the width, to try it out."""
        return Pair(self.peer, self.width // by, self.layers, max(1, self.heads // by))


class Made(NamedTuple):
    """A model, its forward as a sampler and as a training calls it, and FLOP of the first by hand."""

    model: nn.Module
    forward: Run
    trained: Run
    by_hand: int | None = None


Maker = Callable[[str, Pair, int], Made]
"""Makes the model of that name for a pair, and inputs of so many tokens."""


@dataclass(frozen=True)
class Case:
    """One model at one length: parameters, median seconds, counted and expected FLOP, and peak bytes."""

    model: str
    pair: Pair
    tokens: int
    work: str
    parameters: int
    seconds: float
    flop: int
    expected_flop: int | None
    peak_bytes: int

    @property
    def rate(self) -> float:
        """GFLOP a second."""
        return self.flop / self.seconds / 1e9


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def matched_width(ours: Callable[[int], nn.Module], peer: Callable[[], nn.Module]) -> int:
    """The width of our feed-forward, a multiple of 8, with which ours has the peer's parameters.

    Raises:
        ValueError: the peer has fewer than ours with a feed-forward of 8.
    """
    with torch.device("meta"):
        least, more, wanted = (parameters(model) for model in (ours(8), ours(16), peer()))
    if wanted < least:
        raise ValueError("the peer has too few parameters for one of ours of its width and depth")
    return 8 + 8 * round((wanted - least) / (more - least))


def worker(made: Made, work: str) -> Callable[[], object]:
    """What does the work once."""
    model, forward, trained, _ = made
    if work == "forward":
        model.eval().requires_grad_(False)
        return forward
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(trained().square().mean())
        optimizer.step()

    return step


def case(make: Maker, name: str, pair: Pair, tokens: int, work: str, repeats: int) -> Case:
    """Measure in this process, which should be a fresh one."""
    torch.manual_seed(0)
    made = make(name, pair, tokens)
    step = worker(made, work)
    before = held(reset=True)
    step()
    peak = held() - before
    seconds = statistics.median(times(step, repeats))
    with FlopCounterMode(display=False) as counter:
        step()
    expected = made.by_hand if work == "forward" else None
    flop = int(counter.get_total_flops())
    return Case(name, pair, tokens, work, parameters(made.model), seconds, flop, expected, peak)


def turns(
    make: Maker, names: Sequence[str], pair: Pair, tokens: int, work: str, repeats: int
) -> dict[str, float]:
    """Median seconds of each model, one call after the other in turn, after one that is not counted."""
    torch.manual_seed(0)
    steps = {name: worker(make(name, pair, tokens), work) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(1 + repeats):
        for name, step in steps.items():
            taken = times(step, 1)
            seconds[name] += taken if turn else []
    return {name: statistics.median(taken) for name, taken in seconds.items()}


@torch.no_grad()
def limits(sizes: Sizes, heads: int, lengths: Sequence[int], repeats: int) -> dict[str, float]:
    """GFLOP a second of this machine.

    Args:
        sizes: inputs and outputs of the products of a layer, the first of which reads the model's width.
        heads: of attention.
        lengths: tokens, the longest last.
        repeats: of each product.

    Returns:
        "best": the fastest product, at all lengths; "products": all products of a layer together, and
        "attention": PyTorch's own of the model's heads, both at the last length.
    """
    best, flop, least = 0.0, 0, 0.0
    for tokens in lengths:
        for inputs, outputs in sizes:
            x, weight = torch.randn(tokens, inputs), torch.randn(outputs, inputs)
            seconds = quickest(lambda x=x, weight=weight: F.linear(x, weight), repeats)  # type: ignore[misc]
            best = max(best, 2 * tokens * inputs * outputs / seconds / 1e9)
            if tokens == lengths[-1]:
                flop, least = flop + 2 * tokens * inputs * outputs, least + seconds
    tokens, width = lengths[-1], sizes[0][0]
    q, k, v = (torch.randn(1, heads, tokens, width // heads) for _ in range(3))
    seconds = quickest(lambda: F.scaled_dot_product_attention(q, k, v), repeats)
    return {
        "best": best,
        "products": flop / least / 1e9,
        "attention": 4 * tokens**2 * width / seconds / 1e9,
    }


def times(function: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def quickest(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest call, after one that is not counted."""
    function()
    return min(times(function, repeats))


def table(cases: list[Case], limit: float) -> str:
    """Every case, and its ratios to ours of the same pair, length and work, and to the limit."""
    lines = [
        "| model | width x layers | parameters, M | tokens | work | ms | times ours | GFLOP | by hand "
        "| GFLOP/s | of the limit | ms a GFLOP, times ours | peak MB | times ours |",
        "|---|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in cases:
        ours = next(
            other
            for other in cases
            if other.model == OURS
            and (other.pair, other.tokens, other.work) == (each.pair, each.tokens, each.work)
        )
        cells = [each.model, f"{each.pair.width} x {each.pair.layers}", f"{each.parameters / 1e6:.1f}"]
        cells += [f"{each.tokens:,}", each.work, f"{1e3 * each.seconds:.0f}"]
        by_hand = "-" if each.expected_flop is None else f"{each.expected_flop / 1e9:.1f}"
        cells += [f"{each.seconds / ours.seconds:.2f}", f"{each.flop / 1e9:.1f}", by_hand]
        cells += [f"{each.rate:.1f}", f"{each.rate / limit:.0%}", f"{ours.rate / each.rate:.2f}"]
        cells += [f"{each.peak_bytes / 1e6:.0f}", f"{each.peak_bytes / ours.peak_bytes:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Bench:
    """A script that measures, how often, and on how many threads."""

    script: str
    repeats: int
    threads: int

    def case(self, name: str, pair: Pair, tokens: int, work: str) -> Case:
        """Of a process of its own."""
        measured = self._case(name, pair, tokens, work, self.repeats)
        print(f"{name}, {tokens}, {work}: {measured.seconds:.2f} s", file=sys.stderr, flush=True)
        return measured

    def _case(self, name: str, pair: Pair, tokens: int, work: str, repeats: int) -> Case:
        job = {"name": name, "pair": asdict(pair), "tokens": tokens, "work": work, "repeats": repeats}
        fields = json.loads(apart(self.script, job, self.threads))
        return Case(**fields | {"pair": Pair(**fields["pair"])})

    def limits(self, sizes: Sizes, heads: int, lengths: Sequence[int]) -> dict[str, float]:
        """Of a process of its own."""
        job = {"sizes": sizes, "heads": heads, "lengths": list(lengths), "repeats": 4 * self.repeats}
        rates: dict[str, float] = json.loads(apart(self.script, job, self.threads))
        return rates

    def compare(self, pairs: list[Pair], lengths: Sequence[int]) -> list[Case]:
        """Both models of every pair at every length, in both works."""
        cases = []
        for pair, tokens, work in itertools.product(pairs, lengths, WORKS):
            names = (OURS, pair.peer)
            job = {"names": names, "pair": asdict(pair), "tokens": tokens, "work": work}
            seconds = json.loads(apart(self.script, job | {"repeats": self.repeats}, self.threads))
            for name in names:
                print(f"{name}, {tokens}, {work}: {seconds[name]:.2f} s", file=sys.stderr, flush=True)
                measured = self._case(name, pair, tokens, work, repeats=1)
                cases.append(replace(measured, seconds=seconds[name]))
        return cases

    def machine(self, rates: dict[str, float], tokens: int) -> str:
        """What was measured on, and its limits."""
        best, products, attention = (f"{rates[name]:.1f}" for name in ("best", "products", "attention"))
        return (
            f"{device_name()}, threads: {self.threads}, torch {torch.__version__}; GFLOP/s: {best} in the "
            f"fastest product, {products} in all products of a layer at {tokens:,} tokens, {attention} in "
            "attention"
        )


def answer(job: str, make: Maker) -> str:
    """What a process of its own was asked for by a `Bench`, as JSON."""
    asked = json.loads(job)
    if "sizes" in asked:
        return json.dumps(limits(**asked))
    asked["pair"] = Pair(**asked["pair"])
    return json.dumps(turns(make, **asked) if "names" in asked else asdict(case(make, **asked)))


def parser(description: str) -> argparse.ArgumentParser:
    """The options of every benchmark of transformers."""
    options = argparse.ArgumentParser(description=description.partition("\n")[0])
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--shrink", type=int, default=1, help="divide every width, to try it out")
    options.add_argument("--write", action="store_true")
    options.add_argument("--job", help=argparse.SUPPRESS)
    return options
