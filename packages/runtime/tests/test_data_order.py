"""The order of samples: a permutation every epoch, and a function of seed, epoch and position alone."""

from __future__ import annotations

from itertools import chain, islice

import numpy as np
import pytest
from moviegen_runtime.data.order import SampleOrder, permutation


@pytest.mark.parametrize("length", [1, 2, 7, 1000])
@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_every_epoch_is_a_permutation(length: int, epoch: int) -> None:
    assert sorted(permutation(length, seed=3, epoch=epoch)) == list(range(length))


def test_the_order_is_fixed_for_good() -> None:
    # Written down: a change of this order would change what a resumed run sees.
    assert permutation(10, seed=0, epoch=0).tolist() == [1, 4, 5, 6, 8, 2, 0, 3, 9, 7]
    assert permutation(10, seed=7, epoch=2).tolist() == [1, 3, 5, 4, 9, 7, 2, 0, 8, 6]


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1 << 32, 0), (1, 1 << 32)]
    orders = {tuple(permutation(50, seed, epoch)) for seed, epoch in pairs}
    assert len(orders) == len(pairs)


def test_places_are_uniform() -> None:
    # Where sample 0 comes in 2,000 epochs of 5: each place about 400 times; 5 standard deviations is 90.
    places = [permutation(5, 0, epoch).tolist().index(0) for epoch in range(2000)]
    assert np.abs(np.bincount(places, minlength=5) - 400).max() < 90


def test_the_stream_is_the_epochs_one_after_the_other() -> None:
    order = SampleOrder(7, seed=1)
    stream = [order.index_at(position) for position in range(21)]
    assert stream == list(chain.from_iterable(permutation(7, 1, epoch).tolist() for epoch in range(3)))


def test_positions_can_be_asked_for_in_any_order() -> None:
    order = SampleOrder(7, seed=1)
    stream = [order.index_at(position) for position in range(40)]
    for position in (39, 0, 13, 14, 6, 7, 20):
        assert order.index_at(position) == stream[position]


@pytest.mark.parametrize("consumed", [0, 3, 8, 10, 23])
def test_batches_from_any_position_go_on_as_the_uninterrupted_stream(consumed: int) -> None:
    stream = list(chain.from_iterable(islice(SampleOrder(10, 5).batches(4), 20)))
    resumed = list(chain.from_iterable(islice(SampleOrder(10, 5).batches(4, start=consumed), 10)))
    assert resumed == stream[consumed : consumed + 40]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: permutation(0, 0, 0), "at least one sample"),
        (lambda: permutation(3, -1, 0), "must not be negative"),
        (lambda: permutation(3, 0, -1), "must not be negative"),
        (lambda: SampleOrder(3, 0).index_at(-1), "must not be negative"),
        (lambda: SampleOrder(3, 0).batches(0), "at least one sample"),
        (lambda: SampleOrder(3, 0).batches(1, start=-1), "must not be negative"),
    ],
)
def test_numbers_out_of_range_are_refused(call: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()  # type: ignore[operator]
