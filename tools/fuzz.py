"""Damaged films through reconstruction and scoring, damaged weights through their reader, by the thousand.

    python tools/fuzz.py --count 2000

Each file is a seeded mutation of a valid tiny one. What must come of it, within 10 seconds and 2 GB above the
idle process, is a result or a `ValueError`, and no file besides the result. A crash, a hang, another error or
more memory is counted, its number printed (`--first NUMBER --count 1` repeats it), and the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from fuzz_subjects import SUBJECTS, Subject

SECONDS = 10.0
GROWTH_BYTES = 2 << 30
START_SECONDS = 120.0
GOOD = ("result", "ValueError")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="mutations of each kind of file")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--only", choices=list(SUBJECTS), help="one kind of file")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else SUBJECTS:
            numbers = range(options.first, options.first + options.count)
            failures += fuzz(name, numbers, Path(folder))
    sys.exit(1 if failures else 0)


def fuzz(name: str, numbers: range, folder: Path) -> int:
    """Put mutations of one kind of file through, say what came of them, and count what must not be."""
    valid, place = folder / name, folder / f"{name}-mutated"
    SUBJECTS[name].make(valid)
    worker = Worker(SUBJECTS[name], place, valid)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in numbers:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(valid, place)
        how = SUBJECTS[name].mutate(place, random.Random(f"{name} {number}"))
        began = time.monotonic()
        outcome = worker.outcome()
        slowest = max(slowest, time.monotonic() - began)
        outcomes[outcome if outcome in GOOD else "failure"] += 1
        if outcome not in GOOD:
            print(f"{name} {number} ({how}): {outcome}", flush=True)
    growth = worker.stop()
    print(
        f"{name}: {len(numbers)} mutations, {outcomes['result']} valid results, {outcomes['ValueError']} "
        f"clear errors, {outcomes['failure']} failures; slowest {slowest:.1f} s, "
        f"memory grew by {growth >> 20} MB"
    )
    return outcomes["failure"]


class Worker:
    """A process that is used again until it dies.

    Args:
        place: folder of the files to try.
        valid: folder of files that are whole, to begin with.
    """

    def __init__(
        self,
        subject: Subject,
        place: Path,
        valid: Path,
        seconds: float = SECONDS,
        growth_bytes: int = GROWTH_BYTES,
    ) -> None:
        self._subject, self._place, self._valid = subject, place, valid
        self._seconds, self._allowed = seconds, growth_bytes
        self._growth = 0
        self._start()

    def outcome(self) -> str:
        """What becomes of the file that lies there now."""
        self._connection.send("go")
        if not self._connection.poll(self._seconds):
            self._process.kill()
            return self._again(f"no answer within {self._seconds:g} s")
        try:
            outcome, growth = self._connection.recv()
        except EOFError:
            self._process.join()
            return self._again(f"the process died with exit code {self._process.exitcode}")
        self._growth = max(self._growth, growth)
        if growth > self._allowed:
            self._process.kill()
            return self._again(f"memory grew by {growth >> 20} MB")
        return str(outcome)

    def stop(self) -> int:
        """End it; the most that a worker grew by, in bytes."""
        self._process.kill()
        self._process.join()
        return self._growth

    def _start(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._valid, self._place)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        given = (theirs, self._subject, self._place, self._allowed)
        self._process = context.Process(target=_work, args=given, daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_SECONDS):
            raise RuntimeError("the worker does not start")
        outcome, _ = self._connection.recv()
        if outcome != "result":
            raise RuntimeError(f"the valid file is refused: {outcome}")

    def _again(self, outcome: str) -> str:
        self._process.join()
        self._start()
        return outcome


def _work(connection: Connection, subject: Subject, place: Path, growth_bytes: int) -> None:
    """Try the valid file, take what memory is held then as idle, and try what comes."""
    connection.send((_tried(subject, place), 0))
    idle = _peak_bytes()
    # What is asked for and not used is no harm; what is used is measured, so the limit may be wider.
    allowed = _data_bytes() + 2 * growth_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    while True:
        connection.recv()
        outcome = _tried(subject, place)
        connection.send((outcome, _peak_bytes() - idle))


def _tried(subject: Subject, place: Path) -> str:
    try:
        subject.use(place)
    except ValueError as error:
        said = str(error)
        left = sorted(path.name for path in place.iterdir() if path.name not in subject.files)
        if left:
            return f"left behind: {left}"
        if not said or "\n" in said:
            return f"a ValueError that is no sentence: {said!r}"
        return "ValueError"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "result"


def _peak_bytes() -> int:
    """Not `getrusage`: a new process inherits its parent's peak there."""
    return _status_bytes("VmHWM")


def _data_bytes() -> int:
    return _status_bytes("VmData")


def _status_bytes(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{name}:\s+(\d+) kB", status).group(1))  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
