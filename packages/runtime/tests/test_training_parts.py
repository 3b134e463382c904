"""Optimizer, schedule, moving average, noise and batches, each against its definition."""

from __future__ import annotations

import copy
import itertools
import math
import platform
import threading
from collections.abc import Callable

import pytest
import torch
from moviegen_core import TextContext
from moviegen_runtime.training.batches import Interleaved, TrainingBatches
from moviegen_runtime.training.dit_module import padded_to_multiple
from moviegen_runtime.training.ema import MovingAverage
from moviegen_runtime.training.optimizer import build_optimizer, orthogonalise
from moviegen_runtime.training.process import keep_freed_memory
from moviegen_runtime.training.randomness import generator
from moviegen_runtime.training.recipe import OptimizerRecipe
from moviegen_runtime.training.schedule import rate_factor
from torch import Tensor, nn


def published_newton_schulz(g: Tensor) -> Tensor:
    """The published iteration, on the matrix itself, in float64."""
    x = g.double() / g.double().norm()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x


@pytest.mark.parametrize("shape", [(4, 4), (4, 16), (16, 48), (1, 9), (32, 33)])
def test_orthogonalise_is_the_published_iteration(shape: tuple[int, int]) -> None:
    g = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalise(g)
    for given, one in zip(g, result, strict=True):
        torch.testing.assert_close(one.double(), published_newton_schulz(given), atol=1e-4, rtol=1e-3)


def test_orthogonalise_brings_singular_values_near_one_and_keeps_their_vectors() -> None:
    g = torch.randn(1, 12, 40, generator=torch.Generator().manual_seed(1))
    u, _, vh = torch.linalg.svd(g[0], full_matrices=False)
    rotated = u.T @ orthogonalise(g)[0] @ vh.T
    torch.testing.assert_close(rotated, rotated.diagonal().diag(), atol=1e-4, rtol=0)
    assert 0.6 < float(rotated.diagonal().min()) <= float(rotated.diagonal().max()) < 1.3


@pytest.mark.parametrize("shape", [(4, 16), (64, 64), (32, 96)])
def test_orthogonalise_in_bfloat16_is_off_by_little_even_where_singular_values_are_small(
    shape: tuple[int, int],
) -> None:
    g = torch.randn(2, *shape, generator=torch.Generator().manual_seed(2))
    g *= torch.logspace(0, -2, shape[1])  # of which the square has no digit left in bfloat16
    result, exact = orthogonalise(g, torch.bfloat16), orthogonalise(g)
    assert result.dtype == torch.float32
    assert float((result - exact).norm() / exact.norm()) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_orthogonalise_of_zero_is_zero(dtype: torch.dtype) -> None:
    assert orthogonalise(torch.zeros(2, 3, 5), dtype).abs().max() == 0


def test_muon_moves_by_the_dtype_of_its_matrices() -> None:
    def moved(dtype: torch.dtype) -> Tensor:
        model = nn.Linear(24, 16, bias=False)
        nn.init.zeros_(model.weight)
        model.weight.grad = torch.randn(16, 24, generator=torch.Generator().manual_seed(3))
        recipe = OptimizerRecipe(name="muon", lr=1, muon_lr=1)
        build_optimizer(model, recipe, lambda _: True, dtype).step()
        return model.weight.detach()

    single, half = moved(torch.float32), moved(torch.bfloat16)
    assert 0 < float((single - half).norm() / single.norm()) < 0.02


def test_padding_a_prompt_changes_nothing_that_is_attended_to() -> None:
    text = TextContext(torch.randn(2, 19, 8), torch.arange(19) < torch.tensor([[19], [3]]), "tiny")
    padded = padded_to_multiple(text, 16)
    assert padded.embeddings.shape == (2, 32, 8)
    assert padded.lengths.tolist() == text.lengths.tolist() == [19, 3]
    assert torch.equal(padded.embeddings[:, :19], text.embeddings)
    assert padded_to_multiple(padded, 16).mask.shape == (2, 32)


class Small(nn.Module):
    """A stem, and inner layers with matrices of two orientations, a kernel and vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 4)
        self.wide = nn.Linear(6, 4)
        self.tall = nn.Linear(4, 6)
        self.kernel = nn.Conv2d(4, 6, (3, 1))


def gradients(model: nn.Module, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=draw)


def test_muon_moves_inner_matrices_by_the_definition() -> None:
    torch.manual_seed(0)
    model = Small()
    recipe = OptimizerRecipe(name="muon", lr=1e-3, muon_lr=1e-2, momentum=0.9, weight_decay=0.1)
    optimizer = build_optimizer(model, recipe, lambda name: not name.startswith("stem"))
    momenta = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for seed in range(3):
        gradients(model, seed)
        expected = {}
        for name, p in model.named_parameters():
            assert p.grad is not None
            momenta[name] = 0.9 * momenta[name] + 0.1 * p.grad
            ahead = 0.1 * p.grad + 0.9 * momenta[name]
            matrix = ahead.flatten(1) if p.ndim > 1 else ahead[None]
            turned = matrix.shape[0] > matrix.shape[1]
            update = published_newton_schulz(matrix.T if turned else matrix)
            update = (update.T if turned else update).reshape(p.shape)
            scale = 0.2 * math.sqrt(max(matrix.shape))
            expected[name] = p.detach().double() * (1 - 1e-2 * 0.1) - 1e-2 * scale * update
        optimizer.step()
        for name in ("wide.weight", "tall.weight", "kernel.weight"):
            value = model.get_parameter(name).detach().double()
            torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)


def test_the_rest_moves_as_under_pytorchs_adamw() -> None:
    torch.manual_seed(0)
    ours, theirs = Small(), Small()
    theirs.load_state_dict(ours.state_dict())
    recipe = OptimizerRecipe(name="muon", lr=1e-2, muon_lr=1e-2, weight_decay=0.1, betas=(0.8, 0.9))
    optimizer = build_optimizer(ours, recipe, lambda name: not name.startswith("stem"))
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    groups = [{"params": [theirs.stem.weight]}, {"params": vectors, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.9), weight_decay=0.1)
    for seed in range(4):
        gradients(ours, seed)
        gradients(theirs, seed)
        optimizer.step()
        reference.step()
    for name in ("stem.weight", "stem.bias", "wide.bias", "tall.bias", "kernel.bias"):
        torch.testing.assert_close(ours.get_parameter(name), theirs.get_parameter(name))


def test_the_factor_scales_every_rate() -> None:
    model = Small()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, OptimizerRecipe(name="muon", lr=1, muon_lr=1), lambda _: True)
    for group in optimizer.param_groups:
        group["factor"] = 0.0
    gradients(model, 0)
    optimizer.step()
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])


def test_optimizer_state_survives_a_round_trip() -> None:
    torch.manual_seed(0)
    first, second = Small(), Small()
    recipe = OptimizerRecipe(name="muon", lr=1e-2, muon_lr=1e-2)
    optimizers = [build_optimizer(model, recipe, lambda _: True) for model in (first, second)]
    gradients(first, 0)
    optimizers[0].step()
    second.load_state_dict(first.state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for model, optimizer in zip((first, second), optimizers, strict=True):
        gradients(model, 1)
        optimizer.step()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("schedule", "half", "end"), [("constant", 1, 1), ("linear", 0.5, 0), ("cosine", 0.5, 0)]
)
def test_schedules(schedule: str, half: float, end: float) -> None:
    recipe = OptimizerRecipe.model_validate({"lr": 1, "schedule": schedule, "warmup_steps": 10})
    assert [rate_factor(recipe, step, 110) for step in (0, 4, 9, 10)] == [0.1, 0.5, 1.0, 1.0]
    assert rate_factor(recipe, 60, 110) == pytest.approx(half)
    assert rate_factor(recipe, 110, 110) == pytest.approx(end)
    factors = [rate_factor(recipe, step, 110) for step in range(10, 111)]
    assert factors == sorted(factors, reverse=True)


def test_moving_average_follows_its_definition() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, 0.3)
    expected = model.weight.item()
    for n in range(8):
        with torch.no_grad():
            model.weight.fill_(n + 1)
        average.update(model)
        kept = min(0.3, (1 + n) / (10 + n))
        expected = kept * expected + (1 - kept) * (n + 1)
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-6)
    assert int(average.updates) == 8


def test_moving_average_without_decay_is_the_model_and_never_trains() -> None:
    model = nn.BatchNorm1d(3)
    average = MovingAverage(model, 0.0).train()
    assert not average.model.training
    model(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    average.update(model)
    for name, value in model.state_dict().items():
        assert torch.equal(average.model.state_dict()[name], value)
    assert not any(p.requires_grad for p in average.parameters())


def test_a_restored_moving_average_goes_on_with_its_count() -> None:
    model = nn.Linear(2, 2)
    first, second = MovingAverage(model, 0.999), MovingAverage(model, 0.999)
    first.update(model)
    first.update(model)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        model.weight.add_(1)
    first.update(model)
    second.update(model)
    assert torch.equal(first.model.weight, second.model.weight)


def test_noise_depends_on_seed_step_and_purpose_alone() -> None:
    def draw(seed: int, step: int, purpose: str) -> float:
        return float(torch.randn((), generator=generator(seed, step, purpose)))

    keys = list(itertools.product((0, 1), (0, 1, 11), ("flow", "drop")))
    values = [draw(*key) for key in keys]
    assert values == [draw(*key) for key in keys]
    assert len(set(values)) == len(values)


def test_batches_from_any_step_are_those_of_the_whole_training() -> None:
    def batches(start: int) -> TrainingBatches[list[int]]:
        return TrainingBatches(7, list, batch_size=3, seed=5, start=start)

    whole = list(itertools.islice(batches(0), 9))
    assert [batch.step for batch in whole] == list(range(9))
    seen = list(itertools.chain.from_iterable(batch.content for batch in whole))
    assert sorted(seen[:7]) == list(range(7))
    for start in (1, 4, 8):
        assert list(itertools.islice(batches(start), 9 - start)) == whole[start:]


def test_a_second_set_gives_every_third_batch_in_its_own_order() -> None:
    def batches(start: int, second: bool = True) -> TrainingBatches[list[str]]:
        images = Interleaved(5, lambda indices: [f"image {index}" for index in indices], every=3)
        return TrainingBatches(
            7,
            lambda indices: [f"video {index}" for index in indices],
            batch_size=2,
            seed=5,
            start=start,
            interleaved=(images,) if second else (),
        )

    whole = list(itertools.islice(batches(0), 12))
    kinds = [{sample.split()[0] for sample in batch.content} for batch in whole]
    assert kinds == [{"video"}, {"video"}, {"image"}] * 4
    videos = [batch.content for batch in whole if batch.step % 3 < 2]
    alone = [batch.content for batch in itertools.islice(batches(0, second=False), 8)]
    assert videos == alone  # images are added to them, none is lost
    images = list(itertools.chain.from_iterable(batch.content for batch in whole if batch.step % 3 == 2))
    assert sorted(images[:5]) == [f"image {index}" for index in range(5)]
    for start in range(1, 8):
        assert list(itertools.islice(batches(start), 12 - start)) == whole[start:]


def test_of_two_further_sets_the_first_goes_before_where_both_have_their_turn() -> None:
    def batches(start: int) -> TrainingBatches[list[str]]:
        def named(kind: str) -> Callable[[list[int]], list[str]]:
            return lambda indices: [f"{kind} {index}" for index in indices]

        among = (Interleaved(5, named("image"), every=3), Interleaved(4, named("longer"), every=2))
        return TrainingBatches(7, named("video"), batch_size=2, seed=5, start=start, interleaved=among)

    whole = list(itertools.islice(batches(0), 12))
    kinds = [batch.content[0].split()[0] for batch in whole]
    assert kinds == ["video", "longer", "image", "longer", "video", "image"] * 2
    for kind, length in (("video", 7), ("image", 5), ("longer", 4)):  # four batches of two of each kind
        given = [sample for batch in whole for sample in batch.content if sample.startswith(kind)]
        assert sorted(given[:length]) == [f"{kind} {index}" for index in range(length)]
    for start in range(1, 8):
        assert list(itertools.islice(batches(start), 12 - start)) == whole[start:]


def test_an_error_of_the_data_reaches_the_training_and_the_thread_ends() -> None:
    def broken(indices: list[int]) -> list[int]:
        raise ValueError(f"clip {indices[0]} is damaged")

    running = threading.active_count()
    with pytest.raises(ValueError, match=r"clip . is damaged"):
        next(iter(TrainingBatches(7, broken, batch_size=3, seed=5, start=0)))
    stream = iter(TrainingBatches(7, list, batch_size=3, seed=5, start=0))
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == running


def test_freed_memory_is_kept_where_the_allocator_is_glibc() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
