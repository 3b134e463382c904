"""Shards: plain tar files in the layout of webdataset, with an index that finds any sample by its number.

A set is a folder:

    dataset.json         what the set holds and how it was made; `shards` is null until the set is complete
    000000.tar           samples as members `000000000.json`, `000000000.png`, ...; any tar reader opens it
    000000.index.json    size and SHA-256 of the tar, and offset and size of every member in it

A shard is there when its index is: the tar is put in place first, both by renaming. So an interrupted job
leaves no half file and goes on at the first shard without an index. Everything is treated as hostile when it is
read: sizes are bounded, names cannot leave the folder, and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from moviegen_core import replacing
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from webdataset.writer import TarWriter  # type: ignore[import-untyped]

FORMAT_VERSION = 1
HEADER_FILE = "dataset.json"
MAX_MEMBER_BYTES = 1 << 30
_MAX_JSON_BYTES = 1 << 27
_MAX_TAR_BYTES = 1 << 40
_Size = Annotated[int, Field(ge=0, le=_MAX_TAR_BYTES)]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SetHeader(_Stored):
    """What a set holds.

    Args:
        kind: "clips" or "latents".
        members: endings of the members of every sample, sorted.
        properties: how the set was made; a job goes on only with equal ones.
        shards: how many shards there are; None while the set is being written.
    """

    format: Literal[1]
    kind: str
    members: list[Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]]
    properties: dict[str, JsonValue]
    shards: Annotated[int, Field(ge=0, lt=1_000_000)] | None


class _ShardIndex(_Stored):
    """Offset and size in bytes of every member of every sample, in the order of the header's `members`."""

    tar: Annotated[str, Field(pattern=r"^[0-9]{6}\.tar$")]
    bytes: _Size
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: list[list[tuple[_Size, Annotated[int, Field(ge=0, le=MAX_MEMBER_BYTES)]]]]


_StoredT = TypeVar("_StoredT", bound=_Stored)


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
    while _index_path(folder, number).exists():
        number += 1
    return number


def write_shard(folder: Path, number: int, first_key: int, samples: Iterable[Mapping[str, bytes]]) -> int:
    """Write one shard and its index, each of them whole or not at all.

    Args:
        number: the shard's number, counted from 0.
        first_key: names the first sample; the others are counted on from it.
        samples: for each sample its members' contents by ending, the same endings as in the set's header.

    Returns:
        How many samples it holds.
    """
    members = read_header(folder).members
    tar = _tar_path(folder, number)
    with replacing(tar) as aside:
        # A fixed time and owner make the same samples the same bytes.
        with aside.open("wb") as file, TarWriter(file, user="", group="", encoder=False, mtime=0) as writer:
            for key, sample in enumerate(samples, first_key):
                if sorted(sample) != members:
                    raise ValueError(
                        f"a sample of {folder} needs the members {members}, not {sorted(sample)}"
                    )
                writer.write({"__key__": f"{key:09d}", **sample})
        index = _index_tar(aside, members)
    _write_json(_index_path(folder, number), index)
    return len(index.samples)


def finish(folder: Path, shards: int) -> None:
    """Mark a set as complete."""
    _write_json(folder / HEADER_FILE, read_header(folder).model_copy(update={"shards": shards}))


def count_samples(folder: Path, shards: int) -> int:
    """Samples in the first `shards` shards of a set that may still be unfinished."""
    return sum(len(_read_json(_index_path(folder, n), _ShardIndex).samples) for n in range(shards))


def read_header(folder: Path) -> SetHeader:
    """Read what a set holds.

    Raises:
        ValueError: there is no set, or its header is damaged.
    """
    return _read_json(folder / HEADER_FILE, SetHeader)


class ShardReader:
    """The samples of a complete set as bytes, by number.

    A read opens the tar, takes one sample and closes it: nothing is shared between threads or processes.

    Args:
        folder: the set.
        kind: what it must hold.

    Raises:
        ValueError: the set is missing, unfinished, damaged, of another kind, or a shard was truncated.
    """

    def __init__(self, folder: Path | str, kind: str) -> None:
        self.folder = Path(folder)
        self.header = read_header(self.folder)
        if self.header.kind != kind:
            raise ValueError(f"{self.folder} holds {self.header.kind}, not {kind}")
        if self.header.shards is None:
            raise ValueError(f"{self.folder} is not finished: run the command that writes it again")
        indices = [self._read_index(number) for number in range(self.header.shards)]
        counts = [len(index.samples) for index in indices]
        self._starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._spans: NDArray[np.int64] = np.array(
            [sample for index in indices for sample in index.samples], dtype=np.int64
        ).reshape(-1, len(self.header.members), 2)
        if len(self) == 0:
            raise ValueError(f"{self.folder} holds no samples")
        digest = hashlib.sha256(json.dumps(self.header.model_dump(), sort_keys=True).encode())
        for index in indices:
            digest.update(bytes.fromhex(index.sha256))
        self.fingerprint = digest.hexdigest()
        """SHA-256 over the header and the hashes of all shards: equal sets have equal ones."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, index: int) -> dict[str, bytes]:
        """The members of one sample, by ending.

        Raises:
            IndexError: no such sample.
            ValueError: the shard has become unreadable.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder} has {len(self)} samples, so none is number {index}")
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        path = _tar_path(self.folder, number)
        sample = {}
        try:
            with path.open("rb", buffering=0) as file:
                for ending, (offset, size) in zip(self.header.members, self._spans[index], strict=True):
                    file.seek(int(offset))
                    sample[ending] = file.read(int(size))
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from error
        if any(
            len(data) != size for data, (_, size) in zip(sample.values(), self._spans[index], strict=True)
        ):
            raise ValueError(f"{path} is truncated: sample {index} is not whole")
        return sample

    def _read_index(self, number: int) -> _ShardIndex:
        path, tar = _index_path(self.folder, number), _tar_path(self.folder, number)
        index = _read_json(path, _ShardIndex)
        if index.tar != tar.name:
            raise ValueError(f"{path} describes {index.tar}, not {tar.name}")
        try:
            actual = tar.stat().st_size
        except OSError as error:
            raise ValueError(f"cannot read {tar}: {error.strerror}") from error
        if actual != index.bytes:
            raise ValueError(f"{tar} is truncated or was changed: {actual} bytes, not {index.bytes}")
        for sample in index.samples:
            if len(sample) != len(self.header.members):
                raise ValueError(
                    f"{path}: a sample has {len(sample)} members, not {len(self.header.members)}"
                )
            if any(offset + size > index.bytes for offset, size in sample):
                raise ValueError(f"{path}: a member reaches beyond the end of {tar.name}")
        return index


def _tar_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.tar"


def _index_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.index.json"


def _index_tar(path: Path, members: Sequence[str]) -> _ShardIndex:
    """Find the members with Python's own reader, so that the index cannot disagree with the tar."""
    with tarfile.open(path, "r:") as tar:
        spans = [(entry.offset_data, entry.size) for entry in tar]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    step = len(members)
    samples = [spans[start : start + step] for start in range(0, len(spans), step)]
    return _ShardIndex(tar=path.name, bytes=path.stat().st_size, sha256=digest, samples=samples)


def _left_over(folder: Path) -> list[Path]:
    """What a process that was killed while it wrote left behind (see `moviegen_core.replacing`)."""
    names = (f".{HEADER_FILE}.*", ".[0-9]*.tar.*", ".[0-9]*.index.json.*")
    return [path for name in names for path in folder.glob(name) if path.is_dir()]


def _check_same_job(folder: Path, found: SetHeader, wanted: SetHeader) -> None:
    if found.kind != wanted.kind:
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


def _write_json(path: Path, model: _Stored) -> None:
    with replacing(path) as aside:
        aside.write_text(model.model_dump_json() + "\n")


def _read_json(path: Path, model: type[_StoredT]) -> _StoredT:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f"{path} is larger than an index can be ({_MAX_JSON_BYTES} bytes)")
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise ValueError(f"{path} is damaged: {where}: {first['msg']}") from error
