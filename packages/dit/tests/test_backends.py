"""Attention by name: what each kind gives, what it refuses and why."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from moviegen_dit import (
    AttentionKind,
    resolve_attention,
    resolve_packed_attention,
    sdpa_attention,
    sdpa_packed_attention,
)
from moviegen_dit.backends import flash_attention, flash_packed_attention
from moviegen_dit.kernels import Packing, launch
from torch import Tensor

HALF = torch.bfloat16


def heads(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Triton were installed, and not interpreted."""
    monkeypatch.setattr(launch, "find_spec", lambda _: True)
    monkeypatch.setattr(launch, "_interpreted", lambda: False)


def test_a_cpu_has_sdpa_and_the_reference() -> None:
    assert resolve_attention("auto", "cpu", torch.float32, head_width=64) is sdpa_attention
    assert resolve_attention("sdpa", "cpu", torch.float32, head_width=64) is sdpa_attention
    reference = resolve_attention("reference", "cpu", torch.float64, head_width=8)
    q, k, v = heads(2, 5, 3, 8), heads(2, 7, 3, 8), heads(2, 7, 3, 8).flip(1)
    for lengths in (None, torch.tensor([0, 4])):
        given, expected = (f(q, k, v, key_lengths=lengths) for f in (reference, sdpa_attention))
        torch.testing.assert_close(given, expected)


@pytest.mark.parametrize(
    ("kind", "device", "dtype", "head_width", "reason"),
    [
        ("triton", "cpu", torch.float32, 64, "cannot run on triton: Triton"),
        ("triton", "cuda", torch.float32, 80, "64, 96, 128 channels, not 80"),
        ("flash", "cpu", HALF, 64, "cannot run on flash: flash-attn needs a CUDA device, and got cpu"),
        ("flash", "cuda", torch.float32, 64, "takes float16 and bfloat16, not float32"),
        ("flash", "cuda", HALF, 256, "up to 128 channels, not 256"),
        ("triton", "cuda", HALF, 64, "cannot run on triton: there is no CUDA device here"),
        ("flash", "cuda", HALF, 64, "cannot run on flash: there is no CUDA device here"),
        ("fast", "cpu", HALF, 64, "must be auto, sdpa, triton, flash or reference, not 'fast'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    kind: AttentionKind,
    device: str,
    dtype: torch.dtype,
    head_width: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_triton(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=reason):
        resolve_attention(kind, device, dtype, head_width=head_width)
    with pytest.raises(ValueError, match=reason):
        resolve_packed_attention(kind, device, dtype, head_width=head_width)


def pretend(monkeypatch: pytest.MonkeyPatch, capability: int, *modules: str) -> None:
    """A device of a compute capability, and named versions of flash-attn, which give whether they are 4."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (capability, 0))
    for name in ("flash_attn", "flash_attn.cute"):
        module = ModuleType(name)
        module.flash_attn_func = lambda q, *_, name=name: q.new_full((1,), "." in name)  # type: ignore[attr-defined]
        module.flash_attn_varlen_func = None  # type: ignore[attr-defined]
        module.__path__ = []  # type: ignore[attr-defined]
        monkeypatch.setitem(
            sys.modules, name, module if name in modules else None
        )  # None: cannot be imported


def test_flash_attn_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_version_4(kind: AttentionKind) -> bool:
        chosen = resolve_attention(kind, "cuda", HALF, head_width=128)
        return bool(chosen(*heads(3, 1, 2, 1, 8)).item())

    pretend(monkeypatch, 9, "flash_attn", "flash_attn.cute")
    assert is_version_4("flash")
    assert is_version_4("auto")
    pretend(monkeypatch, 8, "flash_attn", "flash_attn.cute")
    assert not is_version_4("flash")
    pretend(monkeypatch, 9, "flash_attn")
    assert not is_version_4("flash")
    pretend(monkeypatch, 9)
    assert resolve_attention("auto", "cuda", HALF, head_width=128) is sdpa_attention
    with pytest.raises(ValueError, match="install the extra flash or flash4"):
        resolve_attention("flash", "cuda", HALF, head_width=128)


def test_a_device_that_is_too_old_has_sdpa(monkeypatch: pytest.MonkeyPatch) -> None:
    with_triton(monkeypatch)
    pretend(monkeypatch, 7, "flash_attn", "flash_attn.cute")
    assert resolve_attention("auto", "cuda", HALF, head_width=128) is sdpa_attention
    for kind in ("flash", "triton"):
        with pytest.raises(ValueError, match=r"compute capability 8\.0 or more, not 7\.0"):
            resolve_attention(kind, "cuda", HALF, head_width=128)


def varlen(q: Tensor, k: Tensor, v: Tensor, **sizes: Tensor) -> tuple[Tensor, None]:
    """What flash-attn 4 gives for packed sequences, one after the other."""
    given = SimpleNamespace(**sizes)
    parts = []
    for i in range(len(given.cu_seqlens_q) - 1):
        rows = slice(*given.cu_seqlens_q[i : i + 2].tolist())
        keys = slice(*given.cu_seqlens_k[i : i + 2].tolist())
        if keys.start == keys.stop:
            parts.append(torch.full_like(q[rows], torch.nan))
        else:
            parts.append(sdpa_attention(q[None, rows], k[None, keys], v[None, keys])[0])
    return torch.cat(parts), None


def test_flash_attn_gets_the_keys_that_count() -> None:
    attend = flash_attention(lambda *qkv: sdpa_attention(*qkv), varlen)
    q, k, v = heads(3, 5, 2, 8), heads(3, 7, 2, 8), heads(3, 7, 2, 8).flip(1)
    for lengths in (None, torch.tensor([7, 0, 3])):
        given, expected = (f(q, k, v, key_lengths=lengths) for f in (attend, sdpa_attention))
        torch.testing.assert_close(given, expected)


def test_packed_samples_by_all_that_a_cpu_has_and_by_flash_attn() -> None:
    queries, keys = Packing([4, 0, 3, 1]), Packing([2, 5, 0, 6])
    q, k, v = heads(8, 2, 8), heads(13, 2, 8), heads(13, 2, 8).flip(0)
    assert resolve_packed_attention("auto", "cpu", torch.float64, head_width=8) is sdpa_packed_attention
    reference = resolve_packed_attention("reference", "cpu", torch.float64, head_width=8)
    for lengths in (None, torch.tensor([9, 5, 0, 4]), torch.tensor([0, 3, 2, -1])):
        expected, *given = (
            attend(q, k, v, queries=queries, keys=keys, key_lengths=lengths)
            for attend in (sdpa_packed_attention, reference, flash_packed_attention(varlen))
        )
        for one in given:
            torch.testing.assert_close(one, expected)
        assert not expected[4:7].any()  # the third sample has no keys
        counted = 2 if lengths is None else int(lengths[0].clamp(max=2))
        if counted:
            alone = sdpa_attention(q[None, :4], k[None, :counted], v[None, :counted])[0]
            torch.testing.assert_close(expected[:4], alone)
