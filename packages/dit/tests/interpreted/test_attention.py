"""The attention kernels in Triton's interpreter against float64, and as operators of PyTorch.

`test_kernels.py` runs this folder; without TRITON_INTERPRET=1 everything here fails.
"""

from __future__ import annotations

import pytest
import torch
from checking import DTYPES, assert_near, doubled, made, results
from moviegen_dit.kernels import Attended, attention
from torch import Tensor


def leaves(
    queries: int, keys: int, channels: int, dtype: torch.dtype, batch: int = 2, heads: int = 2
) -> list[Tensor]:
    """q, k and v."""
    lengths = (queries, keys, keys)
    return [
        made(batch, length, heads, channels, dtype=dtype, seed=seed).requires_grad_()
        for seed, length in enumerate(lengths)
    ]


def assert_right(inputs: list[Tensor], key_lengths: Tensor | None) -> None:
    def kernel(*qkv: Tensor) -> Attended:
        return attention(*qkv, key_lengths=key_lengths, backend="triton")

    def reference(*qkv: Tensor) -> Attended:
        return attention(*qkv, key_lengths=key_lengths, backend="reference")

    given, eager, exact = results(inputs, kernel), results(inputs, reference), doubled(inputs)
    assert_near(given, eager, results(exact, reference))


@pytest.mark.parametrize(
    ("queries", "keys", "channels", "dtype", "key_lengths"),
    [
        (3, 1, 64, "fp16", None),  # in fp32 its gradient is 0, by a cancellation that is exact in eager only
        (129, 127, 128, "bf16", [127, 64]),
        (127, 129, 64, "fp32", [0, 129]),
        (1, 1000, 96, "fp32", [1000, 3]),
        (130, 3, 128, "fp16", None),
        (1000, 66, 64, "bf16", [65, 1]),
    ],
)
def test_results_and_gradients_are_as_near_as_eager(
    queries: int, keys: int, channels: int, dtype: str, key_lengths: list[int] | None
) -> None:
    lengths = None if key_lengths is None else torch.tensor(key_lengths)
    assert_right(leaves(queries, keys, channels, DTYPES[dtype]), lengths)


def test_the_longest_video_that_the_paper_has() -> None:
    """73,728 keys, of which the last counts most."""
    q, k, v = made(1, 2, 1, 64), made(1, 73_728, 1, 64, seed=1), made(1, 73_728, 1, 64, seed=2)
    k[:, -1] = 3 * q[:, 0]
    given, eager = (attention(q, k, v, backend=backend) for backend in ("triton", "reference"))
    assert_near(given, eager, attention(*doubled([q, k, v]), backend="reference"))


def test_any_strides_will_do() -> None:
    fused = made(2, 66, 3 * 2 * 64).unflatten(-1, (3, 2, 64))  # one linear layer for q, k and v
    spread = made(2, 2, 66, 128).transpose(1, 2)[..., ::2]  # heads outside, every other channel
    backwards = made(66, 2, 64, 2).permute(3, 0, 1, 2)  # samples innermost
    inputs = [x.detach().requires_grad_() for x in (fused[:, :, 0], spread, backwards)]
    assert not any(x.is_contiguous() for x in inputs)
    assert_right(inputs, torch.tensor([66, 5]))


def test_a_gradient_without_memory_of_its_own_will_do() -> None:
    inputs = leaves(5, 7, 64, torch.float32)
    given, expected = (
        torch.autograd.grad(attention(*inputs, backend=backend).out.sum(), inputs)
        for backend in ("triton", "reference")
    )
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_sample_without_keys() -> None:
    inputs = leaves(5, 7, 64, torch.float32)
    out, logsumexp = attention(*inputs, key_lengths=torch.tensor([0, 7]), backend="triton")
    assert not out[0].any()
    assert logsumexp[0].isneginf().all()
    for gradient in torch.autograd.grad(out.sum() + logsumexp[1].sum(), inputs):
        assert not gradient[0].any()
        assert gradient.isfinite().all()


def test_a_length_outside_of_the_keys_reads_nothing_else() -> None:
    q, k, v = leaves(2, 5, 64, torch.float32)
    longer = attention(q, k, v, key_lengths=torch.tensor([9, -3]), backend="triton")
    fitting = attention(q, k, v, key_lengths=torch.tensor([5, 0]), backend="triton")
    assert torch.equal(longer.out, fitting.out)
    # In 32 bits the first would be 0, and the second all of them.
    wide = attention(q, k, v, key_lengths=torch.tensor([1 << 32, -(1 << 31) - 1]), backend="triton")
    assert torch.equal(wide.out, fitting.out)


def test_parts_of_the_keys_add_up() -> None:
    """What context parallelism relies on: logsumexp merges parts, and gradients flow through it."""
    inputs = leaves(5, 9, 64, torch.float32)

    def merged(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        first = attention(q, k[:, :4], v[:, :4], backend="triton")
        second = attention(q, k[:, 4:], v[:, 4:], backend="triton")
        total = torch.logaddexp(first.logsumexp, second.logsumexp)
        parts = [part.out * (part.logsumexp - total).exp()[..., None] for part in (first, second)]
        return parts[0] + parts[1]

    whole = attention(*inputs, backend="triton").out
    torch.testing.assert_close(merged(*inputs), whole)
    one, other = (torch.autograd.grad(x.square().sum(), inputs) for x in (merged(*inputs), whole))
    for given, expected in zip(one, other, strict=True):
        torch.testing.assert_close(given, expected, atol=1e-5, rtol=1e-4)


def test_offsets_beyond_32_bits() -> None:
    """Memory is reserved, not filled: samples, rows and channels of one lie 2^31 elements and more apart."""
    wide = torch.empty((1 << 32) + (1 << 18), dtype=torch.float16)
    places = {
        0: (1 << 32, 1 << 9, 64, 1),
        1 << 14: (1 << 12, 1 << 29, 64, 1),
        1 << 16: (1 << 12, 64, 1 << 31, 1),
    }
    views = [wide.as_strided((2, 5, 2, 64), strides, start) for start, strides in places.items()]
    small = [made(2, 5, 2, 64, dtype=torch.float16, seed=seed) for seed in range(3)]
    for view, values in zip(views, small, strict=True):
        view.copy_(values)
    for view, values in zip(views, small, strict=True):
        assert torch.equal(view, values)  # they do not overlap
    given, expected = (
        results([x.requires_grad_() for x in inputs], lambda *qkv: attention(*qkv, backend="triton"))
        for inputs in (views, small)
    )
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck's own
def test_pytorch_accepts_the_operators() -> None:
    q, k, v = leaves(3, 5, 64, torch.float32, batch=1, heads=1)
    lengths = torch.tensor([4])
    torch.library.opcheck(torch.ops.moviegen_dit.attention.default, (q, k, v, lengths, None, None))
    out, logsumexp = attention(q, k, v, key_lengths=lengths, backend="triton")
    given, known = ([x.detach() for x in each] for each in ((q, k, v), (out, logsumexp)))
    torch.library.opcheck(
        torch.ops.moviegen_dit.attention_backward.default,
        (*given, lengths, None, None, *known, torch.ones_like(out), torch.ones_like(logsumexp)),
    )


def test_it_compiles_whole_and_lengths_are_not_looked_at() -> None:
    inputs, lengths = leaves(3, 5, 64, torch.float32), torch.tensor([0, 4])

    def attend(*qkv: Tensor) -> Attended:
        return attention(*qkv, key_lengths=lengths, backend="triton")

    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager")
    for given, expected in zip(results(inputs, compiled), results(inputs, attend), strict=True):
        assert torch.equal(given, expected)
