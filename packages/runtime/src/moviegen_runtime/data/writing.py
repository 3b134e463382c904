"""Writing sets of shards (see `shards` for the format), so that an interrupted job can go on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from moviegen_core import replacing
from pydantic import JsonValue
from webdataset.writer import TarWriter  # type: ignore[import-untyped]

from moviegen_runtime.data.shards import (
    HEADER_FILE,
    SetHeader,
    ShardIndex,
    Stored,
    index_path,
    read_header,
    read_json,
    tar_path,
)


def begin(folder: Path, kind: str, members: Sequence[str], properties: Mapping[str, JsonValue]) -> int:
    """Begin a set, or go on with an interrupted one.

    Returns:
        How many shards are complete already.

    Raises:
        ValueError: the folder holds something else, or a set made in another way.
    """
    wanted = SetHeader(format=1, kind=kind, members=sorted(members), properties=dict(properties), shards=None)
    if (folder / HEADER_FILE).exists():
        _check_same_job(folder, read_header(folder), wanted)
    else:
        if folder.exists() and (not folder.is_dir() or set(folder.iterdir()) - set(_left_over(folder))):
            raise ValueError(f"{folder} is there already and holds no shards: give an empty or a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / HEADER_FILE, wanted)
    for path in _left_over(folder):
        shutil.rmtree(path)
    number = 0
    while index_path(folder, number).exists():
        number += 1
    return number


def write_shard(folder: Path, number: int, samples: Iterable[Mapping[str, bytes]]) -> int:
    """Write one shard and its index, each of them whole or not at all.

    Args:
        number: the shard's number, counted from 0.
        samples: for each sample its members' contents by ending, the same endings as in the set's header.

    Returns:
        How many samples it holds.
    """
    members = read_header(folder).members
    tar = tar_path(folder, number)
    with replacing(tar) as aside:
        # A fixed time and owner make the same samples the same bytes.
        with aside.open("wb") as file, TarWriter(file, user="", group="", encoder=False, mtime=0) as writer:
            for place, sample in enumerate(samples):
                if sorted(sample) != members:
                    raise ValueError(
                        f"a sample of {folder} needs the members {members}, not {sorted(sample)}"
                    )
                writer.write({"__key__": f"{number:06d}-{place:06d}", **sample})
        index = _index_tar(aside, members)
    _write_json(index_path(folder, number), index)
    return len(index.samples)


def finish(folder: Path, shards: int) -> int:
    """Mark a set as complete, or take one without samples away again; what else is in its folder stays.

    Returns:
        How many samples the set has.
    """
    count = sum(len(read_json(index_path(folder, n), ShardIndex).samples) for n in range(shards))
    if count:
        _write_json(folder / HEADER_FILE, read_header(folder).model_copy(update={"shards": shards}))
        return count
    for number in range(shards):
        index_path(folder, number).unlink()
        tar_path(folder, number).unlink()
    (folder / HEADER_FILE).unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return 0


def _index_tar(path: Path, members: Sequence[str]) -> ShardIndex:
    """Find the members with Python's own reader, so that the index cannot disagree with the tar."""
    with tarfile.open(path, "r:") as tar:
        spans = [(entry.offset_data, entry.size) for entry in tar]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    step = len(members)
    samples = [spans[start : start + step] for start in range(0, len(spans), step)]
    return ShardIndex(tar=path.name, bytes=path.stat().st_size, sha256=digest, samples=samples)


def _left_over(folder: Path) -> list[Path]:
    """What a process that was killed while it wrote left behind (see `moviegen_core.replacing`)."""
    names = (f".{HEADER_FILE}.*", ".[0-9]*.tar.*", ".[0-9]*.index.json.*")
    return [path for name in names for path in folder.glob(name) if path.is_dir()]


def _check_same_job(folder: Path, found: SetHeader, wanted: SetHeader) -> None:
    if (found.kind, found.members) != (wanted.kind, wanted.members):
        raise ValueError(f"{folder} holds {found.kind}, not {wanted.kind}: give another folder")
    for key in sorted(found.properties.keys() | wanted.properties.keys()):
        old, new = found.properties.get(key), wanted.properties.get(key)
        if old != new:
            raise ValueError(
                f"{folder} was begun with {key} = {_short(old)}, not {_short(new)}: "
                "give another folder, or the same options to go on"
            )


def _short(value: JsonValue) -> str:
    return re.sub(r"(.{60}).+", r"\1...", json.dumps(value))


def _write_json(path: Path, model: Stored) -> None:
    with replacing(path) as aside:
        aside.write_text(model.model_dump_json() + "\n")
