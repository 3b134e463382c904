"""Writing that is all or nothing."""

from __future__ import annotations

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

    A file is replaced in one step. A folder that is not empty takes two renames: a process that is killed
    exactly between them leaves no `target`, but the old and the new folder, both whole, in the hidden folder.

    Raises:
        OSError: the folder of `target` does not exist or cannot be written.
    """
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        written = aside / target.name
        yield written
        if target.is_dir() and not target.is_symlink():
            _replace_folder(written, target, previous=aside / "previous")
        else:
            written.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace_folder(written: Path, target: Path, previous: Path) -> None:
    written.stat()  # nothing was written: say so before the old folder is moved
    try:
        target.replace(previous)
        written.replace(target)
    except BaseException:  # Ctrl-C too must not leave the target missing; it goes on from here
        if previous.exists() and not target.exists():
            previous.replace(target)
        raise
