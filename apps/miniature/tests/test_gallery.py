"""The gallery shows the clips of `moviegen generate`, whole, and says what is wrong with each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from moviegen_miniature.gallery import SEEDS, Entry, Shown, gallery, in_words, kind, picture, table
from moviegen_miniature.judge import Judge, Verdict
from moviegen_miniature.judge.likeness import Likeness
from moviegen_miniature.prompts import GALLERY
from moviegen_miniature.sprites import Sprites
from moviegen_runtime import TextToVideoRequest, load
from moviegen_runtime.media.frames import to_uint8

RIGHT = Verdict(
    actor_colour=True, actor_grey=True, setting=True, motion=True, camera=True, steady=True, sharpness=1.0
)


def test_the_clips_are_those_of_a_request_alone(sprites: Sprites) -> None:
    cast = load("miniature")
    ((prompt, read_as, clips),) = gallery(cast, Judge.load(None, sprites), GALLERY[:1], 1, print)
    assert prompt == GALLERY[0]
    assert read_as == prompt.text
    assert len(clips) == len(SEEDS)
    alone = cast.generate(TextToVideoRequest(prompt=prompt.text, seed=SEEDS[1], steps=1))
    np.testing.assert_array_equal(clips[1].frames, to_uint8(alone.clip)[0])


def shown(shade: int, verdict: Verdict, right: float) -> Shown:
    return Shown(np.full((16, 64, 64, 3), shade, np.uint8), verdict, Likeness(right, 0.4))


def test_verdicts_are_said_in_words() -> None:
    assert in_words(shown(0, RIGHT, 0.91)) == "all four right; likeness 0.91"
    wrong = replace(RIGHT, actor_grey=False, motion=False)
    assert in_words(shown(0, wrong, 0.5)) == "wrong: actor in grey, motion; likeness 0.50"


def test_the_page_shows_every_clip_and_counts_them() -> None:
    shades = iter(range(10, 250, 40))
    wrong = replace(RIGHT, setting=False)
    page = [
        Entry(prompt, read_as, [shown(next(shades), verdict, 0.6) for verdict in (RIGHT, wrong, RIGHT)])
        for prompt, read_as in ((GALLERY[0], GALLERY[0].text), (GALLERY[-1], "a parrot in the forest"))
    ]
    assert "4 of 6 clips are right in all four; their median likeness is 0.60" in table(page)
    assert table(page).count("wrong: set") == 2
    assert f"| {GALLERY[0].text} |" in table(page)
    assert f'| {GALLERY[-1].text}, taken for "a parrot in the forest" |' in table(page)
    drawn = picture(page)
    for shade in range(10, 250, 40):
        assert (drawn == shade).all(-1).sum() >= 4 * 128 * 128


def test_kinds_of_prompts() -> None:
    assert [kind(prompt) for prompt in GALLERY].count("held out") == 2
    assert kind(GALLERY[-1]) == "seen, in other words"
    assert kind(GALLERY[0]) == "seen"
