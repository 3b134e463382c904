"""Noise of a training as a pure function of seed, step and purpose, so that a resumed run draws the same."""

from __future__ import annotations

import hashlib

import torch


def generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A CPU generator of its own for one purpose of one step."""
    digest = hashlib.sha256(f"{seed}/{step}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
