"""How far a long job is: a bar on a terminal, a line now and then everywhere else. Imports no torch."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


class JobProgress:
    """Progress of a job on stderr.

    Args:
        what: what is done, such as "packing".
        unit: what is counted, such as "files".
        total: how many there are.
        done: how many an earlier run has done.
    """

    def __init__(self, what: str, unit: str, total: int, done: int = 0) -> None:
        self._what, self._unit, self._total = what, unit, total
        self._done = self._done_before = done
        self._console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(f"{what} ({unit})", total=total, completed=done, rate="")

    def __enter__(self) -> Self:
        self._began = self._last_line = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        now = time.monotonic()
        rate = f"{(self._done - self._done_before) / max(now - self._began, 1e-9):.1f}/s"
        self._bar.update(self._task, completed=self._done, rate=rate)
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.say(f"{self._what}: {self._done} of {self._total} {self._unit}, {rate}")

    def say(self, message: str) -> None:
        """A line above the bar."""
        self._bar.console.print(escape(message), soft_wrap=True, highlight=False)
