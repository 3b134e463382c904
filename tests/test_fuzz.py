"""Hostile files end in a result or a sentence; and the program that tries them notices everything else."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from broken_uses import never, use
from projects import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import fuzz
from fuzz_subjects import mutated


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_a_sample_of_damaged_files() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / "fuzz.py", "--count", "40"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for line, name in zip(run.stdout.splitlines(), ("films", "score", "weights"), strict=True):
        assert line.startswith(f"{name}: 40 mutations, ")
        assert "0 failures" in line
        assert " 0 valid results" not in line
        assert " 0 clear errors" not in line


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
def test_every_kind_of_failure_is_noticed(tmp_path: Path) -> None:
    valid, place = tmp_path / "valid", tmp_path / "place"
    valid.mkdir()
    (valid / "file").write_text("fine")
    subject = fuzz.Subject(never, never, use, ("file",))
    worker = fuzz.Worker(subject, place, valid, seconds=3.0, growth_bytes=100 << 20)
    said = {}
    for how in ("refuse", "crash", "hang", "grow", "ask", "defect", "fine", "leave"):
        (place / "file").write_text(how)
        said[how] = worker.outcome()
    worker.stop()
    assert said.pop("grow").startswith("memory grew by 1")
    assert said == {
        "refuse": "ValueError",
        "crash": "the process died with exit code -6",
        "hang": "no answer within 3 s",
        "ask": "MemoryError: ",
        "defect": "KeyError: 'a defect'",
        "fine": "result",
        "leave": "left behind: ['half']",
    }


def test_mutations_are_seeded_and_of_every_kind() -> None:
    data = bytes(range(256)) * 4
    first, again = (
        [mutated(data, random.Random(f"{number}"), 100) for number in range(200)] for _ in range(2)
    )
    assert first == again
    assert len({how for _, how in first}) == 7
    assert all(changed != data for changed, how in first if "flips" in how)
