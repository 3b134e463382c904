"""Where measurements are kept: benchmarks/results/DEVICE.json, by subject, and tables in the docs."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from moviegen_core import replacing

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def device_name() -> str:
    """The GPU if there is one, or the processor and how many cores of it there are."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else None
    name = model[1] if model else platform.processor() or platform.machine()
    return f"{' '.join(name.split())}, {os.cpu_count()} cores"


def record(subject: str, figures: Mapping[str, object], threads: int | None = None) -> Path:
    """Write the figures of a subject, with what they were measured by, in place of older ones.

    Args:
        subject: key of the figures in the file.
        figures: what `json` can write.
        threads: of PyTorch; None on a GPU.

    Returns:
        The file.
    """
    RESULTS.mkdir(exist_ok=True)
    device = device_name()
    path = RESULTS / f"{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    how = {"device": device, "threads": threads, "torch": torch.__version__}
    content[subject] = {**how, **figures}
    with replacing(path) as aside:
        aside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path


def fill(page: Path, name: str, printed: str) -> None:
    """Put what was printed between the marks of that name in a page of the docs."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "printed.txt"
        text.write_text(printed)
        command = [sys.executable, str(ROOT / "tools" / "figures.py"), str(page), name, str(text)]
        subprocess.run(command, check=True)
