"""What happens around the steps of a training: log, validation, checkpoints, and its orderly end."""

# ruff: noqa: ARG002  (a hook takes all that Lightning hands it)

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning as L
import torch
from moviegen_core import replacing
from torch import Tensor

from moviegen_runtime.training.console import StatusLine
from moviegen_runtime.training.folder import RunFolder
from moviegen_runtime.training.module import TrainingModule


class TrainingLog(L.Callback):
    """Writes the mean of every term since the line before, rate, speed and time to the log and the console.

    Terms are added up on the device: only writing a line waits for it.
    """

    def __init__(self, folder: RunFolder, line: StatusLine) -> None:
        self.folder, self.line = folder, line
        self._sums: dict[str, tuple[Tensor, int]] = {}
        self._begin = self._since = time.monotonic()
        self._since_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin = self._since = time.monotonic()
        self._since_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        for name, value in pl_module.last_terms.items():
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = (total + value, count + 1)
        if trainer.global_step % pl_module.recipe.log_steps == 0 or trainer.global_step == trainer.max_steps:
            self._write(trainer, pl_module)

    def _write(self, trainer: L.Trainer, module: TrainingModule[Any]) -> None:
        now, step = time.monotonic(), trainer.global_step
        terms = {name: float(total) / count for name, (total, count) in self._sums.items()}
        check_finite(terms, step)
        group = trainer.optimizers[0].param_groups[0]
        samples = module.recipe.batch_size
        entry: dict[str, Any] = {
            "step": step,
            "samples": step * samples,
            **{name: round(value, 6) for name, value in terms.items()},
            "rate": group["lr"] * group["factor"],
            "samples_per_second": round((step - self._since_step) * samples / (now - self._since), 2),
            "minutes": round((now - self._begin) / 60, 2),
        }
        self.folder.write_log(entry)
        self.line.show(entry, trainer.max_steps)
        self._sums, self._since, self._since_step = {}, now, step


class Validation(L.Callback):
    """Validates the averaged weights every so many steps and at the last one."""

    def __init__(self, folder: RunFolder, line: StatusLine) -> None:
        self.folder, self.line = folder, line

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        plan, step = pl_module.recipe.validation, trainer.global_step
        if plan is None or (step % plan.every_steps and step != trainer.max_steps):
            return
        figures = pl_module.validate(self.folder.preview)
        check_finite(figures, step)
        entry = {"step": step, **{f"validation.{name}": round(value, 5) for name, value in figures.items()}}
        self.folder.write_log(entry)
        self.line.say(", ".join(f"{name} {value:g}" for name, value in entry.items()))


class Legs(L.Callback):
    """Saves everything every so many minutes, and ends the leg at a step's end when time is up or when asked.

    The first SIGINT or SIGTERM asks; a second SIGINT interrupts at once and loses what came after the last
    checkpoint.

    Args:
        max_minutes: length of the leg; None: until the last step.
    """

    def __init__(self, folder: RunFolder, line: StatusLine, max_minutes: float | None) -> None:
        self.folder, self.line, self.max_minutes = folder, line, max_minutes
        self.interrupted = False
        self._begin = self._saved = time.monotonic()
        self._handlers: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin = self._saved = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._ask)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        now = time.monotonic()
        late = self.max_minutes is not None and now - self._begin >= 60 * self.max_minutes
        last = late or self.interrupted or trainer.global_step >= trainer.max_steps
        if last or now - self._saved >= 60 * pl_module.recipe.checkpoint_minutes:
            self._save(trainer, pl_module)
        if last:
            trainer.should_stop = True

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _save(self, trainer: L.Trainer, module: TrainingModule[Any]) -> None:
        check_finite({name: float(value) for name, value in module.last_terms.items()}, trainer.global_step)
        with replacing(self.folder.checkpoint) as aside:
            trainer.save_checkpoint(aside)
        module.export(self.folder.weights)
        self.line.say(f"step {trainer.global_step}: checkpoint and weights written to {self.folder.root}")
        self._saved = time.monotonic()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.interrupted = True


def check_finite(values: dict[str, float], step: int) -> None:
    """Stop a training that has come apart, before its state overwrites a good checkpoint.

    Raises:
        ValueError: a value is not finite.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{name} is {value} at step {step}: the training came apart; its last checkpoint is good, "
                "a lower rate may help"
            )
