"""The actors of the stage: what each is called, how it moves about, and where its animation comes from.

The pictures are the animated Fluent emoji of the npm packages `@lobehub/fluent-emoji-anim-1` to `-4` (MIT).
The choice is ours: subjects that differ in outline as well as in colour, that stay inside their frame, and
that are told apart at 28 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gait = Literal["fly", "drive", "sail", "walk", "waddle", "crawl", "scuttle", "hop", "swim", "float", "roll"]


@dataclass(frozen=True)
class Actor:
    """One actor.

    Args:
        name: how scenes call it.
        code: code point of its emoji, in hexadecimal, as in the file name of its animation.
        archive: which of the four packages holds it, 1 to 4.
        gait: how it gets about; captions choose their verbs by it.
        nouns: names in captions, the most usual first, without an article.
        faces: where it looks in its picture; it is mirrored when it moves the other way.
        span: first and last kept picture of a part of the animation, played back and forth; None: all of
            it, in a loop. Kept pictures are those at `sprites.RATE` a second.
    """

    name: str
    code: str
    archive: int
    gait: Gait
    nouns: tuple[str, ...]
    faces: Literal["left", "right", "front"] = "front"
    span: tuple[int, int] | None = None


ACTORS = (
    Actor("helicopter", "1f681", 3, "fly", ("helicopter", "orange helicopter", "chopper"), "left"),
    Actor("airplane", "2708-fe0f", 4, "fly", ("airplane", "plane", "jet plane"), "right"),
    Actor("rocket", "1f680", 3, "fly", ("rocket", "space rocket"), "right"),
    Actor("saucer", "1f6f8", 3, "fly", ("flying saucer", "spaceship", "alien spaceship")),
    Actor("bus", "1f68c", 3, "drive", ("bus", "yellow bus"), "left"),
    Actor("tractor", "1f69c", 3, "drive", ("tractor", "green tractor"), "left"),
    Actor("train", "1f682", 3, "drive", ("train", "steam train", "locomotive"), "left"),
    Actor("sailboat", "26f5", 4, "sail", ("sailboat", "sailing boat")),
    Actor("cow", "1f404", 1, "walk", ("cow", "spotted cow"), "left"),
    Actor("elephant", "1f418", 1, "walk", ("elephant", "grey elephant"), "left"),
    Actor("tiger", "1f42f", 1, "walk", ("tiger", "striped tiger")),
    Actor("dinosaur", "1f996", 3, "walk", ("dinosaur", "green dinosaur"), "left"),
    Actor("robot", "1f916", 3, "walk", ("robot", "friendly robot")),
    Actor("penguin", "1f427", 1, "waddle", ("penguin",)),
    Actor("duck", "1f986", 3, "waddle", ("duck", "mallard"), "left"),
    Actor("turtle", "1f422", 1, "crawl", ("turtle", "green turtle"), "left", (0, 8)),
    Actor("snail", "1f40c", 1, "crawl", ("snail", "brown snail"), "left"),
    Actor("crab", "1f980", 3, "scuttle", ("crab", "red crab")),
    Actor("frog", "1f438", 1, "hop", ("frog", "green frog")),
    Actor("dolphin", "1f42c", 1, "swim", ("dolphin", "blue dolphin"), "left"),
    Actor("fish", "1f420", 1, "swim", ("fish", "tropical fish"), "left"),
    Actor("octopus", "1f419", 1, "swim", ("octopus", "orange octopus"), "front", (7, 17)),
    Actor("bee", "1f41d", 1, "fly", ("bee", "honeybee", "striped bee"), "left"),
    Actor("butterfly", "1f98b", 3, "fly", ("butterfly", "orange butterfly"), "front", (13, 23)),
    Actor("parrot", "1f99c", 3, "fly", ("parrot", "red parrot"), "left"),
    Actor("ghost", "1f47b", 2, "float", ("ghost", "white ghost")),
    Actor("star", "2b50", 4, "float", ("star", "yellow star"), "front", (0, 8)),
    Actor("heart", "2764-fe0f", 4, "float", ("heart", "red heart"), "front", (13, 17)),
    Actor("pumpkin", "1f383", 1, "roll", ("pumpkin", "jack-o'-lantern", "laughing pumpkin")),
    Actor("snowman", "26c4", 4, "roll", ("snowman",)),
)
ACTOR_NAMES = tuple(actor.name for actor in ACTORS)
BY_NAME = {actor.name: actor for actor in ACTORS}
