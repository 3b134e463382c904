"""`descript-audio-codec`, which only environments of its own sessions have, beside any PyTorch."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType

import torch


def dac_classes() -> ModuleType:
    """The module with its networks: `DAC`, `Encoder`, `Decoder`."""
    # Torchaudio, which it imports, refuses a PyTorch of another CUDA; nothing here runs on CUDA.
    cuda, torch.version.cuda = torch.version.cuda, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs
            return import_module("dac.model.dac")
    finally:
        torch.version.cuda = cuda
