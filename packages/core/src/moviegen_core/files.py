"""Writing that is all or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a path beside `target` to write a file or folder to; it takes `target`'s place on success.

    On any exception, Ctrl-C included, what was written is removed and `target` stays as it was. The path has
    `target`'s own name inside a hidden folder, so libraries that look at the suffix find it.

    Raises:
        OSError: the folder of `target` does not exist or cannot be written.
    """
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        written = aside / target.name
        yield written
        if target.is_dir() and not target.is_symlink():
            # A folder cannot be renamed over a folder that is not empty: move the old one aside first.
            os.replace(target, aside / "previous")
        os.replace(written, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
