"""Scaled dot-product attention against its definition."""

from __future__ import annotations

import torch
from moviegen_core import AttentionFn
from moviegen_dit import sdpa_attention
from torch import Tensor

CALL: AttentionFn = sdpa_attention


def heads(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def definition(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.einsum("bqnk,bsnk->bnqs", q, k).div(q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("bnqs,bsnk->bqnk", weights, v)


def test_it_is_the_definition() -> None:
    q, k, v = heads(2, 5, 3, 8), heads(2, 7, 3, 8), heads(2, 7, 3, 8).flip(1)
    torch.testing.assert_close(CALL(q, k, v), definition(q, k, v))


def test_keys_beyond_the_length_do_not_count() -> None:
    q, k, v = heads(3, 5, 2, 4), heads(3, 7, 2, 4), heads(3, 7, 2, 4).flip(1)
    out = CALL(q, k, v, key_lengths=torch.tensor([7, 1, 4]))
    for sample, length in enumerate((7, 1, 4)):
        one = slice(sample, sample + 1)
        torch.testing.assert_close(out[one], definition(q[one], k[one, :length], v[one, :length]))


def test_a_sample_without_keys_gives_zero_and_finite_gradients() -> None:
    q, k, v = (heads(2, 5, 2, 4).requires_grad_() for _ in range(3))
    out = CALL(q, k, v, key_lengths=torch.tensor([0, 5]))
    assert not out[0].any()
    torch.testing.assert_close(out[1:], definition(q[1:], k[1:], v[1:]))
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    for tensor in (q, k, v):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert not tensor.grad[0].any()


def test_under_autocast_on_a_cpu_it_is_exact_to_single_precision() -> None:
    q, k, v = (heads(2, length, 3, 8).float().requires_grad_() for length in (5, 7, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = CALL(q, k, v)
    assert out.dtype == v.dtype
    torch.testing.assert_close(out, CALL(q, k, v))
    given = torch.autograd.grad(out.square().sum(), (q, k, v))
    torch.testing.assert_close(given, torch.autograd.grad(CALL(q, k, v).square().sum(), (q, k, v)))
