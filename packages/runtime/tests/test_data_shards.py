"""The shard format: what is written is read, by us and by others, and nothing hostile gets through."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moviegen_runtime.data.shards import ShardReader
from moviegen_runtime.data.writing import begin, finish, write_shard
from webdataset.handlers import reraise_exception
from webdataset.tariterators import group_by_keys, tar_file_expander

MEMBERS = ("json", "bin")
PER_SHARD = 4


def sample(number: int) -> dict[str, bytes]:
    content = hashlib.sha256(bytes([number])).digest() * (number * 40 % 97)  # sizes from 0 to 3 kB
    return {"bin": content, "json": json.dumps({"number": number}).encode()}


def write_set(folder: Path, shards: int = 3) -> Path:
    begin(folder, "things", MEMBERS, {"colour": "red"})
    for shard in range(shards):
        write_shard(folder, shard, map(sample, range(shard * PER_SHARD, (shard + 1) * PER_SHARD)))
    finish(folder, shards)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_set(tmp_path / "set")


def test_any_order_of_reading_gives_what_was_written(written: Path) -> None:
    reader = ShardReader(written, "things", MEMBERS)
    assert len(reader) == 12
    for number in (11, 0, 5, 4, 3, 8, 0):
        assert reader.read(number) == sample(number)


@pytest.mark.parametrize("number", [-1, 12])
def test_there_is_nothing_beyond_the_ends(written: Path, number: int) -> None:
    with pytest.raises(IndexError, match="12 samples"):
        ShardReader(written, "things", MEMBERS).read(number)


def test_offsets_agree_with_pythons_tar_reader(written: Path) -> None:
    for shard in range(3):
        index = json.loads((written / f"{shard:06d}.index.json").read_text())
        raw = (written / f"{shard:06d}.tar").read_bytes()
        spans = [span for one in index["samples"] for span in one]
        with tarfile.open(written / f"{shard:06d}.tar") as tar:
            entries = tar.getmembers()
            found = [tar.extractfile(entry).read() for entry in entries]  # type: ignore[union-attr]
        assert [entry.name for entry in entries[:2]] == [
            f"{shard:06d}-000000.bin",
            f"{shard:06d}-000000.json",
        ]
        assert [raw[offset : offset + size] for offset, size in spans] == found
        assert index["sha256"] == hashlib.sha256(raw).hexdigest()


def test_webdataset_reads_the_shards(written: Path) -> None:
    found: list[dict[str, bytes]] = []
    for path in sorted(written.glob("*.tar")):
        with path.open("rb") as stream:  # opened here, since webdataset leaves it to the garbage collector
            files = tar_file_expander([{"url": path.name, "stream": stream}], handler=reraise_exception)
            found.extend({key: one[key] for key in MEMBERS} for one in group_by_keys(files))
    assert found == [sample(number) for number in range(12)]


def test_equal_samples_are_equal_files(written: Path, tmp_path: Path) -> None:
    again = write_set(tmp_path / "again")
    assert contents(again) == contents(written)
    fingerprints = [ShardReader(folder, "things", MEMBERS).fingerprint for folder in (written, again)]
    assert fingerprints[0] == fingerprints[1]
    assert ShardReader(write_set(tmp_path / "more", 2), "things", MEMBERS).fingerprint != fingerprints[0]


def test_an_interrupted_job_goes_on_to_the_same_files(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    assert begin(folder, "things", MEMBERS, {"colour": "red"}) == 0
    write_shard(folder, 0, map(sample, range(4)))

    def interrupted() -> Iterator[dict[str, bytes]]:
        yield sample(4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(folder, 1, interrupted())
    assert sorted(contents(folder)) == ["000000.index.json", "000000.tar", "dataset.json"]
    with pytest.raises(ValueError, match="not finished"):
        ShardReader(folder, "things", MEMBERS)

    assert begin(folder, "things", MEMBERS, {"colour": "red"}) == 1
    for shard in (1, 2):
        write_shard(folder, shard, map(sample, range(shard * PER_SHARD, (shard + 1) * PER_SHARD)))
    assert finish(folder, 3) == 12
    assert contents(folder) == contents(written)


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    left_over = [folder / name for name in (".dataset.json.x1", ".000000.tar.x2", ".000000.index.json.x3")]
    for path in left_over:
        path.mkdir(parents=True)
        (path / "half").write_bytes(b"half")
    (folder / "000000.tar").write_bytes(b"a tar whose index was never written")
    with pytest.raises(ValueError, match="holds no shards"):
        begin(folder, "things", MEMBERS, {"colour": "red"})
    (folder / "000000.tar").unlink()
    write_set(folder)
    assert not any(path.exists() for path in left_over)


def test_a_tar_without_index_is_written_again(written: Path) -> None:
    before = contents(written)
    (written / "000002.index.json").unlink()
    (written / "000002.tar").write_bytes(b"half")
    assert begin(written, "things", MEMBERS, {"colour": "red"}) == 2
    write_shard(written, 2, map(sample, range(8, 12)))
    assert contents(written) == before


@pytest.mark.parametrize(
    ("kind", "properties", "sentence"),
    [
        ("clips", {"colour": "red"}, "holds things, not clips"),
        ("things", {"colour": "blue"}, 'colour = "red", not "blue"'),
        ("things", {}, 'colour = "red", not null'),
        ("things", {"colour": "red", "size": 3}, "size = null, not 3"),
    ],
)
def test_another_job_is_refused(written: Path, kind: str, properties: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        begin(written, kind, MEMBERS, properties)


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(ValueError, match="holds no shards"):
        begin(tmp_path, "things", MEMBERS, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("others", [(), ("notes.txt",)])
def test_a_set_that_came_to_nothing_goes_and_leaves_what_is_not_ours(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    folder = tmp_path / "set"
    begin(folder, "things", MEMBERS, {})
    for shard in (0, 1):
        write_shard(folder, shard, [])
    for name in others:
        (folder / name).write_text("mine")
    assert finish(folder, 2) == 0
    assert folder.exists() == bool(others)
    assert tuple(path.name for path in folder.glob("*")) == others


def test_a_sample_with_other_members_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "set", "things", MEMBERS, {})
    with pytest.raises(ValueError, match="needs the members"):
        write_shard(tmp_path / "set", 0, [{"json": b"{}"}])
    assert sorted(contents(tmp_path / "set")) == ["dataset.json"]


def test_a_shard_may_be_empty_but_a_set_may_not(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    begin(folder, "things", MEMBERS, {})
    write_shard(folder, 0, [])
    write_shard(folder, 1, [sample(1)])
    assert finish(folder, 2) == 1
    assert ShardReader(folder, "things", MEMBERS).read(0) == sample(1)
    header = folder / "dataset.json"
    header.write_text(header.read_text().replace('"shards":2', '"shards":1'))
    with pytest.raises(ValueError, match="holds no samples"):
        ShardReader(folder, "things", MEMBERS)


@pytest.mark.parametrize("kept", [0, 100, -512])
def test_a_truncated_shard_is_refused(written: Path, kept: int) -> None:
    tar = written / "000001.tar"
    tar.write_bytes(tar.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"000001\.tar is truncated"):
        ShardReader(written, "things", MEMBERS)


def test_a_shard_truncated_after_opening_is_noticed(written: Path) -> None:
    reader = ShardReader(written, "things", MEMBERS)
    os.truncate(written / "000001.tar", 600)
    with pytest.raises(ValueError, match="sample 7 is not whole"):
        reader.read(7)
    (written / "000001.tar").unlink()
    with pytest.raises(ValueError, match="cannot read"):
        reader.read(7)


def test_a_missing_shard_is_named(written: Path) -> None:
    (written / "000002.tar").unlink()
    with pytest.raises(ValueError, match=r"cannot read .*000002\.tar"):
        ShardReader(written, "things", MEMBERS)


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Apply a change to a JSON file."""

    def apply(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def replaced(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("evil", "sentence"),
    [
        (changed(lambda index: index["samples"][0].__setitem__(0, [-512, 10])), "greater than or equal to 0"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [512, -10])), "greater than or equal to 0"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [512, 1 << 29])), "beyond the end"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [512, 1 << 62])), "less than or equal to"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [1 << 39, 1])), "beyond the end"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [10**400, 1])), "is damaged"),
        (changed(lambda index: index["samples"][0].__setitem__(0, [0.5, 1])), "valid integer"),
        (changed(lambda index: index["samples"][0].__setitem__(0, ["512", 1])), "valid integer"),
        (changed(lambda index: index["samples"][0].pop()), "1 members, not 2"),
        (changed(lambda index: index.update(tar="../x.tar")), "should match pattern"),
        (changed(lambda index: index.update(tar="/etc/passwd")), "should match pattern"),
        (changed(lambda index: index.update(tar="000002.tar")), r"describes 000002\.tar, not 000001\.tar"),
        (changed(lambda index: index.update(bytes=7)), "is truncated or was changed"),
        (changed(lambda index: index.update(bytes=-7)), "greater than or equal to 0"),
        (changed(lambda index: index.update(sha256="ff")), "should match pattern"),
        (changed(lambda index: index.update(code="evil")), "Extra inputs"),
        (changed(lambda index: index.pop("samples")), "Field required"),
        (replaced(b""), "is damaged"),
        (replaced(b"\x80\x04\x95"), "is damaged"),
        (replaced(DEEP), "is damaged"),
    ],
)
def test_an_evil_index_is_refused(written: Path, evil: Callable[[Path], None], sentence: str) -> None:
    evil(written / "000001.index.json")
    with pytest.raises(ValueError, match=sentence) as error:
        ShardReader(written, "things", MEMBERS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("evil", "sentence"),
    [
        (changed(lambda header: header.update(format=2)), "format"),
        (changed(lambda header: header.update(shards=4)), r"cannot read .*000003\.index\.json"),
        (changed(lambda header: header.update(shards=10**9)), "less than 1000000"),
        (changed(lambda header: header.update(shards=-1)), "greater than or equal to 0"),
        (changed(lambda header: header.update(members=[])), "at least 1 item"),
        (changed(lambda header: header.update(members=["../bin", "json"])), "should match pattern"),
        (changed(lambda header: header.update(members=["bin", "png"])), r"members \['bin', 'png'\]"),
        (changed(lambda header: header.update(kind="clips")), "holds clips, not things"),
        (replaced(DEEP), "is damaged"),
        (lambda path: path.unlink(), r"cannot read .*dataset\.json"),
    ],
)
def test_an_evil_header_is_refused(written: Path, evil: Callable[[Path], None], sentence: str) -> None:
    evil(written / "dataset.json")
    with pytest.raises(ValueError, match=sentence):
        ShardReader(written, "things", MEMBERS)


def test_an_endless_index_is_not_read(written: Path) -> None:
    os.truncate(written / "000001.index.json", 1 << 40)  # sparse: takes no room
    with pytest.raises(ValueError, match="larger than an index can be"):
        ShardReader(written, "things", MEMBERS)
