"""Prompts put into the phrases that a model was trained on: piece by piece, the nearest in meaning.

The paper's rewriter is a language model that turns a request into a caption like those of the training
(section 3.4). For a model that knows a few hundred phrases, finding the nearest ones does the same without a
language model (our choice). What is near is asked of a sentence encoder, MiniLM, which was trained for that.

Legend: N pieces of a prompt, P phrases, D width.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from itertools import combinations, product
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from moviegen_runtime.text.prompt import clean_prompt, quoted_strings, without_fps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from moviegen_runtime.text.minilm import MiniLM

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
# Apostrophes and hyphens that are written in more than one way.
_PLAIN = str.maketrans({"\u2019": "'", "\u2010": "-", "\u2011": "-"})
# Of so many words there are 465 pieces to be read.
_MOST_WORDS = 30
_MOST_PHRASES = 5000
_LONGEST_PHRASE = 100  # characters, fewer than the encoder reads tokens
# Texts, to bound memory: each is padded to the longest of them.
_READ_AT_ONCE = 256
# How similar a piece is to a meaning is the mean over so many of its phrases, the nearest ones: a single one
# may be near by chance.
_NEAREST = 2
# Similarity from which on a piece of its own is better than none; with less, words join their neighbours.
_PAYING = 0.4
# Words that say nothing by themselves, so that no piece is made of them alone.
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a above across amid among an and are as at be before behind below between by for from in into is "
        "its near of on over the through to under with"
    )
)

Phrase = Annotated[str, Field(min_length=1, max_length=_LONGEST_PHRASE)]


class Slot(BaseModel):
    """A place in a caption: who is seen, say, or what happens.

    Args:
        name: for people.
        meanings: what may stand there, each as its phrases: they mean the same, and the first is the usual.
        before: what a caption has before it, if it is not the caption's beginning.
        opened_by: what words for it begin with, one of these; empty: with any words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    meanings: Annotated[tuple[Annotated[tuple[Phrase, ...], Field(min_length=1)], ...], Field(min_length=1)]
    before: Annotated[str, Field(max_length=10)] = " "
    opened_by: tuple[Phrase, ...] = ()


class Phrasebook(BaseModel):
    """The phrases of a model's captions.

    Args:
        slots: in the order of a caption; each may be left out but the first.
        words: all words that captions have, in lower case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: Annotated[tuple[Slot, ...], Field(min_length=1, max_length=8)]
    words: frozenset[str]

    @model_validator(mode="after")
    def _can_be_read(self) -> Phrasebook:
        phrases = [phrase for slot in self.slots for meaning in slot.meanings for phrase in meaning]
        if len(phrases) > _MOST_PHRASES:
            raise ValueError(f"a phrasebook has at most {_MOST_PHRASES} phrases, not {len(phrases)}")
        silent = [phrase for phrase in phrases if not words_of(phrase)]
        if silent:
            raise ValueError(f"every phrase must have a word in it, and {silent[0]!r} has none")
        for usual in (meaning[0] for slot in self.slots for meaning in slot.meanings):
            unknown = [word for word in words_of(usual) if word not in self.words]
            if unknown:
                raise ValueError(
                    f"the usual phrase {usual!r} has a word that is not among the known words: {unknown[0]!r}"
                )
        return self


class Piece(NamedTuple):
    """Words of a prompt that stand together, and what they are taken for.

    Args:
        slot: place of the slot in the phrasebook.
        meaning: place of the meaning in the slot.
    """

    start: int
    end: int
    slot: int
    meaning: int


class PhrasebookRewriter:
    """Puts a prompt with words that the model never read into phrases that it knows.

    The prompt is cut into pieces, each piece is taken for one slot, and the cut is the one whose pieces are
    nearest to phrases in sum, in the cosine of MiniLM's means; none of the words is left out. A prompt whose
    words are all known stays as it is, and so does one with text in quotation marks, which no phrase has.

    Args:
        book: the model's phrases.
        encoder: what tells how near phrases are; None: the installed one, loaded when it is first needed.
    """

    name = "phrasebook"

    def __init__(self, book: Phrasebook, encoder: MiniLM | None = None) -> None:
        self.book, self._given = book, encoder

    def rewrite(self, prompt: str) -> str:
        """The prompt in known phrases, in the order of captions.

        Raises:
            ValueError: nothing is left of it, or it has too many words to be read.
        """
        prompt = clean_prompt(prompt)
        text = without_fps(prompt)
        words = words_of(text)
        if self.book.words.issuperset(words) or quoted_strings(text):
            return prompt
        if len(words) > _MOST_WORDS:
            raise ValueError(
                f"the prompt has {len(words)} words, and some that this model never read; a prompt of up to "
                f"{_MOST_WORDS} can be put into words that it knows"
            )
        pieces = self._read(words)
        if not pieces:
            return prompt
        said = ""
        for piece in sorted(pieces, key=lambda piece: piece.slot):
            slot = self.book.slots[piece.slot]
            said += (slot.before if said else "") + slot.meanings[piece.meaning][0]
        return said

    def _read(self, words: Sequence[str]) -> list[Piece]:
        """The best cut of a prompt's words; none where they are all function words.

        By dynamic programming over where it ends and which slots are taken.
        """
        nearest = self._nearest(words)
        best: dict[tuple[int, frozenset[int]], tuple[float, list[Piece]]] = {(0, frozenset()): (0.0, [])}
        for start in range(len(words)):
            reached = [(taken, *found) for (end, taken), found in best.items() if end == start]
            ends = range(start + 1, len(words) + 1)
            for (taken, score, pieces), end, slot in product(reached, ends, range(len(self.book.slots))):
                if slot in taken or not self._may_fill(slot, words[start:end]):
                    continue
                similarity, meaning = nearest[start, end][slot]
                better = score + similarity - _PAYING
                state = (end, taken | {slot})
                if state not in best or best[state][0] < better:
                    best[state] = (better, [*pieces, Piece(start, end, slot, meaning)])
        whole = [found for (end, taken), found in best.items() if end == len(words) and 0 in taken]
        return max(whole, key=lambda found: found[0], default=(0.0, []))[1]

    def _may_fill(self, slot: int, words: Sequence[str]) -> bool:
        """Whether words say something, and begin as those for a slot do."""
        openers = self.book.slots[slot].opened_by
        text = f"{' '.join(words)} "
        says = not _FUNCTION_WORDS.issuperset(words)
        return says and (not openers or any(text.startswith(f"{opener} ") for opener in openers))

    def _nearest(self, words: Sequence[str]) -> dict[tuple[int, int], list[tuple[float, int]]]:
        """For every piece: similarity and place of the nearest meaning of each slot."""
        places = list(combinations(range(len(words) + 1), 2))
        pieces_ND = _means(self._encoder, [" ".join(words[start:end]) for start, end in places])
        found: dict[tuple[int, int], list[tuple[float, int]]] = {place: [] for place in places}
        for meanings in self._phrases:
            by_meaning = [
                (pieces_ND @ phrases_PD.T).topk(min(_NEAREST, len(phrases_PD))).values.mean(dim=1).tolist()
                for phrases_PD in meanings
            ]
            for place, similarities in zip(places, zip(*by_meaning, strict=True), strict=True):
                found[place].append(max((each, number) for number, each in enumerate(similarities)))
        return found

    @cached_property
    def _encoder(self) -> MiniLM:
        from moviegen_runtime.text.minilm import MiniLM

        return self._given or MiniLM.load()

    @cached_property
    def _phrases(self) -> list[list[Tensor]]:
        """(P, D) of each meaning of each slot, read once."""
        phrases = [phrase for slot in self.book.slots for meaning in slot.meanings for phrase in meaning]
        rest = _means(self._encoder, phrases)
        read: list[list[Tensor]] = []
        for slot in self.book.slots:
            meanings: list[Tensor] = []
            for meaning in slot.meanings:
                meanings.append(rest[: len(meaning)])
                rest = rest[len(meaning) :]
            read.append(meanings)
        return read


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without what stands between them; each is spelt in one way only."""
    return _WORD.findall(unicodedata.normalize("NFC", text.lower()).translate(_PLAIN))


def _means(encoder: MiniLM, texts: Sequence[str]) -> Tensor:
    """Means (N, D) of MiniLM's token states, of length 1, as its authors take them."""
    import torch
    from torch.nn import functional

    means = []
    for start in range(0, len(texts), _READ_AT_ONCE):
        context = encoder.encode(texts[start : start + _READ_AT_ONCE])
        mask = context.mask[:, :, None].to(context.embeddings.dtype)
        means.append((context.embeddings * mask).sum(dim=1) / mask.sum(dim=1))
    return functional.normalize(torch.cat(means), dim=1)
