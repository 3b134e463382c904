"""The kernels without a GPU: references, what is refused, and all of `interpreted/` in the interpreter."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from moviegen_dit.kernels import Packing, attention, lengths_of, modulated_norm, packed_attention, swiglu
from moviegen_dit.kernels.launch import Launch, Tiles, run_fastest
from torch import Tensor

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton exists for Linux only"
)


@needs_triton
def test_in_the_interpreter(request: pytest.FixtureRequest) -> None:
    """In a process of its own, because Triton reads the variable when a kernel is defined."""
    folder = Path(__file__).parent / "interpreted"
    settings = ["-c", str(request.config.inipath), "-p", "no:cacheprovider", "-o", f"pythonpath={folder}"]
    env = os.environ | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", *settings, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"\d+ passed", run.stdout)
    assert "skipped" not in run.stdout


def heads(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def test_the_reference_is_the_definition() -> None:
    q, k, v = heads(2, 5, 3, 8), heads(2, 7, 3, 8), heads(2, 7, 3, 8).flip(1)
    out, logsumexp = attention(q, k, v, key_lengths=torch.tensor([7, 4]))
    for sample, length in enumerate((7, 4)):
        scores = torch.einsum("snk,lnk->snl", q[sample], k[sample, :length]) / 8**0.5
        torch.testing.assert_close(logsumexp[sample], scores.exp().sum(-1).log())
        expected = torch.einsum("snl,lnk->snk", scores.softmax(-1), v[sample, :length])
        torch.testing.assert_close(out[sample], expected)


def test_the_reference_has_the_gradients_of_its_differences() -> None:
    inputs = [x.requires_grad_() for x in (heads(2, 3, 2, 4), heads(2, 4, 2, 4), heads(2, 4, 2, 4).flip(1))]
    lengths = torch.tensor([2, 0])

    def finite(*qkv: Tensor) -> tuple[Tensor, Tensor]:
        out, logsumexp = attention(*qkv, key_lengths=lengths)
        return out, logsumexp[:1]

    assert torch.autograd.gradcheck(finite, inputs)


def test_the_reference_of_a_sample_without_keys() -> None:
    q, k, v = (heads(2, 3, 2, 4).requires_grad_() for _ in range(3))
    out, logsumexp = attention(q, k, v, key_lengths=torch.tensor([0, 3]))
    assert not out[0].any()
    assert logsumexp[0].isneginf().all()
    for gradient in torch.autograd.grad(out.sum() + logsumexp[1].sum(), (q, k, v)):
        assert gradient.isfinite().all()
        assert not gradient[0].any()


def test_the_packed_reference_is_each_sample_alone() -> None:
    queries, keys = Packing([2, 0, 3]), Packing([4, 1, 0])
    q, k, v = heads(5, 2, 8), heads(5, 2, 8).flip(1), heads(5, 2, 8).flip(0)
    out, logsumexp = packed_attention(
        q, k, v, queries=queries, keys=keys, key_lengths=torch.tensor([3, 1, 5])
    )
    alone = attention(q[None, :2], k[None, :3], v[None, :3])
    torch.testing.assert_close(out[:2], alone.out[0])
    torch.testing.assert_close(logsumexp[:2], alone.logsumexp[0])
    assert not out[2:].any()
    assert logsumexp[2:].isneginf().all()


def test_packings_that_do_not_fit_are_refused() -> None:
    assert Packing([2, 0, 3]).starts.tolist() == [0, 2, 2, 5]
    for wrong in ([], [1, -1]):
        with pytest.raises(ValueError, match="a packing needs a sample or more of length 0 or more"):
            Packing(wrong)
    with pytest.raises(ValueError, match=r"fewer than 2\^31 rows, not 3000000000"):
        Packing([3_000_000_000])
    q, k = heads(3, 2, 4), heads(5, 2, 4)
    with pytest.raises(ValueError, match="q must have the 4 rows of its packing on cpu, not 3 on cpu"):
        packed_attention(q, k, k, queries=Packing([4]), keys=Packing([5]))
    with pytest.raises(ValueError, match="k must have the 6 rows"):
        packed_attention(q, k, k, queries=Packing([3]), keys=Packing([6]))
    with pytest.raises(ValueError, match="of as many samples, not 1 and 2"):
        packed_attention(q, k, k, queries=Packing([3]), keys=Packing([2, 3]))
    with pytest.raises(ValueError, match="3 axes, not 4 and 3"):
        packed_attention(q[None], k, k, queries=Packing([3]), keys=Packing([5]))
    with pytest.raises(ValueError, match=r"key_lengths must be int32 or int64 of shape \(2,\)"):
        packed_attention(
            q, k, k, queries=Packing([1, 2]), keys=Packing([2, 3]), key_lengths=torch.tensor([1])
        )


@needs_triton
def test_triton_on_a_cpu_is_refused() -> None:
    q = heads(1, 3, 1, 64, dtype=torch.float32)
    with pytest.raises(ValueError, match="needs a CUDA device or TRITON_INTERPRET=1"):
        attention(q, q, q, backend="triton")


def test_triton_with_other_heads_is_refused() -> None:
    q = heads(1, 3, 1, 80, dtype=torch.float32)
    with pytest.raises(ValueError, match="64, 96, 128 channels, not 80"):
        attention(q, q, q, backend="triton")


def test_an_unknown_backend_is_refused() -> None:
    q = heads(1, 3, 1, 64, dtype=torch.float32)
    for call in (
        lambda: attention(q, q, q, backend="flash"),  # type: ignore[arg-type]
        lambda: swiglu(q, q, backend="flash"),  # type: ignore[arg-type]
        lambda: modulated_norm(q[0], q[0, :, :1], q[0, :, :1], backend="flash"),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError, match="must be one of triton, reference, not 'flash'"):
            call()


def test_a_packing_takes_whole_numbers_only() -> None:
    assert Packing(torch.tensor([2, 3]).tolist()).total == 5
    with pytest.raises(TypeError):
        Packing([1.5])  # type: ignore[list-item]


def test_what_does_not_fit_is_refused() -> None:
    q, k = heads(2, 3, 2, 4), heads(2, 5, 2, 4)
    for wrong in (k[:1], k[:, :, :1], k[..., :2]):
        with pytest.raises(ValueError, match="q must be"):
            attention(q, wrong, wrong)
    with pytest.raises(ValueError, match="v must have the shape of k"):
        attention(q, k, k[:, :4])
    with pytest.raises(ValueError, match="one floating dtype"):
        attention(q, k.float(), k)
    with pytest.raises(ValueError, match="key_lengths must be int32 or int64"):
        attention(q, k, k, key_lengths=torch.tensor([1]))
    with pytest.raises(ValueError, match="key_lengths must be int32 or int64"):
        attention(q, k, k, key_lengths=torch.tensor([1.0, 2.0]))


def test_lengths_that_do_not_fit_are_refused_where_they_are_built() -> None:
    assert lengths_of([0, 5, 3], longest=5).tolist() == [0, 5, 3]
    for wrong in ([6], [0, -1]):
        with pytest.raises(ValueError, match="must be from 0 to 5"):
            lengths_of(wrong, longest=5)


@needs_triton
def test_the_fastest_tiles_are_found_once_for_sizes_of_one_power_of_two() -> None:
    runs: list[int] = []

    class Kernel:
        def __getitem__(self, grid: tuple[int]) -> Kernel:
            return self

        def __call__(self, *_: object, **options: int) -> None:
            runs.append(options["num_warps"])

    kernel, timed = Kernel(), []

    def measure(run: object) -> float:
        assert isinstance(run, type(launches(1)[0].run))
        timed.append(run.__self__.tiles.warps)
        return {4: 3.0, 8: 1.0, 16: 2.0}[timed[-1]]

    def launches(extent: int, *warps: int) -> list[Launch]:
        return [
            Launch(kernel, 1, (torch.empty(extent), extent), {}, Tiles(64, 64, each, 2))
            for each in warps or (4, 8, 16)
        ]

    for extent in (9, 15, 16):
        run_fastest(launches(extent), measure)
    assert runs == [8, 8, 8]
    assert timed == [4, 8, 16] * 2
    run_fastest(launches(9, 4, 16), measure)  # sizes of the same power of two, which have other tiles
    assert runs[-1] == 16
