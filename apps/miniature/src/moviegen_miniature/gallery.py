"""A page of fixed prompts with seeds 0, 1 and 2, none left out, and what the judge reads in each clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from moviegen_runtime import Cast, TextToVideoRequest
from moviegen_runtime.media.frames import contact_sheet, enlarged, to_uint8
from moviegen_runtime.metrics import Frames
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from moviegen_miniature.casting import combinations
from moviegen_miniature.judge import Judge, Verdict
from moviegen_miniature.judge.likeness import Likeness
from moviegen_miniature.judge.trials import reworded, written
from moviegen_miniature.judge.validation import judged
from moviegen_miniature.prompts import PARAPHRASES, Prompt

SEEDS = (0, 1, 2)
_COLUMNS = 4  # frames of a clip
_SCALE = 2
_GAP = 16  # between clips
_LINE = 18  # height of a line of words


@dataclass(frozen=True)
class Shown:
    """One clip of the page, and what the judge says of it."""

    frames: Frames
    verdict: Verdict
    likeness: Likeness


class Entry(NamedTuple):
    """A prompt of the page, and its clips.

    Args:
        read_as: the words that the model was given.
    """

    prompt: Prompt
    read_as: str
    clips: list[Shown]

    def __str__(self) -> str:
        taken = "" if self.read_as == self.prompt.text else f', taken for "{self.read_as}"'
        return f"{self.prompt.text}{taken}"


Page = list[Entry]


def gallery(
    cast: Cast, judge: Judge, listed: Sequence[Prompt], steps: int | None, say: Callable[[str], None]
) -> Page:
    """Make and judge the clips: the ones of `moviegen generate` with these prompts and seeds."""
    page: Page = []
    for prompt, (text, scene) in zip(listed, reworded(cast, written(listed)), strict=True):
        requests = [TextToVideoRequest(prompt=text, seed=seed, steps=steps) for seed in SEEDS]
        clips = [to_uint8(video.clip)[0] for video in cast.generate(requests)]
        row = judged(judge, text, clips, [scene] * len(clips))
        read = zip(clips, row.verdicts, row.likenesses, strict=True)
        page.append(Entry(prompt, text, [Shown(*each) for each in read]))
        say(f"{len(page)} of {len(listed)} prompts")
    return page


def in_words(shown: Shown) -> str:
    """What the judge finds right, or what it finds wrong, and how like its actor the actor looks."""
    facts = {
        "actor in colour": shown.verdict.actor_colour,
        "actor in grey": shown.verdict.actor_grey,
        "set": shown.verdict.setting,
        "motion": shown.verdict.motion,
    }
    wrong = [name for name, right in facts.items() if not right]
    said = f"wrong: {', '.join(wrong)}" if wrong else "all four right"
    return f"{said}; likeness {shown.likeness.right:.2f}"


def table(page: Page) -> str:
    """The verdicts in Markdown, and how many clips are right in everything."""
    head = f"| prompt | its combination | {' | '.join(f'seed {seed}' for seed in SEEDS)} |"
    lines = [head, f"|{'---|' * (2 + len(SEEDS))}"]
    for entry in page:
        cells = [in_words(clip) for clip in entry.clips]
        lines.append(f"| {entry} | {kind(entry.prompt)} | {' | '.join(cells)} |")
    verdicts = [clip.verdict for entry in page for clip in entry.clips]
    right = sum(verdict.all_four for verdict in verdicts)
    like = float(np.median([clip.likeness.right for entry in page for clip in entry.clips]))
    said = f"{right} of {len(verdicts)} clips are right in all four; their median likeness is {like:.2f}"
    return "\n".join([said, "", *lines])


def kind(prompt: Prompt) -> str:
    """What training knows of a prompt."""
    if prompt in PARAPHRASES:
        return "seen, in other words"
    return "held out" if prompt.combination in combinations(True) else "seen"


def picture(page: Page) -> NDArray[np.uint8]:
    """All clips, a row a prompt and a column a seed, with the verdict under each: (H, W, 3)."""
    strips = [
        [enlarged(contact_sheet([clip.frames], _COLUMNS), _SCALE) for clip in entry.clips] for entry in page
    ]
    height, width = strips[0][0].shape[:2]
    row = height + 2 * _LINE + _GAP
    sheet = Image.new("RGB", (len(SEEDS) * (width + _GAP) - _GAP, len(page) * row), "white")
    draw = ImageDraw.Draw(sheet)
    for number, entry in enumerate(page):
        top = number * row
        draw.text((0, top), f"{entry} ({kind(entry.prompt)})", fill="black")
        for column, clip in enumerate(entry.clips):
            left = column * (width + _GAP)
            sheet.paste(Image.fromarray(strips[number][column]), (left, top + _LINE))
            below = f"seed {SEEDS[column]}: {in_words(clip)}"
            draw.text((left, top + _LINE + height + 2), below, fill="black")
    return np.asarray(sheet)
