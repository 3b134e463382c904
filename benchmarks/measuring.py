"""How benchmarks of models measure: each case in a process of its own, whose memory is then its own too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RETURNING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
"""For glibc: larger blocks come from the system and go back there when they are freed."""


def apart(script: str, job: dict[str, object], threads: int, env: Mapping[str, str] | None = None) -> str:
    """What a script prints last for a job, in a process of its own, with further environment variables."""
    command = [sys.executable, script, "--job", json.dumps(job), "--threads", str(threads)]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, env=os.environ | dict(env or {})
    )
    return run.stdout.splitlines()[-1]


def held(reset: bool = False) -> int:
    """Bytes that this process held at most since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])
