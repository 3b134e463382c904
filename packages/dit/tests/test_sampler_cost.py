"""What the sampler does besides the model, and what it leaves out on request: nothing is done twice."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from moviegen_core import TextContext, VideoShape
from moviegen_dit import (
    BlockCache,
    Linear,
    PreparedConditions,
    VideoDiT,
    VideoDiTConfig,
    classifier_free_guidance,
    integrate,
)
from torch import Tensor, nn

MakeContexts = Callable[[list[list[int]]], list[TextContext]]
LATENT = VideoShape(2, 4, 6)


@pytest.fixture
def deep(config: VideoDiTConfig) -> VideoDiT:
    """Five layers, all at work."""
    torch.manual_seed(0)
    made = VideoDiT(config.model_copy(update={"layers": 5})).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


@pytest.fixture
def conditions(deep: VideoDiT, contexts: MakeContexts) -> PreparedConditions:
    return deep.prepare(contexts([[3, 1], [2, 4]]))


@pytest.fixture
def noise() -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, 4, 2, 4, 6, generator=generator, dtype=torch.float64)


class Watched:
    """A model, and how many samples and which time each call had."""

    def __init__(self, model: Callable[[Tensor, Tensor, PreparedConditions], Tensor]) -> None:
        self.model = model
        self.calls: list[tuple[int, float]] = []

    def __call__(self, x: Tensor, t: Tensor, conditions: PreparedConditions) -> Tensor:
        self.calls.append((len(x), round(t[0].item(), 6)))
        return self.model(x, t, conditions)


def sampled(
    model: Callable[[Tensor, Tensor, PreparedConditions], Tensor],
    conditions: tuple[PreparedConditions, PreparedConditions],
    noise: Tensor,
    interval: tuple[float, float] = (0.0, 1.0),
    steps: int = 10,
) -> Tensor:
    return integrate(
        classifier_free_guidance(model, *conditions, 3.0, interval), noise, Linear(steps).times()
    )


def test_with_and_without_prompt_are_one_batch_and_one_call_a_step(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    watched = Watched(deep)
    sampled(watched, (conditions, deep.null_conditions(2)), noise)
    assert watched.calls == [(4, step / 10) for step in range(10)]


def test_prompts_are_read_once_and_positions_summed_once(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the conditions are made, no step touches the tables or the weights that made them."""
    nothing = deep.null_conditions(2)
    expected = sampled(deep, (conditions, nothing), noise)
    placed = deep.placed(conditions, LATENT)
    for module in [*deep.prompts, *(block.cross_attention.key_value for block in deep.blocks)]:
        module.register_forward_pre_hook(lambda *_: pytest.fail("the prompt is read again"))
    monkeypatch.setattr(deep, "_positions", lambda _: pytest.fail("positions are summed again"))
    assert torch.equal(sampled(deep, (placed, nothing), noise), expected)


def test_conditions_placed_for_another_size_are_refused(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    """As many tokens, but other rows and columns."""
    placed = deep.placed(conditions, VideoShape(3, 4, 4))
    with pytest.raises(ValueError, match="placed for 3x2x2 tokens, and x has 2x2x3"):
        deep(noise, torch.zeros(2), placed)
    with pytest.raises(ValueError, match="latent frames must be a multiple of 1 and at most 3, not 9"):
        deep.placed(conditions, VideoShape(9, 4, 4))


@pytest.mark.parametrize("every", [None, 1, 3])
def test_a_run_holds_no_more_at_its_end_than_at_its_beginning(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor, every: int | None
) -> None:
    alive: dict[int, int] = {}

    def count(step: int, _: Tensor) -> None:
        if step in (6, 9, 30, 60):
            gc.collect()
            alive[step] = sum(issubclass(type(each), Tensor) for each in gc.get_objects())

    model = deep if every is None else partial(deep, cache=BlockCache(every))
    guided = classifier_free_guidance(model, conditions, deep.null_conditions(2), 3.0, (0.05, 0.95))
    integrate(guided, noise, Linear(60).times(), on_step=count)
    assert len(alive) == 4
    assert len(set(alive.values())) == 1


def test_an_interval_of_all_times_is_plain_guidance(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    """To the bit, also for one that differs from all times only where no step is."""
    both = (conditions, deep.null_conditions(2))
    plain = sampled(deep, both, noise)
    assert torch.equal(sampled(deep, both, noise, (0.0, 1.0)), plain)
    assert torch.equal(sampled(deep, both, noise, (0.0, 0.95)), plain)
    assert not torch.equal(sampled(deep, both, noise, (0.0, 0.85)), plain)


def test_outside_the_interval_the_prompt_alone_is_followed(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    watched = Watched(deep)
    sampled(watched, (conditions, deep.null_conditions(2)), noise, (0.2, 0.7))
    assert watched.calls == [(4 if 2 <= step <= 7 else 2, step / 10) for step in range(10)]
    given = classifier_free_guidance(deep, conditions, deep.null_conditions(2), 3.0, (0.2, 0.7))
    t = torch.tensor([0.1, 0.8])
    assert torch.equal(given(noise, t), deep(noise, t, conditions))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_of_the_interval_are_guided_in_every_precision(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor, dtype: torch.dtype
) -> None:
    watched = Watched(deep)
    guided = classifier_free_guidance(watched, conditions, deep.null_conditions(2), 3.0, (0.1, 0.7))
    for time in (0.1, 0.7):
        guided(noise, torch.full((2,), time, dtype=dtype))
    assert [batch for batch, _ in watched.calls] == [4, 4]


def test_samples_of_one_batch_may_stand_on_both_sides_of_the_interval(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    nothing, t = deep.null_conditions(2), torch.tensor([0.1, 0.5])
    mixed = classifier_free_guidance(deep, conditions, nothing, 3.0, (0.4, 0.6))(noise, t)
    led = classifier_free_guidance(deep, conditions, nothing, 3.0)(noise, t)
    torch.testing.assert_close(mixed[0], deep(noise, t, conditions)[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mixed[1], led[1], rtol=1e-12, atol=1e-12)
    assert (mixed[0] - led[0]).abs().max() > 1e-3


@pytest.mark.parametrize("interval", [(0.5, 0.5), (0.7, 0.2), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_an_interval_without_meaning_is_refused(
    deep: VideoDiT, conditions: PreparedConditions, interval: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match="guidance interval must be two rising times from 0 to 1"):
        classifier_free_guidance(deep, conditions, deep.null_conditions(2), 3.0, interval)


def counted(model: VideoDiT) -> Counter[int]:
    """How often each block runs, from now on."""
    runs: Counter[int] = Counter()

    def count(index: int, *_: object) -> None:
        runs[index] += 1

    for index, block in enumerate(model.blocks):
        assert isinstance(block, nn.Module)
        block.register_forward_pre_hook(partial(count, index))
    return runs


def test_blocks_that_run_at_every_step_are_plain_sampling(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    both = (conditions, deep.null_conditions(2))
    plain = sampled(deep, both, noise)
    assert torch.equal(sampled(partial(deep, cache=BlockCache(1)), both, noise), plain)
    assert not torch.equal(sampled(partial(deep, cache=BlockCache(2)), both, noise), plain)


@pytest.mark.parametrize(("every", "times"), [(2, 5), (3, 4), (10, 1), (99, 1)])
def test_middle_blocks_run_at_the_first_and_then_at_every_so_many_steps(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor, every: int, times: int
) -> None:
    runs = counted(deep)
    cached = partial(deep, cache=BlockCache(every))
    sampled(cached, (conditions, deep.null_conditions(2)), noise)
    assert runs == {0: 10, 1: times, 2: times, 3: times, 4: 10}


@pytest.mark.parametrize(("layers", "edge"), [(1, 0), (2, 0), (3, 1), (4, 1), (8, 2)])
def test_the_outer_blocks_always_run(layers: int, edge: int) -> None:
    """In a model of one or two blocks there is nothing outside the middle."""
    cache, x, ran = BlockCache(2), torch.zeros(1, 2, 3), []

    def run(x_BSD: Tensor, first: int, last: int) -> Tensor:
        ran.extend(range(first, last))
        return x_BSD + 1

    cache.through(run, x, layers)
    assert ran == list(range(layers))
    ran.clear()
    cache.through(run, x, layers)
    assert ran == [*range(edge), *range(layers - edge, layers)]


def test_what_is_reused_is_what_the_middle_blocks_added(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    """Where nothing has changed, reusing changes nothing; and the outer blocks see what has."""
    cache, t = BlockCache(2), torch.tensor([0.3, 0.6])
    first, again = deep(noise, t, conditions, cache), deep(noise, t, conditions, cache)
    assert torch.equal(first, deep(noise, t, conditions))
    torch.testing.assert_close(again, first, rtol=1e-12, atol=1e-12)
    deep(noise, t, conditions, cache)
    moved = deep(noise + 0.1, t, conditions, cache)
    assert 0 < (moved - deep(noise + 0.1, t, conditions)).abs().max() < (moved - first).abs().max()


def test_a_batch_of_another_size_runs_all_blocks(
    deep: VideoDiT, conditions: PreparedConditions, noise: Tensor
) -> None:
    """Guidance in an interval halves the batch outside it; guided and alone, every other step runs all."""
    runs = counted(deep)
    cached = partial(deep, cache=BlockCache(2))
    sampled(cached, (conditions, deep.null_conditions(2)), noise, (0.15, 0.65))
    # Alone at 0 and 1 (run, reused), guided at 2 to 6 (run, reused, run, reused, run), alone at 7 to 9.
    assert runs[2] == 1 + 3 + 2


def test_a_cache_that_never_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        BlockCache(0)
