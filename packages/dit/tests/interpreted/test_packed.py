"""Attention over packed samples in the interpreter: against float64, against each sample alone, in a model.

`test_kernels.py` runs this folder; without TRITON_INTERPRET=1 everything here fails.
"""

from __future__ import annotations

import pytest
import torch
from checking import DTYPES, assert_near, doubled, made, results
from moviegen_core import TextContext
from moviegen_dit import TextEncoderSpec, VideoDiT, VideoDiTConfig, resolve_packed_attention
from moviegen_dit.kernels import Attended, Backend, Packing, attention, packed_attention
from torch import Tensor

TILE = 64  # rows and columns in the interpreter


def leaves(
    queries: Packing, keys: Packing, channels: int, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """q, k and v, of two heads."""
    return [
        made(packing.total, 2, channels, dtype=dtype, seed=seed).requires_grad_()
        for seed, packing in enumerate((queries, keys, keys))
    ]


def assert_right(inputs: list[Tensor], queries: Packing, keys: Packing, key_lengths: Tensor | None) -> None:
    def attend(backend: Backend, given: list[Tensor]) -> list[Tensor]:
        packings = {"queries": queries, "keys": keys, "key_lengths": key_lengths}
        return results(given, lambda *qkv: packed_attention(*qkv, **packings, backend=backend))

    given, eager = attend("triton", inputs), attend("reference", inputs)
    assert_near(given, eager, attend("reference", doubled(inputs)))


@pytest.mark.parametrize(
    ("queries", "keys", "channels", "dtype", "key_lengths"),
    [
        ([3, 0, 129], [1, 5, 127], 128, "bf16", None),
        ([127, 1], [129, 0], 64, "fp32", [128, 3]),
        ([1, 1000, 0, 2], [3, 66, 0, 0], 96, "fp16", [2, 99, 1, 0]),
        ([0, 0], [0, 3], 64, "fp32", None),
    ],
)
def test_results_and_gradients_are_as_near_as_eager(
    queries: list[int], keys: list[int], channels: int, dtype: str, key_lengths: list[int] | None
) -> None:
    lengths = None if key_lengths is None else torch.tensor(key_lengths)
    packings = Packing(queries), Packing(keys)
    assert_right(leaves(*packings, channels, DTYPES[dtype]), *packings, lengths)


def test_every_row_has_its_tile() -> None:
    """Samples that begin and end on a tile's border, beside it, and in the middle; more than 16 of them."""
    lengths = [TILE, TILE - 1, 2, 0, 0, TILE, TILE + 1, 2 * TILE, 1, *[7] * 12, 0]
    packing = Packing(lengths)
    assert_right(leaves(packing, packing, 64), packing, packing, None)


def test_a_packed_sample_has_the_bits_that_it_has_alone() -> None:
    queries, keys = Packing([5, 70, 0, 1]), Packing([66, 3, 2, 129])
    inputs = leaves(queries, keys, 64)
    cotangents = made(queries.total, 2, 64, seed=5), made(queries.total, 2, seed=6)
    together = packed_attention(*inputs, queries=queries, keys=keys, backend="triton")
    alone = [
        attention(q[None], k[None], v[None], backend="triton")
        for q, k, v in zip(
            queries.samples(inputs[0]), keys.samples(inputs[1]), keys.samples(inputs[2]), strict=True
        )
    ]
    apart = [torch.cat([sample[i][0] for sample in alone]) for i in range(2)]
    for given, expected in zip(together, apart, strict=True):
        assert torch.equal(given, expected)
    gradients = (torch.autograd.grad(outputs, inputs, cotangents) for outputs in (together, apart))
    for given, expected in zip(*gradients, strict=True):
        assert torch.equal(given, expected)


def test_padded_keys_are_packed_keys_of_one_length() -> None:
    queries, padded = Packing([5, 9]), Packing([7, 7])
    lengths = torch.tensor([0, 4])
    q = made(14, 2, 64)
    k, v = made(2, 7, 2, 64, seed=1), made(2, 7, 2, 64, seed=2)
    flat = k.flatten(0, 1), v.flatten(0, 1)
    out, logsumexp = packed_attention(
        q, *flat, queries=queries, keys=padded, key_lengths=lengths, backend="triton"
    )
    alone = attention(q[None, 5:], k[1:, :4], v[1:, :4], backend="triton")
    assert not out[:5].any()
    assert logsumexp[:5].isneginf().all()
    assert torch.equal(out[5:], alone.out[0])
    assert torch.equal(logsumexp[5:], alone.logsumexp[0])


def test_any_strides_will_do() -> None:
    packing = Packing([3, 66])
    fused = made(69, 3 * 2 * 64).unflatten(-1, (3, 2, 64))  # one linear layer for q, k and v
    spread = made(2, 69, 128).transpose(0, 1)[..., ::2]  # heads outside, every other channel
    inputs = [x.detach().requires_grad_() for x in (fused[:, 0], fused[:, 2], spread)]
    assert not any(x.is_contiguous() for x in inputs)
    assert_right(inputs, packing, packing, None)


def test_offsets_beyond_32_bits() -> None:
    """Memory is reserved, not filled: rows lie 2^29 elements apart, and the second sample begins at 2^31."""
    wide = torch.empty((1 << 32) + (1 << 18), dtype=torch.float16)
    views = [wide.as_strided((6, 2, 64), (1 << 29, 64, 1), start) for start in (0, 1 << 14, 1 << 15)]
    small = [made(6, 2, 64, dtype=torch.float16, seed=seed) for seed in range(3)]
    for view, values in zip(views, small, strict=True):
        view.copy_(values)
    packing = Packing([4, 2])
    given, expected = (
        results(
            [x.requires_grad_() for x in inputs],
            lambda *qkv: packed_attention(*qkv, queries=packing, keys=packing, backend="triton"),
        )
        for inputs in (views, small)
    )
    for one, other in zip(given, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck's own
def test_pytorch_accepts_the_operators() -> None:
    queries, keys = Packing([1, 2]), Packing([0, 3])
    q, k, v = (x[None] for x in leaves(queries, keys, 64))
    given = (q.detach(), k.detach(), v.detach(), None, queries.starts, keys.starts)
    tests = ("test_schema", "test_faketensor", "test_autograd_registration")  # the slow rest is above
    ops = torch.ops.moviegen_dit
    torch.library.opcheck(ops.attention.default, (q, k, v, *given[3:]), test_utils=tests)
    out, logsumexp = ops.attention(*given)
    results_and_gradients = (out, logsumexp, torch.ones_like(out), torch.ones_like(logsumexp))
    torch.library.opcheck(ops.attention_backward.default, (*given, *results_and_gradients), test_utils=tests)


def test_it_compiles_whole() -> None:
    queries, keys = Packing([1, 2]), Packing([0, 3])
    inputs = leaves(queries, keys, 64)

    def attend(*qkv: Tensor) -> Attended:
        return packed_attention(*qkv, queries=queries, keys=keys, backend="triton")

    compiled = torch.compile(attend, fullgraph=True, backend="aot_eager")
    for given, expected in zip(results(inputs, compiled), results(inputs, attend), strict=True):
        assert torch.equal(given, expected)


def test_a_model_runs_images_and_videos_by_it() -> None:
    config = VideoDiTConfig(
        width=64,
        layers=1,
        heads=1,
        mlp_width=8,
        text_encoders=(TextEncoderSpec(name="one", width=4),),
        positions=(2, 2, 2),
        latent_channels=2,
    )
    torch.manual_seed(0)
    kernel = resolve_packed_attention("triton", "cpu", torch.float32, head_width=64)
    model = VideoDiT(config, packed_attention=kernel)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    conditions = model.prepare([TextContext(made(2, 3, 4), mask, "one")])
    latents, t = [made(2, 1, 4, 2), made(2, 2, 4, 4)], torch.tensor([0.2, 0.7])
    gradients = []
    for velocities in (
        model.forward_packed(latents, t, conditions),
        [model(x[None].repeat(2, 1, 1, 1, 1), t, conditions)[i] for i, x in enumerate(latents)],
    ):
        loss = sum(velocity.square().sum() for velocity in velocities)
        used = [p for name, p in model.named_parameters() if "null" not in name]
        gradients.append((*velocities, *torch.autograd.grad(loss, used, retain_graph=True)))
    for given, expected in zip(*gradients, strict=True):
        assert (given - expected).norm() <= 1e-5 * expected.norm()
