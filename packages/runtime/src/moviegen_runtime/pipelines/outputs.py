"""Files of results: where they go, looked at before any work is done, and what they hold. No torch here."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path


def sidecar_path(path: Path) -> Path:
    """The file beside a clip that tells how to make it again."""
    return path.with_suffix(".json")


def sample_paths(output: Path, first_seed: int, count: int) -> list[Path]:
    """One file a sample: `output` itself, or of several "NAME-seedN" with each sample's own seed."""
    if count == 1:
        return [output]
    seeds = range(first_seed, first_seed + count)
    return [output.with_name(f"{output.stem}-seed{seed}{output.suffix}") for seed in seeds]


def check_outputs(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse files that could not be written in the end.

    Raises:
        ValueError: two outputs have one name, a file is there already, a folder is missing or not writable.
    """
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"two outputs would be written to {path}; give them different names")
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a file in it")
        if path.exists() and not overwrite:
            what = " (the settings of a clip of that name)" if path.suffix == ".json" else ""
            raise ValueError(f"{path}{what} is already there; choose another name or add --overwrite")
    for folder in {path.parent for path in paths}:
        _check_folder(folder)


def file_hash(path: Path) -> str:
    """SHA-256 of a file of any size, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder} to write to; create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write to the folder {folder}: {error.strerror}") from error
