"""Prompts written by hand: the paraphrases keep their rule against all that captions can say."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from moviegen_miniature import wording
from moviegen_miniature.actors import ACTOR_NAMES, ACTORS
from moviegen_miniature.captions import caption
from moviegen_miniature.casting import combinations, scene_at, scene_of
from moviegen_miniature.prompts import GALLERY, PARAPHRASES, SHARED_WORDS
from moviegen_miniature.scene import MOTIONS
from moviegen_miniature.sets import SETTINGS


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def vocabulary() -> set[str]:
    """Every word of the captions' tables, and every one that sentences add to them."""
    tables = [
        *wording.SYNONYMS.values(),
        *wording.GO.values(),
        *wording.STAY.values(),
        *wording.WAYS.values(),
        *wording.ALONE.values(),
        *wording.DOINGS.values(),
        *wording.PLACES.values(),
        *wording.PANS.values(),
        *(actor.nouns for actor in ACTORS),
        wording.GO_ANYHOW,
        wording.STAY_ANYHOW,
        wording.RISE,
        wording.SINK,
    ]
    listed = {word for table in tables for phrase in table for word in words(phrase)}
    scenes = (
        scene_at(index, split="train", seed=6, pan_probability=0.2, two_actors_probability=0.2)
        for index in range(6000)
    )
    said = {word for scene in scenes for word in words(caption(scene))}
    # The tables hold nearly everything: what sampling finds beyond them are the words between.
    assert said - listed - SHARED_WORDS <= {
        "beside",
        "crosses",
        "big",
        "large",
        "small",
        "little",
    }
    return listed | said


def alike(new: str, known: str) -> bool:
    """Whether a new word has the beginning of a known one, or a whole one at an end."""
    if len(known) >= 4 and new[:4] == known[:4]:
        return True
    return new == known or (len(known) >= 3 and (new.startswith(known) or new.endswith(known)))


def test_paraphrases_share_no_word_that_means_something_with_any_caption() -> None:
    known = vocabulary() - SHARED_WORDS
    assert {"helicopter", "still", "beside", "pans", "sky", "mallard"} <= known
    met = [
        (prompt.text, new, old)
        for prompt in PARAPHRASES
        for new in words(prompt.text) - SHARED_WORDS
        for old in known
        if alike(new, old)
    ]
    assert not met


@pytest.mark.parametrize(
    ("new", "known"), [("flying", "flyi"), ("seaside", "sea"), ("bumblebee", "bee"), ("up", "up")]
)
def test_what_is_alike(new: str, known: str) -> None:
    assert alike(new, known)


@pytest.mark.parametrize(("new", "known"), [("west", "left"), ("upon", "up"), ("sees", "sea")])
def test_what_is_not_alike(new: str, known: str) -> None:
    assert not alike(new, known)


def test_paraphrases_are_balanced_over_what_training_shows() -> None:
    assert len({prompt.text for prompt in PARAPHRASES}) == 30
    actors, motions, settings = (
        Counter(prompt.combination[axis] for prompt in PARAPHRASES) for axis in range(3)
    )
    assert set(actors) == set(ACTOR_NAMES)
    assert motions == dict.fromkeys(MOTIONS, 3)
    assert set(settings) == set(SETTINGS)
    assert max(settings.values()) - min(settings.values()) <= 1
    assert {prompt.combination for prompt in PARAPHRASES} <= set(combinations(False))


def test_the_gallery_shows_both_kinds_of_combinations_once_each() -> None:
    shown = {prompt.combination for prompt in GALLERY}
    assert len(shown) == len(GALLERY) == 8
    assert shown & set(combinations(True))
    assert shown & set(combinations(False))


def test_a_scene_of_a_combination_shows_it() -> None:
    for prompt in GALLERY:
        scene = scene_of(prompt.combination, 3)
        assert scene.combination() == prompt.combination
        assert scene == scene_of(prompt.combination, 3) != scene_of(prompt.combination, 4)
        assert (scene.pan, scene.second) == (0, None)
