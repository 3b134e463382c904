"""Makes `descript-audio-codec` importable, of whose packages torchaudio is one.

Torchaudio refuses a PyTorch of another CUDA than its own, and its last release is older than the PyTorch of
this project. Nothing here runs on CUDA or calls torchaudio, so it is shown a PyTorch without CUDA.
"""

from __future__ import annotations

import warnings

import torch

cuda, torch.version.cuda = torch.version.cuda, None
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs
    import dac  # noqa: F401
torch.version.cuda = cuda
