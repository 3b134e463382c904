"""The gallery shows the clips of `moviegen generate`, whole, and says what is wrong with each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from moviegen_miniature.gallery import SEEDS, Shown, gallery, in_words, kind, picture, table
from moviegen_miniature.judge import Judge, Verdict
from moviegen_miniature.prompts import GALLERY
from moviegen_miniature.sprites import Sprites
from moviegen_runtime import TextToVideoRequest, load
from moviegen_runtime.media.frames import to_uint8

RIGHT = Verdict(
    actor_colour=True, actor_grey=True, setting=True, motion=True, camera=True, steady=True, sharpness=1.0
)


def test_the_clips_are_those_of_a_request_alone(sprites: Sprites) -> None:
    cast = load("miniature")
    ((prompt, shown),) = gallery(cast, Judge.load(None, sprites), GALLERY[:1], 1, print)
    assert prompt == GALLERY[0]
    assert len(shown) == len(SEEDS)
    alone = cast.generate(TextToVideoRequest(prompt=prompt.text, seed=SEEDS[1], steps=1))
    np.testing.assert_array_equal(shown[1].frames, to_uint8(alone.clip)[0])


def test_verdicts_are_said_in_words() -> None:
    assert in_words(RIGHT) == "all four right"
    assert in_words(replace(RIGHT, actor_grey=False, motion=False)) == "wrong: actor in grey, motion"


def test_the_page_shows_every_clip_and_counts_them() -> None:
    shades = iter(range(10, 250, 40))
    wrong = replace(RIGHT, setting=False)
    page = [
        (prompt, [Shown(np.full((16, 64, 64, 3), next(shades), np.uint8), v) for v in (RIGHT, wrong, RIGHT)])
        for prompt in (GALLERY[0], GALLERY[1])
    ]
    assert "4 of 6 clips are right in all four." in table(page)
    assert table(page).count("wrong: set") == 2
    drawn = picture(page)
    for shade in range(10, 250, 40):
        assert (drawn == shade).all(-1).sum() >= 4 * 128 * 128


def test_kinds_of_prompts() -> None:
    assert [kind(prompt) for prompt in GALLERY].count("held out") == 2
    assert kind(GALLERY[-1]) == "seen, in words never read"
    assert kind(GALLERY[0]) == "seen"
