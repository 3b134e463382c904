"""Puts what a command printed into a text, between two marks that name it.

    python tools/figures.py README.md judge PRINTED

replaces what stands between `<!-- judge:begin -->` and `<!-- judge:end -->` by the file PRINTED: tables in
Markdown as they are, other lines as a list. So a figure in a text always comes from a command that prints it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def filled(text: str, name: str, content: str) -> str:
    """The text with new content between the marks.

    Raises:
        ValueError: the marks are not there exactly once, or there is nothing to put between them.
    """
    content = content.strip("\n")
    if not content.strip():
        raise ValueError("nothing was printed; the old content stays")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    region = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(region.findall(text)) != 1:
        raise ValueError(f"the marks {begin} and {end} must stand there exactly once, in this order")
    return region.sub(lambda _: f"{begin}\n{_markdown(content)}\n{end}", text)


def _markdown(printed: str) -> str:
    """Tables and lists, with an empty line where one follows the other and wherever one was printed."""
    text, before = "", ""
    for line in printed.splitlines():
        shown = line if line.startswith("|") else f"- {line}" if line.strip() else ""
        apart = before and shown and before[0] != shown[0]
        text += ("\n\n" if apart else "\n") + shown
        before = shown
    return text.strip("\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python tools/figures.py FILE NAME PRINTED")
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(), sys.argv[2], Path(sys.argv[3]).read_text()))
