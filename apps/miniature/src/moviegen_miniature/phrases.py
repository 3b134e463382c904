"""The phrasebook of the miniature's captions: what `moviegen generate` puts prompts in other words into."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from moviegen_core import replacing
from moviegen_runtime.text.phrasebook import Phrasebook, Slot, words_of

from moviegen_miniature import wording
from moviegen_miniature.actors import ACTORS, BY_NAME
from moviegen_miniature.captions import with_article
from moviegen_miniature.casting import Combination
from moviegen_miniature.scene import MOTIONS
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.wording import Words

# Before each of the ways of a motion. More verbs than these read no better.
_VERBS = ("goes", "flies", "walks", "moves")
_LITTLE_WORDS = ("a", "an", "the", "beside", "crosses")


@dataclass(frozen=True)
class Phrases:
    """Write the phrasebook of the captions as JSON."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """File to write."""

    def run(self) -> None:
        """Write it, complete or not at all."""
        with replacing(self.out) as aside:
            aside.write_text(as_json(phrasebook()), encoding="utf-8")


def as_json(book: Phrasebook) -> str:
    """The file of a phrasebook, its words in their order."""
    return json.dumps(book.model_dump() | {"words": sorted(book.words)}, indent=1, ensure_ascii=False) + "\n"


def phrasebook() -> Phrasebook:
    """All that a caption can say of a scene: its actors, motion, set and pan.

    A diagonal's four directions are meanings of their own, for a caption may name them.
    """
    actors = [tuple(map(with_article, actor.nouns + wording.SYNONYMS[actor.name])) for actor in ACTORS]
    doings = [meaning for motion in MOTIONS for meaning in _doings(motion)]
    return Phrasebook(
        slots=(
            Slot(name="actor", meanings=tuple(actors)),
            Slot(name="motion", meanings=tuple(doings)),
            Slot(
                name="second actor",
                meanings=tuple(_each("beside {}", nouns) for nouns in actors),
                opened_by=("beside", "next to", "alongside", "together with"),
            ),
            Slot(name="set", meanings=tuple(wording.PLACES[setting] for setting in SETTINGS)),
            Slot(
                name="camera",
                meanings=tuple(wording.PANS.values()),
                before=", ",
                opened_by=("the camera", "camera", "with the camera"),
            ),
        ),
        words=frozenset(_caption_words()),
    )


def usual_captions(combination: Combination) -> list[str]:
    """The captions of a combination in the usual phrases: one, or one for each direction of a diagonal."""
    actor, motion, setting = combination
    begin, end = with_article(BY_NAME[actor].nouns[0]), wording.PLACES[setting][0]
    return [f"{begin} {doing[0]} {end}" for doing in _doings(motion)]


def _doings(motion: str) -> list[Words]:
    """The meanings of a motion, one but for diagonals."""
    if motion == "still":
        kinds = [phrase for phrases in wording.STAY.values() for phrase in phrases]
        return [_distinct(wording.STAY_ANYHOW, kinds)]
    if motion in wording.DOINGS:
        return [wording.DOINGS[motion]]
    ways = wording.WAYS[motion]
    going = [f"{verb} {way}" for verb in _VERBS for way in ways]
    if motion == "diagonal":
        turned = [
            _each(f"{{}} {ways[0]} {climb} to the {side}", (*_VERBS, "crosses"))
            for climb in ("up", "down")
            for side in ("left", "right")
        ]
        return [_distinct(going, [f"crosses {way}" for way in ways]), *turned]
    usual = {"up": wording.RISE, "down": wording.SINK}.get(motion, ())
    return [_distinct(going, wording.ALONE.get(motion, ()), [f"{verb} {ways[0]}" for verb in usual])]


def _caption_words() -> set[str]:
    """Every word that captions are made of."""
    listed = [
        *(*wording.SYNONYMS.values(), *wording.GO.values(), *wording.STAY.values(), *wording.WAYS.values()),
        *(*wording.ALONE.values(), *wording.DOINGS.values(), *wording.PLACES.values()),
        *wording.PANS.values(),
    ]
    phrases = [phrase for words in listed for phrase in words]
    phrases += [*wording.GO_ANYHOW, *wording.STAY_ANYHOW, *wording.RISE, *wording.SINK]
    phrases += [noun for actor in ACTORS for noun in actor.nouns]
    phrases += [*wording.LARGE, *wording.SMALL]
    return {word for phrase in phrases for word in words_of(phrase)} | set(_LITTLE_WORDS)


def _each(template: str, phrases: Words) -> Words:
    return tuple(template.format(phrase) for phrase in phrases)


def _distinct(*phrases: Words | list[str]) -> Words:
    return tuple(dict.fromkeys(phrase for some in phrases for phrase in some))
