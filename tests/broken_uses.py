"""Uses of a file that fail in every way that tools/fuzz.py must notice: the file says which."""

from __future__ import annotations

import os
import time
from pathlib import Path


def use(folder: Path) -> None:
    """Do what the file says."""
    match (folder / "file").read_text():
        case "crash":
            os.abort()
        case "hang":
            time.sleep(60)
        case "grow":
            b"a" * (150 << 20)
        case "ask":
            bytearray(300 << 20)
        case "defect":
            raise KeyError("a defect")
        case "leave":
            (folder / "half").write_text("half a file")
            raise ValueError("a sentence")
        case "refuse":
            raise ValueError("a sentence")


def never(*_: object) -> str:
    """What a test of a worker has no need of."""
    raise AssertionError
