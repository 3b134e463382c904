"""The device that an option names."""

from __future__ import annotations

import torch


def usable_device(name: str) -> str:
    """The device that is meant, after something was put on it.

    Raises:
        ValueError: there is no such device here.
    """
    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a device that is not there
        usable = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise ValueError(f"device {name!r} cannot be used here; there is {', '.join(usable)}") from error
    return name
