"""`moviegen env`: what a bug report should say about an installation."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from moviegen_runtime.versions import package_versions


@dataclass(frozen=True)
class Env:
    """Print versions and devices, for a bug report."""

    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Print."""
        facts = _facts()
        if self.json:
            print(json.dumps(facts, indent=2))
            return
        width = max(len(name) for name in facts)
        for name, value in facts.items():
            print(f"{name:<{width}}  {value}")


def _facts() -> dict[str, str]:
    import torch

    facts = package_versions()
    facts["system"] = platform.platform()
    facts["processor"] = f"{_processor()}, {os.cpu_count()} cores"
    facts["torch threads"] = str(torch.get_num_threads())
    facts["torch CPU capability"] = torch.backends.cpu.get_cpu_capability()
    facts["CUDA of torch"] = str(torch.version.cuda)
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    facts["devices"] = ", ".join([*devices, *(["mps"] if torch.backends.mps.is_available() else [])])
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        facts[f"cuda:{index}"] = (
            f"{device.name}, {device.total_memory / 2**30:.0f} GiB, "
            f"compute capability {device.major}.{device.minor}"
        )
    return facts


def _processor() -> str:
    """The processor's own name where Linux tells it; `platform` often knows only the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # another system
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
