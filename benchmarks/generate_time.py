"""How long `moviegen generate` takes from the command to the file, in a process of its own each time.

    python benchmarks/generate_time.py              three clips of each kind
    python benchmarks/generate_time.py --write      also puts the table into the README

Files have been read before, so no time of the disk is in it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from record import ROOT, device_name, fill, record

PAGE = ROOT / "README.md"
PROMPT = "a helicopter flies to the right over a green field"
COMMAND = Path(sys.executable).with_name("moviegen")
KINDS = {
    "clip with sound": (".mp4", []),
    "silent clip": (".mp4", ["--no-audio"]),
    "image": (".png", ["--frames", "1"]),
}
"""What is made: suffix of its file, and options."""


def measured(suffix: str, options: list[str], seed: int) -> float:
    """Seconds of one command.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / f"out{suffix}")
        command = [str(COMMAND), "generate", PROMPT, "-o", out, "--seed", str(seed), *options]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin


def table(seconds: dict[str, list[float]]) -> str:
    """As Markdown."""
    lines = ["| made | median, s | slowest, s |", "|---|---:|---:|"]
    lines += [
        f"| {kind} | {statistics.median(taken):.1f} | {max(taken):.1f} |" for kind, taken in seconds.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of `moviegen generate`.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write the results and {PAGE.name}")
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    measured(".png", ["--frames", "1"], seed=0)
    for repeat in range(given.repeats):
        for kind, (suffix, options) in KINDS.items():
            seconds[kind].append(measured(suffix, options, seed=repeat))
    printed = f"{device_name()}, torch {torch.__version__}, {given.repeats} of each:\n\n{table(seconds)}\n"
    print(printed, end="")
    if given.write:
        record("generate_time", {"seconds": seconds}, torch.get_num_threads())
        fill(PAGE, "generate-time", printed)


if __name__ == "__main__":
    main()
