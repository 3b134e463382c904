"""Clips in shards: lossless, and nothing but a clip gets out."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from moviegen_runtime.data.clips import CLIP_KIND, CLIP_MEMBERS, ShardedClips, parse_clip, write_clip
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.data.writing import begin, finish, write_shard
from PIL import Image


def noise_clip(seed: int, frames: int = 3, height: int = 8, width: int = 16) -> CaptionedClip:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return CaptionedClip(pixels, 7.5, f'clip {seed}, "caf\u00e9"\n')


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (3, 8, 16), (16, 64, 64), (5, 7, 3)])
def test_a_clip_comes_back_exactly(shape: tuple[int, int, int]) -> None:
    clip = noise_clip(1, *shape)
    back = parse_clip(write_clip(clip))
    np.testing.assert_array_equal(back.frames, clip.frames)
    assert (back.fps, back.caption) == (clip.fps, clip.caption)


def test_a_set_is_a_clip_source(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    clips = [noise_clip(seed, frames=1 + seed) for seed in range(5)]
    begin(folder, CLIP_KIND, CLIP_MEMBERS, {})
    write_shard(folder, 0, map(write_clip, clips[:3]))
    write_shard(folder, 1, map(write_clip, clips[3:]))
    finish(folder, 2)
    source = ShardedClips(folder)
    assert len(source) == 5
    for index in (4, 0, 3, 2, 1):
        np.testing.assert_array_equal(source[index].frames, clips[index].frames)


def test_anybody_can_look_at_a_clip() -> None:
    clip = noise_clip(2)
    with Image.open(io.BytesIO(write_clip(clip)["png"])) as strip:
        np.testing.assert_array_equal(np.asarray(strip)[8:16], clip.frames[1])


@pytest.mark.parametrize(
    ("clip", "sentence"),
    [
        (CaptionedClip(np.zeros((0, 8, 8, 3), np.uint8), 8.0, "x"), "does not fit"),
        (CaptionedClip(np.zeros((1, 8, 8, 3), np.uint8), 0.0, "x"), "fps"),
        (CaptionedClip(np.zeros((1, 8, 8, 3), np.uint8), float("nan"), "x"), "fps"),
        (CaptionedClip(np.zeros((1, 8, 8, 3), np.uint8), 8.0, "x" * 10_001), "caption"),
    ],
)
def test_what_no_shard_takes_is_refused(clip: CaptionedClip, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        write_clip(clip)


def picture(array: np.ndarray, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, format=form)
    return out.getvalue()


def enormous() -> bytes:
    """A PNG of 100 bytes that claims 4 billion pixels."""
    header = struct.pack(">IIBBBBB", 1 << 16, 1 << 16, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"0" * 100)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def recorded(**fields: object) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {**members, "json": json.dumps({**json.loads(members["json"]), **fields}).encode()}


def shown(png: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {**members, "png": png}


STRIP = write_clip(noise_clip(1))["png"]


@pytest.mark.parametrize(
    ("evil", "sentence"),
    [
        (recorded(frames=4), "not a PNG of 16x32"),
        (recorded(frames=-3, height=-8), "frames"),
        (recorded(frames=1 << 16, height=1 << 16, width=1 << 16), "more than"),
        (recorded(frames=True), "frames"),
        (recorded(fps="8"), "fps"),
        (recorded(code="evil"), "code"),
        (lambda members: {**members, "json": b"\xff\xfe"}, "record is damaged"),
        (lambda members: {**members, "json": b"[]"}, "record is damaged"),
        (shown(b""), "not a PNG"),
        (shown(STRIP[:30]), "damaged"),
        (shown(STRIP[:-400]), "damaged"),
        (shown(STRIP[:60] + b"\0" * 40 + STRIP[100:]), "damaged"),
        (shown(picture(np.zeros((24, 16), np.uint8))), "8-bit RGB"),
        (shown(picture(np.zeros((24, 16, 4), np.uint8))), "8-bit RGB"),
        (shown(picture(np.zeros((24, 16), np.uint16))), "8-bit RGB"),
        (shown(picture(np.zeros((24, 17, 3), np.uint8))), "not a PNG of 16x24"),
        (shown(picture(np.zeros((24, 16, 3), np.uint8), "BMP")), "not a PNG"),
        (shown(enormous()), "not a PNG of 16x24"),
    ],
)
def test_evil_members_are_refused(
    evil: Callable[[dict[str, bytes]], dict[str, bytes]], sentence: str
) -> None:
    members = evil(write_clip(noise_clip(1)))
    with pytest.raises(ValueError, match=sentence):
        parse_clip(members)


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    begin(folder, CLIP_KIND, CLIP_MEMBERS, {})
    write_shard(folder, 0, [write_clip(noise_clip(1)), {"json": b"{}", "png": b""}])
    finish(folder, 1)
    with pytest.raises(ValueError, match=f"{folder.name}: clip 1: clip record is damaged"):
        ShardedClips(folder)[1]
