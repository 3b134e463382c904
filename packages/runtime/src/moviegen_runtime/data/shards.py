"""Shards: plain tar files in the layout of webdataset, with an index that finds any sample by its number.

A set is a folder:

    dataset.json         what the set holds and how it was made; `shards` is null until the set is complete
    000000.tar           samples as members `000000-000000.json`, `000000-000000.png`, ...
    000000.index.json    size and SHA-256 of the tar, and offset and size of every member in it

A shard is there when its index is: the tar is put in place first, both by renaming. So an interrupted job
leaves no half file and goes on at the first shard without an index. Everything is treated as hostile when
it is read: sizes are bounded, names cannot leave the folder, and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

HEADER_FILE = "dataset.json"
MAX_MEMBER_BYTES = 1 << 30
_MAX_JSON_BYTES = 1 << 27
_MAX_TAR_BYTES = 1 << 40
_Size = Annotated[int, Field(ge=0, le=_MAX_TAR_BYTES)]


class Stored(BaseModel):
    """What is kept as JSON beside the shards: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SetHeader(Stored):
    """What a set holds.

    Args:
        kind: "clips", "latents" or "sounds".
        members: endings of the members of every sample, sorted.
        properties: how the set was made; a job goes on only with equal ones.
        shards: how many shards there are; None while the set is being written.
    """

    format: Literal[1]
    kind: str
    members: Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")]], Field(min_length=1)]
    properties: dict[str, JsonValue]
    shards: Annotated[int, Field(ge=0, lt=1_000_000)] | None


class ShardIndex(Stored):
    """Offset and size in bytes of every member of every sample, in the order of the header's `members`."""

    tar: Annotated[str, Field(pattern=r"^[0-9]{6}\.tar$")]
    bytes: _Size
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    samples: list[list[tuple[_Size, Annotated[int, Field(ge=0, le=MAX_MEMBER_BYTES)]]]]


_StoredT = TypeVar("_StoredT", bound=Stored)


def read_header(folder: Path) -> SetHeader:
    """Read what a set holds.

    Raises:
        ValueError: there is no set, or its header is damaged.
    """
    return read_json(folder / HEADER_FILE, SetHeader)


class ShardReader:
    """The samples of a complete set as bytes, by number.

    A read opens the tar, takes one sample and closes it: nothing is shared between threads or processes.

    Args:
        folder: the set.
        kind: what it must hold.
        members: endings of the members that every sample must have.

    Raises:
        ValueError: the set is missing, unfinished, damaged, of another kind, or a shard was truncated.
    """

    def __init__(self, folder: Path | str, kind: str, members: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.header = read_header(self.folder)
        if self.header.kind != kind:
            raise ValueError(f"{self.folder} holds {self.header.kind}, not {kind}")
        if self.header.members != sorted(members):
            raise ValueError(f"{self.folder} has members {self.header.members}, not {sorted(members)}")
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
        path = tar_path(self.folder, number)
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

    def _read_index(self, number: int) -> ShardIndex:
        path, tar = index_path(self.folder, number), tar_path(self.folder, number)
        index = read_json(path, ShardIndex)
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


def tar_path(folder: Path, number: int) -> Path:
    """Where a set's shard is."""
    return folder / f"{number:06d}.tar"


def index_path(folder: Path, number: int) -> Path:
    """Where the index of a set's shard is."""
    return folder / f"{number:06d}.index.json"


def read_json(path: Path, model: type[_StoredT]) -> _StoredT:
    """Read and check one of a set's JSON files.

    Raises:
        ValueError: it is missing, too large, or not as it should be.
    """
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
