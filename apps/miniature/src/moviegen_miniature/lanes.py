"""Steps of a long plan, in lanes: one after the other within a lane, lanes side by side in processes."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from threading import Thread
from types import FrameType
from typing import TextIO

_INCOMPLETE, _FAILED, _INTERRUPTED = 3, 2, 130  # exit codes of a lane's process


@dataclass(frozen=True)
class Step:
    """A part of a plan.

    Args:
        name: in what is said of it; no two steps of a plan share one.
        run: does it, or what is left of it, given the minutes that are left for training (None: as many as it
            takes); whether it is complete.
        work: operations of a matrix product, in units of 1e9, that take as long as all of it; 0 where it is
            not counted.
        after: names of steps of other lanes that must be complete before.
    """

    name: str
    run: Callable[[float | None], bool]
    work: float = 0.0
    after: tuple[str, ...] = ()


Lanes = Sequence[Sequence[Step]]
"""Of a plan. One lane after the other is an order that `after` allows."""


class _StepEvents:
    """What lanes tell each other: which steps are complete, and that a lane ended before its last one."""

    def __init__(self, lanes: Lanes) -> None:
        context = get_context("spawn")
        self._complete = {step.name: context.Event() for lane in lanes for step in lane}
        self._ended_early = context.Event()

    def complete(self, step: Step) -> None:
        self._complete[step.name].set()

    def end_early(self) -> None:
        self._ended_early.set()

    def are_complete(self, names: Sequence[str]) -> bool:
        return all(self._complete[name].is_set() for name in names)

    def wait(self, names: Sequence[str]) -> bool:
        """Until these steps are complete; whether they are, which they never will once a lane ended early."""
        for name in names:
            while not self._complete[name].wait(timeout=1.0):
                if self._ended_early.is_set():
                    return self.are_complete(names)
        return True


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of_a_lane(lanes: Lanes) -> int:
    """How many threads each lane has, where lanes run side by side; all of them where there is one lane."""
    return max(1, cores() // len(lanes))


def side_by_side(lanes: Lanes) -> bool:
    """Whether lanes run at the same time: where there are several, and more than one core."""
    return len(lanes) > 1 and cores() > 1


def duration(lanes: Lanes) -> float:
    """Work that lies one after the other: with lanes side by side, that of the longest chain of steps.

    Raises:
        ValueError: steps wait for what never comes.
    """
    if not side_by_side(lanes):
        return sum(step.work for lane in lanes for step in lane)
    ends: dict[str, float] = {}
    while (known := len(ends)) < sum(map(len, lanes)):
        for lane in lanes:
            clock = 0.0
            for step in lane:
                if any(name not in ends for name in step.after):
                    break
                clock = max([clock, *(ends[name] for name in step.after)]) + step.work
                ends[step.name] = clock
        if len(ends) == known:
            raise ValueError("the steps of a plan wait for each other, or for one that no lane has")
    return max(ends.values())


def run_plan(make: Callable[[], Lanes], max_minutes: float | None) -> bool:
    """Do all steps of a plan, or as much as time allows, and say how long each took.

    Args:
        make: makes the plan. Where lanes run side by side, it must be picklable, and each process makes its
            own.
        max_minutes: end trainings after so many minutes with full checkpoints.

    Returns:
        Whether all of it is complete.

    Raises:
        ValueError: a step cannot be done.
        KeyboardInterrupt: interrupted; trainings have saved what they had.
    """
    lanes = make()
    events = _StepEvents(lanes)
    if not side_by_side(lanes):
        from moviegen_runtime.training.process import prepare_process

        prepare_process(cores())
        with _terminated_as_interrupted():
            return _run_steps([step for lane in lanes for step in lane], max_minutes, events)
    context = get_context("spawn")
    processes = [
        context.Process(
            target=_lane_process, args=(make, index, events, max_minutes, threads_of_a_lane(lanes))
        )
        for index in range(len(lanes))
    ]
    with _terminated_as_interrupted():
        try:
            for process in processes:
                process.start()
            worst = _worst_end(processes, events)
        except BaseException:  # an interruption above all: no lane is left behind, and each saves what it has
            _end(processes)
            raise
    if worst == _INTERRUPTED:
        raise KeyboardInterrupt
    if worst < 0:
        raise ValueError(
            f"a part was ended by signal {-worst}, perhaps for want of memory; the same command goes on from "
            "what is done"
        )
    if worst not in (0, _INCOMPLETE):
        raise ValueError("a part failed, as said above; the same command goes on from what is done")
    return worst == 0


def _worst_end(processes: Sequence[SpawnProcess], events: _StepEvents) -> int:
    """Wait for all lanes. A failure ends the others, and its code counts before that of time that is up."""
    worst = 0
    running = list(processes)
    while running:
        connection.wait([process.sentinel for process in running])
        for process in [process for process in running if not process.is_alive()]:
            running.remove(process)
            code = process.exitcode or 0
            if code == 0:
                continue
            events.end_early()
            if worst in (0, _INCOMPLETE):
                worst = code
            if code != _INCOMPLETE:
                _end(running)
    return worst


def _end(processes: Sequence[SpawnProcess]) -> None:
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        if process.pid is not None:
            process.join()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """The first SIGTERM interrupts, so that what was begun is cleared away."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _lane_process(
    make: Callable[[], Lanes], index: int, events: _StepEvents, max_minutes: float | None, threads: int
) -> None:
    """What a lane's process does; it ends with one of the exit codes, having said why."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's reaches the parent too, which ends its lanes
    Thread(target=_end_with_parent, daemon=True).start()
    from moviegen_runtime.training.process import prepare_process

    prepare_process(threads)
    try:
        with _terminated_as_interrupted():
            complete = _run_steps(make()[index], max_minutes, events, named=True)
    except (ValueError, OSError) as error:
        say(" ".join(str(error).split()))
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(0 if complete else _INCOMPLETE)


def _end_with_parent() -> None:
    """No lane outlives the process that began it, whatever ends that."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _run_steps(
    steps: Sequence[Step], max_minutes: float | None, events: _StepEvents, named: bool = False
) -> bool:
    begin = time.monotonic()
    for step in steps:
        if not events.are_complete(step.after):
            say(f"{step.name}: waits for {' and '.join(step.after)}")
        if not events.wait(step.after):
            say(f"{step.name}: what it waits for is not complete; the same command goes on from there")
            return False
        left = None
        if max_minutes is not None:
            left = max(max_minutes - (time.monotonic() - begin) / 60, 1e-3)
        with _timed(step.name), _named(step.name) if named else nullcontext():
            complete = step.run(left)
        if not complete:
            say(f"time is up while {step.name} is trained; the same command goes on from there")
            return False
        events.complete(step)
    return True


@contextmanager
def _timed(name: str) -> Iterator[None]:
    """Say when a step begins, and how long it took."""
    say(f"{name}: begins")
    begin = time.monotonic()
    try:
        yield
    finally:
        say(f"{name}: {(time.monotonic() - begin) / 60:.1f} minutes")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Put a name before each line of stderr, so that those of two processes can be told apart."""
    stderr = sys.stderr
    sys.stderr = lines = _NamedLines(stderr, name)
    try:
        yield
    finally:
        lines.end()
        sys.stderr = stderr


class _NamedLines(io.TextIOBase):
    def __init__(self, inner: TextIO, name: str) -> None:
        self._inner, self._name, self._begun = inner, name, ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        self._inner.write("".join(f"{self._name} | {line}\n" for line in lines))
        self._inner.flush()
        return len(text)

    def end(self) -> None:
        """Write a line that was begun and has no end."""
        if self._begun:
            self.write("\n")


def say(line: str) -> None:
    """Print to stderr at once."""
    print(line, file=sys.stderr, flush=True)
