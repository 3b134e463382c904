"""What `generate` and `score` have in common: options that the model fills in, files made again. No torch."""

from __future__ import annotations

import os
from typing import Any

import tyro

from moviegen_runtime.pipelines.sidecar import ScoreSidecar, Sidecar

_MODEL_DEFAULT = "(default: the model's own)"


def open_option(metavar: str, **more: Any) -> Any:
    """An option whose default the model knows."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=_MODEL_DEFAULT, **more)


def without(metavar: str, behavior: str) -> Any:
    """An option that may be left out, and what happens then."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {behavior})")


def check_range(option: str, value: int | None, least: int, most: int) -> None:
    """Refuse a number.

    Raises:
        ValueError: it is out of its range.
    """
    if value is not None and not least <= value <= most:
        raise ValueError(f"{option} must be from {least} to {most}, not {value}")


def check_from_sidecar(command: object, brought: tuple[str, ...]) -> None:
    """Refuse options beside --from-sidecar that it brings itself.

    Args:
        brought: names of the command's fields; one that is neither None nor False was given.

    Raises:
        ValueError: there is one.
    """
    for name in brought:
        if getattr(command, name) not in (None, False):
            option = "the prompt" if name == "prompt" else f"--{name.replace('_', '-')}"
            raise ValueError(f"--from-sidecar brings every setting itself; leave out {option}")


def use_threads(threads: int) -> None:
    """As many threads as the file was made with: another number may round differently."""
    import torch

    if threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)


def differences(original: Sidecar | ScoreSidecar, again: Sidecar | ScoreSidecar) -> str:
    """What else has changed, for somebody whose file did not come out the same."""
    before = original.packages | {k: str(v) for k, v in original.machine.model_dump().items()}
    now = again.packages | {k: str(v) for k, v in again.machine.model_dump().items()}
    changed = [
        f"{name} {before.get(name, 'none')} then, {now.get(name, 'none')} now"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    ]
    return "; ".join(changed) or "no version and no setting differs, so the machine does"
