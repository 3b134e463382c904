"""Puts what a command printed into a text, between two marks that name it.

    python tools/figures.py README.md judge PRINTED

replaces what stands between `<!-- judge:begin -->` and `<!-- judge:end -->` by the file PRINTED, as a code
block if it is not a table in Markdown. So a figure in a text always comes from a command that prints it.
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
    block = content if content.lstrip().startswith("|") else f"```\n{content}\n```"
    return region.sub(lambda _: f"{begin}\n{block}\n{end}", text)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python tools/figures.py FILE NAME PRINTED")
    path = Path(sys.argv[1])
    path.write_text(filled(path.read_text(), sys.argv[2], Path(sys.argv[3]).read_text()))
