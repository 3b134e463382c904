"""Batches from any step on, prepared by a thread while the step before is computed.

A thread, not a process: what it calls (numpy, image and video decoders, file reads) releases the interpreter
lock for most of its time, and it needs no shared memory, no pickling and no watching over.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from moviegen_runtime.data.order import SampleOrder

ContentT = TypeVar("ContentT")


@dataclass(frozen=True)
class StepBatch(Generic[ContentT]):
    """What one step is trained on, with the number of the step, from which its noise is derived."""

    step: int
    content: ContentT


@dataclass(frozen=True)
class Interleaved(Generic[ContentT]):
    """A further set, of which every so many-th batch is, in an order of its own.

    Args:
        length: number of its samples.
        collate: makes the batch of a list of its indices; runs in the thread.
        every: one batch of it in so many batches, the last one of them.
    """

    length: int
    collate: Callable[[list[int]], ContentT]
    every: int


class TrainingBatches(Generic[ContentT]):
    """The batches of a training from a step on: the same ones whatever step it began at.

    Args:
        length: number of samples in the set.
        collate: makes the batch of a list of indices; runs in the thread.
        batch_size: samples a step.
        seed: of the order.
        start: first step; there is no last one.
        ahead: how many batches may wait.
        interleaved: further sets; where two have their turn at once, the first of them has it.
    """

    def __init__(
        self,
        length: int,
        collate: Callable[[list[int]], ContentT],
        *,
        batch_size: int,
        seed: int,
        start: int,
        ahead: int = 3,
        interleaved: Sequence[Interleaved[ContentT]] = (),
    ) -> None:
        self.length, self.collate, self.batch_size, self.seed = length, collate, batch_size, seed
        self.start, self.ahead, self.interleaved = start, ahead, interleaved

    def __iter__(self) -> Iterator[StepBatch[ContentT]]:
        waiting: queue.Queue[StepBatch[ContentT] | Exception] = queue.Queue(self.ahead)
        stopped = threading.Event()
        thread = threading.Thread(target=self._fill, args=(waiting, stopped), daemon=True)
        thread.start()
        try:
            while True:
                item = waiting.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stopped.set()
            while not waiting.empty():
                waiting.get_nowait()
            thread.join()

    def _fill(self, waiting: queue.Queue[StepBatch[ContentT] | Exception], stopped: threading.Event) -> None:
        try:
            for step, content in enumerate(self._contents(), self.start):
                waiting.put(StepBatch(step, content))
                if stopped.is_set():
                    return
        except Exception as error:  # handed over whole and raised where the batches are consumed
            waiting.put(error)

    def _contents(self) -> Iterator[ContentT]:
        """Batches without end; what the sets gave before `start` follows from `start` alone."""
        lengths = (self.length, *(each.length for each in self.interleaved))
        collates = (self.collate, *(each.collate for each in self.interleaved))
        given = Counter(map(self._turn, range(self.start)))
        batches = [self._indices(length, given[turn]) for turn, length in enumerate(lengths)]
        for turn in map(self._turn, count(self.start)):
            yield collates[turn](next(batches[turn]))

    def _turn(self, step: int) -> int:
        """Whose batch a step's is: 0 the set's, 1 the first further one's, and so on."""
        turns = (turn for turn, each in enumerate(self.interleaved, 1) if step % each.every == each.every - 1)
        return next(turns, 0)

    def _indices(self, length: int, given: int) -> Iterator[list[int]]:
        return SampleOrder(length, self.seed).batches(self.batch_size, start=given * self.batch_size)
