"""The phrasebook says what captions say, and `moviegen generate` has it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.captions import caption
from moviegen_miniature.casting import scene_at
from moviegen_miniature.phrases import Phrases, phrasebook, usual_captions
from moviegen_miniature.prompts import GALLERY, PARAPHRASES
from moviegen_miniature.scene import MOTIONS
from moviegen_runtime.pipelines.settings import cast_phrasebook
from moviegen_runtime.text.phrasebook import Phrasebook, words_of
from moviegen_runtime.validation import read_model


def test_the_shipped_phrasebook_is_this_one(tmp_path: Path) -> None:
    Phrases(tmp_path / "phrasebook.json").run()
    assert (
        read_model(tmp_path / "phrasebook.json", Phrasebook) == phrasebook() == cast_phrasebook("miniature")
    )


def test_captions_have_known_words_alone() -> None:
    """So a prompt that is worded as captions are stays as it is."""
    known = phrasebook().words
    for index in range(4000):
        scene = scene_at(index, split="train", seed=8, pan_probability=0.3, two_actors_probability=0.3)
        assert known.issuperset(words_of(caption(scene)))
    assert all(known.issuperset(words_of(prompt.text)) for prompt in GALLERY if prompt not in PARAPHRASES)


def test_every_paraphrase_has_unknown_words() -> None:
    assert not any(phrasebook().words.issuperset(words_of(prompt.text)) for prompt in PARAPHRASES)


def test_the_usual_phrases_are_captions() -> None:
    """Each can be said of its actor, motion or set, and no phrase has two meanings."""
    actor, motion, second, place, camera = phrasebook().slots
    assert len(actor.meanings) == len(second.meanings) == len(ACTOR_NAMES)
    assert len(motion.meanings) == len(MOTIONS) + 4
    for slot in (actor, motion, second, place, camera):
        phrases = [phrase for meaning in slot.meanings for phrase in meaning]
        assert len(phrases) == len(set(phrases))
    scenes = (
        scene_at(index, split="train", seed=9, pan_probability=0.3, two_actors_probability=0.3)
        for index in range(20_000)
    )
    said = " | ".join(map(caption, scenes))
    usual = [meaning[0] for slot in phrasebook().slots for meaning in slot.meanings]
    assert [phrase for phrase in usual if phrase not in said] == []


def test_usual_captions_are_what_the_phrasebook_says() -> None:
    assert usual_captions(("bus", "left", "city")) == ["a bus goes to the left in the city"]
    diagonals = usual_captions(("elephant", "diagonal", "sky"))
    assert len(diagonals) == 5
    assert "an elephant goes diagonally up to the left in the blue sky" in diagonals


def test_pieces_stand_in_the_order_of_captions() -> None:
    scenes = (scene_at(index, split="train", seed=9, pan_probability=1.0) for index in range(10_000))
    captions = {caption(scene) for scene in scenes}
    actor, motion, _, place, camera = (
        [meaning[0] for meaning in slot.meanings] for slot in phrasebook().slots
    )
    usual = {
        f"{who} {what} {where}, {turn}" for who, what, where, turn in product(actor, motion, place, camera)
    }
    assert len(usual & captions) > 20
