"""Captions: one English sentence for a scene, with varied words and order.

Every caption names the actor, its motion and its set; a pan and a second actor are named when there are
any. The words depend on the scene alone. The first of a table of `wording` is the usual one.
"""

from __future__ import annotations

import numpy as np

from moviegen_miniature.actors import BY_NAME
from moviegen_miniature.scene import Performer, Scene
from moviegen_miniature.wording import (
    ALONE,
    DOINGS,
    GO,
    GO_ANYHOW,
    LARGE,
    PANS,
    PLACES,
    RISE,
    SINK,
    SMALL,
    STAY,
    STAY_ANYHOW,
    SYNONYMS,
    WAYS,
    Words,
)


def caption(scene: Scene) -> str:
    """The sentence of a scene, in lower case, without a full stop."""
    rng = np.random.default_rng(scene.words)
    actor = _actor(rng, scene.lead)
    place = _usual(rng, PLACES[scene.setting])
    if scene.frames == 1:
        return f"{actor} {place}"
    doing = _doing(rng, scene.lead)
    beside = f" beside {_noun(rng, scene.second.actor)}" if scene.second is not None else ""
    order = rng.random()
    if order < 0.5:
        sentence = f"{actor} {doing}{beside} {place}"
    elif order < 0.75:
        sentence = f"{place}, {actor} {doing}{beside}"
    elif order < 0.9:
        sentence = f"{actor} {place} {doing}{beside}"
    else:
        sentence = f"{actor} {doing}{beside}, {place}"
    return f"{sentence}, {_pick(rng, PANS[scene.pan])}" if scene.pan else sentence


def _doing(rng: np.random.Generator, lead: Performer) -> str:
    gait = BY_NAME[lead.actor].gait
    match lead.motion:
        case "still":
            return _pick(rng, STAY[gait] if rng.random() < 0.5 else STAY_ANYHOW)
        case "grows" | "shrinks" | "bounces":
            return _usual(rng, DOINGS[lead.motion])
        case "up" | "down" | "circles" if rng.random() < 0.25:
            return _pick(rng, ALONE[lead.motion])
        case "up" | "down" if gait not in ("fly", "swim", "float"):
            return f"{_pick(rng, RISE if lead.motion == 'up' else SINK)} {_way(rng, lead)}"
        case "diagonal" if rng.random() < 0.3:
            return f"crosses {_way(rng, lead)}"
    verb = _usual(rng, GO[gait]) if rng.random() < 0.7 else _pick(rng, GO_ANYHOW)
    return f"{verb} {_way(rng, lead)}"


def _way(rng: np.random.Generator, lead: Performer) -> str:
    way = _usual(rng, WAYS[lead.motion])
    if lead.motion == "diagonal" and rng.random() < 0.7:
        side = "right" if lead.turn > 0 else "left"
        return f"{way} {'up' if lead.climb < 0 else 'down'} to the {side}"
    return way


def _actor(rng: np.random.Generator, lead: Performer) -> str:
    """The lead with its article, and now and then a word about its size where that is plain to see."""
    if lead.motion == "still" and rng.random() < 0.3:
        if lead.size > 46 / 64:
            return _noun(rng, lead.actor, LARGE)
        if lead.size < 38 / 64:
            return _noun(rng, lead.actor, SMALL)
    return _noun(rng, lead.actor)


def _noun(rng: np.random.Generator, actor: str, adjectives: Words = ()) -> str:
    if adjectives:  # some of the other names say a size of their own
        noun = f"{_pick(rng, adjectives)} {_pick(rng, BY_NAME[actor].nouns)}"
    else:
        noun = _usual(rng, BY_NAME[actor].nouns + SYNONYMS[actor])
    if rng.random() < 0.15:
        return f"the {noun}"
    return with_article(noun)


def with_article(noun: str) -> str:
    """A noun after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _usual(rng: np.random.Generator, words: Words) -> str:
    """The first word a third of the time, any of them otherwise."""
    return words[0] if rng.random() < 1 / 3 else _pick(rng, words)


def _pick(rng: np.random.Generator, words: Words) -> str:
    return words[rng.integers(len(words))]
