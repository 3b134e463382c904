"""Captions say what the scene shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from moviegen_miniature.actors import BY_NAME
from moviegen_miniature.captions import caption
from moviegen_miniature.casting import scene_at
from moviegen_miniature.scene import Performer, Scene

_MOTION_WORDS = {
    "still": ("still", "in place", "parked", "without moving"),
    "left": ("left",),
    "right": ("right",),
    "up": ("up", "rises"),
    "down": ("down", "sinks"),
    "grows": ("grows", "bigger", "larger"),
    "shrinks": ("shrinks", "smaller"),
    "bounces": ("bounc", "jumps"),
    "diagonal": ("diagonal",),
    "circles": ("circle", "round and round"),
}
_SET_WORDS = {
    "sky": ("sky", "cloud"),
    "field": ("field", "hills", "meadow"),
    "night": ("night", "moon"),
    "desert": ("desert", "dunes", "pyramid"),
    "sea": ("sea", "ocean", "waves"),
    "snow": ("snow",),
    "city": ("city", "town"),
    "forest": ("forest", "trees", "woods"),
}


def test_captions_name_every_fact_in_few_words() -> None:
    for index in range(3000):
        scene = scene_at(index, split="train", seed=3, pan_probability=0.3, two_actors_probability=0.3)
        words = caption(scene)
        actor, motion, setting = scene.combination()
        assert any(noun in words for noun in BY_NAME[actor].nouns)
        assert any(word in words for word in _MOTION_WORDS[motion])
        assert any(word in words for word in _SET_WORDS[setting])
        assert ("camera" in words) == (scene.pan != 0)
        if scene.second is not None:
            assert any(noun in words for noun in BY_NAME[scene.second.actor].nouns)
        assert len(words.split()) <= 24
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
