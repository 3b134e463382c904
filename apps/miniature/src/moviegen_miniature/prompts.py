"""Prompts that were written down by hand, each with the combination of the stage that it means.

The paraphrases were there before any model was trained for them. Their rule: every word is either one of
`SHARED_WORDS`, which name nothing of the stage, or a word that no caption can say, nor anything like one: it
does not begin with the same four letters as a word of a caption, and neither begins nor ends with a whole
one. So a model that makes the right clip of them has its meaning from the text encoder alone. All of their
combinations occur in training: what is tried is the wording.
"""

from __future__ import annotations

from typing import NamedTuple

from moviegen_miniature.casting import Combination


class Prompt(NamedTuple):
    """A sentence, and the actor, motion and set that it means."""

    text: str
    combination: Combination


SHARED_WORDS = frozenset(
    ["a", "an", "the", "in", "of", "to", "on", "at", "with", "by", "from", "for", "its", "and", "as"]
)
"""Words that captions and paraphrases may share."""

PARAPHRASES = (
    Prompt("a rotorcraft heads west amid urban towers", ("helicopter", "left", "city")),
    Prompt("an airliner climbs amid cumulus", ("airplane", "up", "sky")),
    Prompt("a missile soars in pitch darkness", ("rocket", "up", "night")),
    Prompt("a ufo orbits on a ring in arid egypt", ("saucer", "circles", "desert")),
    Prompt("a school coach heads east in manhattan", ("bus", "right", "city")),
    Prompt("a ploughing machine heads west amid alpine ice", ("tractor", "left", "snow")),
    Prompt("a railway engine recedes in wintry chill", ("train", "shrinks", "snow")),
    Prompt("a yacht travels slantwise amid alpine ice", ("sailboat", "diagonal", "snow")),
    Prompt("a heifer, motionless, in a pasture", ("cow", "still", "field")),
    Prompt("a pachyderm approaches and swells in the sahara", ("elephant", "grows", "desert")),
    Prompt("a bengal feline leaps like a rubber ball in the jungle", ("tiger", "bounces", "forest")),
    Prompt("a jurassic reptile expands in a metropolis", ("dinosaur", "grows", "city")),
    Prompt("an android dwindles in the sahara", ("robot", "shrinks", "desert")),
    Prompt("an antarctic bird in a tuxedo heads east on a glacier", ("penguin", "right", "snow")),
    Prompt("a drake, immobile, on a lagoon", ("duck", "still", "sea")),
    Prompt("a tortoise descends amid cumulus", ("turtle", "down", "sky")),
    Prompt("a slug plummets amid pines", ("snail", "down", "forest")),
    Prompt("a crustacean leaps on a trampoline near the pacific coast", ("crab", "bounces", "sea")),
    Prompt("a toad leaps like a rubber ball in the countryside", ("frog", "bounces", "field")),
    Prompt("a porpoise loops on the atlantic", ("dolphin", "circles", "sea")),
    Prompt("a guppy travels slantwise on the atlantic", ("fish", "diagonal", "sea")),
    Prompt("a squid descends after dark", ("octopus", "down", "night")),
    Prompt("a wasp inflates amid cumulus", ("bee", "grows", "sky")),
    Prompt("a moth heads east in a dense grove", ("butterfly", "right", "forest")),
    Prompt("a macaw travels obliquely in the jungle", ("parrot", "diagonal", "forest")),
    Prompt("a phantom ascends in manhattan", ("ghost", "up", "city")),
    Prompt("a golden pentagram, motionless, after dark", ("star", "still", "night")),
    Prompt("a valentine heads west on a prairie", ("heart", "left", "field")),
    Prompt("a halloween gourd dwindles after dark", ("pumpkin", "shrinks", "night")),
    Prompt(
        "a frosty figure with a carrot nose orbits on a ring in a pasture", ("snowman", "circles", "field")
    ),
)

GALLERY = (
    Prompt("a helicopter flies to the right over a green field", ("helicopter", "right", "field")),
    Prompt("a frog hops in a circle in the woods", ("frog", "circles", "forest")),
    Prompt("a rocket flies straight up at night", ("rocket", "up", "night")),
    Prompt("a penguin waddles to the left over the snow", ("penguin", "left", "snow")),
    Prompt("an elephant grows larger in the desert", ("elephant", "grows", "desert")),
    Prompt("a fish stays still among the clouds", ("fish", "still", "sky")),
    Prompt("a yellow bus bounces over a street in the city", ("bus", "bounces", "city")),
    PARAPHRASES[24],  # the macaw
)
