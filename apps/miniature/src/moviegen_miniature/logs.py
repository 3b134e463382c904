"""Reading the logs of trainings: how long they took, and their loss after so many samples."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def read_log(path: Path) -> list[Entry]:
    """The lines of a training's log.

    Raises:
        ValueError: there is no such log, or a line is not a JSON object with a step.
    """
    if not path.is_file():
        raise ValueError(f"{path} is not there: give the folder of a training, which holds its log.jsonl")
    entries: list[Entry] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("step"), int):
            raise ValueError(f"line {number} of {path} is not a JSON object with a step")
        entries.append(entry)
    return entries


def read_logs(folder: Path) -> list[list[Entry]]:
    """The logs of all trainings in a folder.

    Raises:
        ValueError: there is none, or one is damaged.
    """
    paths = sorted(folder.glob("*/log.jsonl"))
    if not paths:
        raise ValueError(f"there is no training in {folder}: it must hold folders with a log.jsonl")
    return [read_log(path) for path in paths]


def hours(logs: Iterable[list[Entry]]) -> float:
    """What trainings took together, in all their legs, by the samples and the speed of every line."""
    seconds = 0.0
    for entries in logs:
        done = 0
        for entry in entries:
            if "samples_per_second" in entry:
                seconds += (entry["samples"] - done) / entry["samples_per_second"]
                done = entry["samples"]
    return seconds / 3600


def losses(entries: list[Entry]) -> list[tuple[int, float]]:
    """Samples seen and loss on held-out latents, of each validation.

    Raises:
        ValueError: the training was not validated, or its log does not say how many samples a step has.
    """
    sizes = [entry["samples"] / entry["step"] for entry in entries if entry["step"] and "samples" in entry]
    found = [
        (round(entry["step"] * sizes[0]), float(entry["validation.loss"]))
        for entry in entries
        if sizes and "validation.loss" in entry
    ]
    if not found:
        raise ValueError("a training that is compared must have been validated, and its log must say so")
    return found
