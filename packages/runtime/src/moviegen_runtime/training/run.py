"""One leg of a training: from the folder's checkpoint to the last step, or as far as time allows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch

from moviegen_runtime.training.batches import TrainingBatches
from moviegen_runtime.training.build import build_training, load_initial
from moviegen_runtime.training.callbacks import Legs, TrainingLog, Validation
from moviegen_runtime.training.console import StatusLine
from moviegen_runtime.training.folder import RunFolder
from moviegen_runtime.training.module import TrainingModule
from moviegen_runtime.training.recipes import AnyRecipe


@dataclass(frozen=True)
class Machine:
    """Where a leg runs and for how long.

    Args:
        device: "cpu", "cuda" or "auto" (cuda where there is one).
        precision: "32-true", or "bf16-mixed" for a device that is fast at it.
        max_minutes: the leg ends at the first step's end after that; None: at the training's last step.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    max_minutes: float | None = None

    def accelerator(self) -> str:
        """What Lightning calls the device.

        Raises:
            ValueError: CUDA is asked for and not there.
        """
        if self.device == "cpu" or (self.device == "auto" and not torch.cuda.is_available()):
            return "cpu"
        if not torch.cuda.is_available():
            raise ValueError("there is no CUDA device here: leave --device out, or say cpu")
        return "cuda"


def train(recipe: AnyRecipe, out: Path, machine: Machine | None = None, init: Path | None = None) -> bool:
    """Train, or go on with training, in a folder.

    Args:
        out: folder of the run; goes on from its checkpoint if there is one.
        init: weights folder to start from when there is no checkpoint; the optimizer starts fresh.

    Returns:
        Whether the training is complete.

    Raises:
        ValueError: the folder belongs to another recipe, or something that the recipe names cannot be used.
        KeyboardInterrupt: the leg was interrupted; everything was saved before.
    """
    machine = machine or Machine()
    machine.accelerator()  # refused before anything is written
    folder = RunFolder(out)
    done = folder.check(recipe)
    with StatusLine() as line:
        if done >= recipe.steps:
            line.say(f"{out} is trained: {done} of {recipe.steps} steps")
            return True
        training = build_training(recipe)
        module = training.module
        entry, text = _beginning(module, done, init)
        folder.make(recipe, done)  # only now: what could be refused has been
        folder.write_log({"step": done, "event": "start", **entry})
        parameters = sum(p.numel() for p in module.model.parameters())
        line.say(f"{out}: {parameters:,} parameters, {text}")
        legs = Legs(folder, line, machine.max_minutes)
        callbacks = [TrainingLog(folder, line), Validation(folder, line), legs]
        batches = TrainingBatches(
            training.length,
            training.collate,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            start=done,
            interleaved=training.interleaved,
        )
        with _quiet_lightning():
            trainer = _trainer(recipe, machine, folder, callbacks)
            checkpoint = str(folder.checkpoint) if done else None
            trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=True)
        if legs.interrupted:
            line.say(f"interrupted at step {trainer.global_step}; the same command goes on from there")
            raise KeyboardInterrupt
        return trainer.global_step >= recipe.steps


def _beginning(module: TrainingModule[Any], done: int, init: Path | None) -> tuple[dict[str, str], str]:
    """Load initial weights if they count; what the leg starts from, for the log and in words."""
    if done:
        entry, text = {"from": "checkpoint"}, f"going on from the checkpoint at step {done}"
        if init is not None:
            text += f"; {init} is not used"
    elif init is not None:
        changes = load_initial(module, init)
        entry, text = {"from": str(init)}, f"starting from {init} with a fresh optimizer"
        if changes is not None:
            entry["changes"] = changes
            text += f", its {changes}"
    else:
        module.prepare()
        entry, text = {"from": "nothing"}, "starting from nothing"
    return entry, text


def _trainer(
    recipe: AnyRecipe, machine: Machine, folder: RunFolder, callbacks: list[L.Callback]
) -> L.Trainer:
    return L.Trainer(
        accelerator=machine.accelerator(),
        devices=1,
        precision=machine.precision,
        max_steps=recipe.steps,
        gradient_clip_val=recipe.gradient_clip,
        callbacks=callbacks,
        default_root_dir=folder.root,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Hide what Lightning says of itself, and what it warns of and we mean."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found .* module\\(s\\) in eval mode")  # the average
            # Lightning's own use of a part of PyTorch that is on its way out.
            warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\)")
            yield
    finally:
        logger.setLevel(level)
