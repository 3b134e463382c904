"""How benchmarks of models measure: each case in a process of its own, whose memory is then its own too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def apart(script: str, job: dict[str, object], threads: int) -> str:
    """What a script prints last for a job, in a process of its own."""
    command = [sys.executable, script, "--job", json.dumps(job), "--threads", str(threads)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1]


def held(reset: bool = False) -> int:
    """Bytes that this process held at most since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])
