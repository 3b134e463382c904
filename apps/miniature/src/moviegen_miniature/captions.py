"""Captions: one English sentence for a scene, with varied words and order.

Every caption names the actor, its motion and its set; a pan and a second actor are named when there are
any. The words depend on the scene alone.
"""

from __future__ import annotations

import numpy as np

from moviegen_miniature.actors import BY_NAME, Gait
from moviegen_miniature.scene import Performer, Scene

Words = tuple[str, ...]

# Third person singular of going somewhere.
_GO: dict[Gait, Words] = {
    "fly": ("flies", "moves", "glides"),
    "drive": ("drives", "rolls", "moves"),
    "sail": ("sails", "glides", "moves"),
    "walk": ("walks", "moves", "strolls"),
    "waddle": ("waddles", "walks", "moves"),
    "crawl": ("crawls", "creeps", "moves"),
    "scuttle": ("scuttles", "crawls", "moves"),
    "hop": ("hops", "moves", "goes"),
    "swim": ("swims", "glides", "moves"),
    "float": ("floats", "drifts", "moves"),
    "roll": ("rolls", "slides", "moves"),
}
_STAY: dict[Gait, Words] = {
    "fly": ("hovers in place", "stays still", "hovers without moving"),
    "drive": ("stands still", "is parked", "stays in place"),
    "sail": ("lies still", "stays in place", "rests without moving"),
    "walk": ("stands still", "stays in place", "waits without moving"),
    "waddle": ("stands still", "stays in place", "waits without moving"),
    "crawl": ("stays still", "rests in place", "waits without moving"),
    "scuttle": ("stays still", "stays in place", "waits without moving"),
    "hop": ("sits still", "stays in place", "waits without moving"),
    "swim": ("stays still", "stays in place", "rests without moving"),
    "float": ("hovers in place", "stays still", "hangs still"),
    "roll": ("stands still", "stays in place", "stays still"),
}
_WAYS: dict[str, Words] = {
    "left": ("to the left", "left", "from right to left", "towards the left"),
    "right": ("to the right", "right", "from left to right", "towards the right"),
    "up": ("up", "upwards", "straight up", "up to the top"),
    "down": ("down", "downwards", "straight down", "down to the bottom"),
    "diagonal": ("diagonally", "along a diagonal"),
    "circles": ("in a circle", "in circles", "round and round"),
}
# Going up or down is rising or falling for whatever does not fly or swim.
_RISE = ("rises", "goes", "moves", "floats")
_SINK = ("sinks", "goes", "moves", "floats")
_DOINGS: dict[str, Words] = {
    "grows": ("grows larger", "gets bigger and bigger", "grows", "becomes larger", "comes closer and grows"),
    "shrinks": ("shrinks", "gets smaller and smaller", "becomes smaller", "shrinks away"),
    "bounces": ("bounces", "bounces up and down", "jumps up and down", "keeps bouncing"),
}
_PLACES: dict[str, Words] = {
    "sky": ("in the blue sky", "among the clouds", "in front of white clouds", "high in the sky"),
    "field": ("over a green field", "over green hills", "in a green meadow", "in front of a green field"),
    "night": ("at night", "under the moon and stars", "in the night sky", "in the starry night"),
    "desert": ("in the desert", "over the sand dunes", "in front of a pyramid", "over a sandy desert"),
    "sea": ("over the sea", "over the blue ocean", "at sea", "above the waves"),
    "snow": ("over the snow", "in front of snowy mountains", "over the snowy hills", "in a snowy land"),
    "city": ("in the city", "in front of city buildings", "over a street in the city", "in a town at dusk"),
    "forest": ("in the forest", "among the trees", "in a green forest", "in the woods"),
}
_PANS = {
    -1: ("the camera pans left", "the camera turns left"),
    1: ("the camera pans right", "the camera turns right"),
}


def caption(scene: Scene) -> str:
    """The sentence of a scene, in lower case, without a full stop."""
    rng = np.random.default_rng(scene.words)
    actor = _actor(rng, scene.lead)
    place = _pick(rng, _PLACES[scene.setting])
    if scene.frames == 1:
        return f"{actor} {place}"
    doing = _doing(rng, scene.lead)
    beside = f" beside {_noun(rng, scene.second.actor)}" if scene.second is not None else ""
    order = rng.random()
    if order < 0.6:
        sentence = f"{actor} {doing}{beside} {place}"
    elif order < 0.85:
        sentence = f"{place}, {actor} {doing}{beside}"
    else:
        sentence = f"{actor} {place} {doing}{beside}"
    return f"{sentence}, {_pick(rng, _PANS[scene.pan])}" if scene.pan else sentence


def _doing(rng: np.random.Generator, lead: Performer) -> str:
    gait = BY_NAME[lead.actor].gait
    match lead.motion:
        case "still":
            return _pick(rng, _STAY[gait])
        case "grows" | "shrinks" | "bounces":
            return _pick(rng, _DOINGS[lead.motion])
        case "up" | "down" if gait not in ("fly", "swim", "float"):
            return f"{_pick(rng, _RISE if lead.motion == 'up' else _SINK)} {_way(rng, lead)}"
        case "circles" if rng.random() < 0.2:
            return "circles around"
        case "diagonal" if rng.random() < 0.5:
            return f"crosses {_way(rng, lead)}"
    return f"{_pick(rng, _GO[gait])} {_way(rng, lead)}"


def _way(rng: np.random.Generator, lead: Performer) -> str:
    way = _pick(rng, _WAYS[lead.motion])
    if lead.motion == "diagonal" and rng.random() < 0.7:
        side = "right" if lead.turn > 0 else "left"
        return f"{way} {'up' if lead.climb < 0 else 'down'} to the {side}"
    return way


def _actor(rng: np.random.Generator, lead: Performer) -> str:
    """The lead with its article, and now and then a word about its size where that is plain to see."""
    if lead.motion == "still" and rng.random() < 0.3:
        if lead.size > 46 / 64:
            return _noun(rng, lead.actor, ("big", "large"))
        if lead.size < 38 / 64:
            return _noun(rng, lead.actor, ("small", "little"))
    return _noun(rng, lead.actor)


def _noun(rng: np.random.Generator, actor: str, adjectives: Words = ()) -> str:
    nouns = BY_NAME[actor].nouns
    # The usual name half of the time, any of them otherwise.
    noun = nouns[0] if rng.random() < 0.5 else _pick(rng, nouns)
    if adjectives:
        noun = f"{_pick(rng, adjectives)} {noun}"
    if rng.random() < 0.15:
        return f"the {noun}"
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _pick(rng: np.random.Generator, words: Words) -> str:
    return words[rng.integers(len(words))]
