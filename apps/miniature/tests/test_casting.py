"""Which combinations are held out, and which scenes a split shows."""

from __future__ import annotations

from collections import Counter
from itertools import combinations as pairs_of

import pytest
from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.casting import balanced, combinations, scene_at
from moviegen_miniature.scene import MOTIONS, Scene
from moviegen_miniature.sets import SETTINGS


def test_a_tenth_is_held_out() -> None:
    held, kept = set(combinations(True)), set(combinations(False))
    assert not held & kept
    assert len(held | kept) == len(ACTOR_NAMES) * len(MOTIONS) * len(SETTINGS)
    assert len(held) * 10 == len(held | kept)


def test_each_fact_is_held_out_equally_often() -> None:
    for axis, names in enumerate((ACTOR_NAMES, MOTIONS, SETTINGS)):
        counts = Counter(combination[axis] for combination in combinations(True))
        assert set(counts) == set(names)
        assert len(set(counts.values())) == 1


def test_every_pair_of_facts_stays_in_training() -> None:
    kept = combinations(False)
    names = (ACTOR_NAMES, MOTIONS, SETTINGS)
    for first, second in pairs_of(range(3), 2):
        seen = {(combination[first], combination[second]) for combination in kept}
        assert len(seen) == len(names[first]) * len(names[second])


@pytest.mark.parametrize("held_out", [False, True])
def test_balanced_order_is_balanced_from_its_beginning(held_out: bool) -> None:
    order = balanced(held_out)
    assert sorted(order) == sorted(combinations(held_out))
    for axis, names in enumerate((ACTOR_NAMES, MOTIONS, SETTINGS)):
        counts = Counter(combination[axis] for combination in order[:120])
        assert set(counts) == set(names)
        assert max(counts.values()) - min(counts.values()) <= 2


def test_training_never_shows_what_is_held_out() -> None:
    held = set(combinations(True))
    for index in range(3000):
        scene = scene_at(index, split="train", seed=5, two_actors_probability=0.2)
        assert scene.combination() not in held
        if scene.second is not None:
            assert (scene.second.actor, scene.second.motion, scene.setting) not in held
            assert scene.second.actor != scene.lead.actor


def test_validation_splits_show_their_own_combinations() -> None:
    held = set(combinations(True))
    assert all(scene_at(index, split="held_out", seed=0).combination() in held for index in range(300))
    assert not any(scene_at(index, split="seen", seed=0).combination() in held for index in range(300))


def test_a_scene_is_a_function_of_split_seed_and_index() -> None:
    def scene(index: int, seed: int) -> Scene:
        return scene_at(index, split="train", seed=seed)

    assert scene(7, 0) == scene(7, 0)
    assert len({scene(index, seed) for index in range(50) for seed in range(4)}) == 200


def test_one_frame_has_no_motion() -> None:
    scenes = [scene_at(index, split="train", seed=0, frames=1, pan_probability=1) for index in range(50)]
    assert {scene.lead.motion for scene in scenes} == {"still"}
    assert {scene.pan for scene in scenes} == {0}


def test_options_do_what_they_say() -> None:
    for share in (0.0, 1.0):
        scenes = [
            scene_at(index, split="train", seed=0, pan_probability=share, two_actors_probability=share)
            for index in range(30)
        ]
        assert all((scene.pan != 0) == bool(share) for scene in scenes)
        assert all((scene.second is not None) == bool(share) for scene in scenes)
