"""Captions say what the scene shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from moviegen_miniature.actors import ACTOR_NAMES, BY_NAME
from moviegen_miniature.captions import caption
from moviegen_miniature.casting import scene_at
from moviegen_miniature.scene import MOTIONS, Performer, Scene
from moviegen_miniature.wording import ALONE, DOINGS, PLACES, STAY, STAY_ANYHOW, SYNONYMS, WAYS


def nouns(actor: str) -> tuple[str, ...]:
    return BY_NAME[actor].nouns + SYNONYMS[actor]


def doings(motion: str) -> tuple[str, ...]:
    """Every phrase that says a motion."""
    if motion == "still":
        return STAY_ANYHOW + tuple(phrase for phrases in STAY.values() for phrase in phrases)
    return DOINGS.get(motion, ()) + WAYS.get(motion, ()) + ALONE.get(motion, ())


def test_no_wording_means_two_things() -> None:
    for meanings in (
        [nouns(actor) for actor in ACTOR_NAMES],
        [doings(motion) for motion in MOTIONS],
        list(PLACES.values()),
    ):
        said = [phrase for phrases in meanings for phrase in set(phrases)]
        assert len(said) == len(set(said))


def test_there_are_many_words_for_everything() -> None:
    assert all(len(set(nouns(actor))) >= 8 for actor in ACTOR_NAMES)
    assert all(len(set(doings(motion))) >= 6 for motion in MOTIONS)
    assert all(len(set(places)) >= 11 for places in PLACES.values())


def test_captions_name_every_fact_in_few_words() -> None:
    for index in range(3000):
        scene = scene_at(index, split="train", seed=3, pan_probability=0.3, two_actors_probability=0.3)
        words = caption(scene)
        actor, motion, setting = scene.combination()
        assert any(noun in words for noun in nouns(actor))
        assert any(phrase in words for phrase in doings(motion))
        assert any(place in words for place in PLACES[setting])
        assert ("camera" in words) == (scene.pan != 0)
        if scene.second is not None:
            assert any(noun in words for noun in nouns(scene.second.actor))
        assert len(words.split()) <= 35  # of two actors before a camera that pans
        assert words == words.strip().lower()
        assert "  " not in words


def test_articles_fit_their_nouns() -> None:
    for index in range(2000):
        words = caption(scene_at(index, split="train", seed=4)).split()
        for article, noun in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (noun[0] in "aeiou")


def test_the_same_scene_has_one_caption_and_many_wordings() -> None:
    scene = Scene(Performer("helicopter", "right", 0.55, 0.5, 0.5, travel=0.5), "field", 0)
    wordings = {caption(replace(scene, words=seed)) for seed in range(4000)}
    assert caption(scene) == caption(scene)
    assert len(wordings) > 100
    assert "a helicopter flies to the right over a green field" in wordings


def test_a_picture_has_no_motion_words() -> None:
    for index in range(200):
        words = caption(scene_at(index, split="train", seed=0, frames=1)).split()
        assert not {"still", "moves", "grows", "bounces", "left", "right"} & set(words)


@pytest.mark.parametrize(("turn", "climb", "way"), [(1, -1, "up to the right"), (-1, 1, "down to the left")])
def test_diagonals_name_their_way(turn: int, climb: int, way: str) -> None:
    scene = Scene(Performer("bee", "diagonal", 0.5, 0.5, 0.5, 0.4, turn, climb), "sky", 0)
    wordings = [caption(replace(scene, words=seed)) for seed in range(100)]
    sides = [words for words in wordings if " to the " in words]
    assert len(sides) > 30
    assert all(way in words for words in sides)
