"""Progress of a training on the console: one line that is rewritten, or plain lines without a terminal."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.status import Status

_SECONDS_BETWEEN_LINES = 10.0


class StatusLine:
    """Shows how far a training is, on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        self._status: Status | None = None
        self._shown = 0.0

    def __enter__(self) -> StatusLine:
        if self._console.is_terminal:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text)

    def show(self, entry: dict[str, Any], steps: int) -> None:
        """Show a line of the log as the state of things."""
        text = f"step {entry['step']}/{steps}  " + "  ".join(
            f"{name} {value:.4g}" for name, value in entry.items() if name not in ("step", "samples")
        )
        now = time.monotonic()
        if self._status is not None:
            self._status.update(text)
        elif now - self._shown >= _SECONDS_BETWEEN_LINES:
            self._console.print(text)
            self._shown = now
