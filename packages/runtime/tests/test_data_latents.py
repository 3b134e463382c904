"""Latent shards: samples and batches come back as they were cached, and nothing hostile gets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from moviegen_core import Stride
from moviegen_runtime.data.latents import (
    LATENT_KIND,
    LATENT_MEMBERS,
    LatentProperties,
    LatentSample,
    ShardedLatents,
    collate,
    parse_latent,
    write_latent,
)
from moviegen_runtime.data.writing import begin, finish, write_shard
from safetensors.torch import load, save
from torch import Tensor

STRIDE = Stride(8, 8, 8)
WIDTHS = {"wide": 6, "narrow": 3}


def make_sample(seed: int, tokens: int = 4, **changes: Any) -> LatentSample:
    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Any] = {
        "latent": torch.randn(16, 2, 4, 3, generator=generator),
        "text": {name: torch.randn(tokens, width, generator=generator) for name, width in WIDTHS.items()},
        "caption": f"clip {seed}",
        "fps": 8.0,
        "num_frames": 13,
    }
    return LatentSample(**{**values, **changes})


def write_set(folder: Path, samples: list[LatentSample], **changes: Any) -> Path:
    values: dict[str, Any] = {
        "tae": "a" * 64,
        "stride": (8, 8, 8),
        "encoders": WIDTHS,
        "encoder_hashes": dict.fromkeys(WIDTHS, "c" * 64),
        "source": "test",
        "num_clips": len(samples),
    }
    properties = LatentProperties(**{**values, **changes})
    begin(folder, LATENT_KIND, LATENT_MEMBERS, properties.model_dump(mode="json"))
    write_shard(folder, 0, map(write_latent, samples))
    finish(folder, 1)
    return folder


def test_samples_come_back_rounded_to_float16(tmp_path: Path) -> None:
    samples = [make_sample(seed, tokens=1 + seed) for seed in range(4)]
    cached = ShardedLatents(write_set(tmp_path / "set", samples))
    assert len(cached) == 4
    for index in (3, 0, 2, 1):
        found, wanted = cached[index], samples[index]
        assert torch.equal(found.latent, wanted.latent.half())
        assert {name: states.shape for name, states in found.text.items()} == {
            "wide": (1 + index, 6),
            "narrow": (1 + index, 3),
        }
        for name in WIDTHS:
            assert torch.equal(found.text[name], wanted.text[name].half())
        assert (found.caption, found.fps, found.num_frames) == (f"clip {index}", 8.0, 13)


def test_latents_of_another_autoencoder_are_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", [make_sample(0)])
    assert len(ShardedLatents(folder, tae="a" * 64)) == 1
    with pytest.raises(ValueError, match=r"of the autoencoder aaaaaaaaaaaa, not of bbbbbbbbbbbb"):
        ShardedLatents(folder, tae="b" * 64)


def test_a_batch_is_its_samples() -> None:
    samples = [make_sample(0, tokens=2), make_sample(1, tokens=5), make_sample(2, tokens=3)]
    batch = collate(samples, STRIDE)
    assert batch.captions == ("clip 0", "clip 1", "clip 2")
    assert batch.latent.values.dtype == torch.float32
    assert (batch.latent.num_frames, batch.latent.fps) == (13, 8.0)
    assert [context.encoder for context in batch.text] == ["narrow", "wide"]
    for place, one in enumerate(samples):
        assert torch.equal(batch.latent.values[place], one.latent)
        for context in batch.text:
            length = int(context.lengths[place])
            assert torch.equal(context.embeddings[place, :length], one.text[context.encoder])
            assert not context.embeddings[place, length:].any()
    assert batch.text[0].lengths.tolist() == [2, 5, 3]


@pytest.mark.parametrize(
    "change",
    [{"fps": 16.0}, {"num_frames": 16}, {"latent": torch.zeros(16, 2, 3, 3)}, {"text": {}}],
)
def test_a_batch_of_different_kinds_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must agree"):
        collate([make_sample(0), make_sample(1, **change)], STRIDE)


def test_a_batch_needs_samples() -> None:
    with pytest.raises(ValueError, match="at least one"):
        collate([], STRIDE)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_what_float16_cannot_hold_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="latent of the clip 'clip 0' is not finite in float16"):
        write_latent(make_sample(0, latent=torch.full((16, 2, 4, 3), value)))


def test_an_overflowing_time_axis_is_for_the_batch_to_refuse() -> None:
    with pytest.raises(ValueError, match="cannot stand for"):
        collate([make_sample(0, num_frames=17)], STRIDE)


def tensors(change: Callable[[dict[str, Tensor]], object]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def apply(members: dict[str, bytes]) -> dict[str, bytes]:
        content = load(members["safetensors"])
        change(content)
        return {**members, "safetensors": save(content)}

    return apply


def record(**fields: object) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {**members, "json": json.dumps({**json.loads(members["json"]), **fields}).encode()}


def raw(data: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda members: {**members, "safetensors": data}


def claimed(dtype: str, shape: list[int], size: int) -> bytes:
    """A safetensors file of 2 bytes of data whose header claims something else."""
    content = {"latent": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text + b"12"


HALF = torch.float16


@pytest.mark.parametrize(
    ("evil", "sentence"),
    [
        (tensors(lambda t: t.update(latent=torch.zeros(16, 2, 4, 3))), "float16"),
        (tensors(lambda t: t.update(latent=torch.zeros(16, 2, 4, 3, dtype=torch.int16))), "float16"),
        (tensors(lambda t: t.update(latent=torch.zeros(16, 2, 4, 3, dtype=torch.bool))), "float16"),
        (tensors(lambda t: t.update(latent=torch.zeros(16, 2, 12, dtype=HALF))), r"\(C, T, H, W\)"),
        (tensors(lambda t: t.update(latent=torch.zeros(16, 0, 4, 3, dtype=HALF))), "not empty"),
        (tensors(lambda t: t.update(latent=torch.full((16, 2, 4, 3), torch.nan, dtype=HALF))), "finite"),
        (tensors(lambda t: t.update({"text.wide": torch.zeros(4, 5, dtype=HALF)})), r"\(S, 6\)"),
        (tensors(lambda t: t.update({"text.wide": torch.zeros(6, dtype=HALF)})), r"\(S, 6\)"),
        (tensors(lambda t: t.update({"text.wide": torch.zeros(4, 0, dtype=HALF)})), "not empty"),
        (tensors(lambda t: t.update({"text.other": torch.zeros(4, 6, dtype=HALF)})), "tensors are"),
        (tensors(lambda t: t.pop("latent")), "tensors are"),
        (tensors(lambda t: t.pop("text.narrow")), "tensors are"),
        (raw(b""), "tensors are damaged"),
        (raw(b"\x80\x04\x95cos\nsystem"), "tensors are damaged"),
        (raw((1 << 60).to_bytes(8, "little") + b"{}"), "tensors are damaged"),
        (raw(claimed("F16", [1 << 40, 1 << 40], 2)), "tensors are damaged"),
        (raw(claimed("F16", [4], 8)), "tensors are damaged"),
        (raw(claimed("X9", [1], 2)), "tensors are damaged"),
        (record(fps=0), "record is damaged"),
        (record(fps="nan"), "record is damaged"),
        (record(num_frames=0), "record is damaged"),
        (record(num_frames=1 << 40), "record is damaged"),
        (record(code="evil"), "record is damaged"),
        (lambda members: {**members, "json": b"\xff"}, "record is damaged"),
    ],
)
def test_evil_samples_are_refused(
    evil: Callable[[dict[str, bytes]], dict[str, bytes]], sentence: str
) -> None:
    members = evil(write_latent(make_sample(0)))
    with pytest.raises(ValueError, match=sentence):
        parse_latent(members, WIDTHS)


def test_a_damaged_sample_is_named(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", [make_sample(0)], encoders={"wide": 5, "narrow": 3})
    with pytest.raises(ValueError, match=r"set: sample 0: text\.wide"):
        ShardedLatents(folder)[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"stride": [8, 8]}, "Field required"), ({"encoders": {"wide": "6"}}, "integer"), ({"x": 1}, "Extra")],
)
def test_a_set_that_does_not_say_how_it_was_made_is_refused(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    folder = write_set(tmp_path / "set", [make_sample(0)])
    content = json.loads((folder / "dataset.json").read_text())
    content["properties"].update(change)
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"does not say how it was made: .*{sentence}"):
        ShardedLatents(folder)


def test_a_stride_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", [make_sample(0)], stride=(8, 0, 8))
    with pytest.raises(ValueError, match="stride height must be a positive integer"):
        ShardedLatents(folder)
