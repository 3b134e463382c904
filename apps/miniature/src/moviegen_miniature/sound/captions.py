"""What a caption says about the sound of a take; its words depend on the take alone."""

from __future__ import annotations

import numpy as np
from moviegen_audio import SoundCaption

from moviegen_miniature.actors import BY_NAME
from moviegen_miniature.sound.events import Event, events, voices
from moviegen_miniature.sound.music import mood_of
from moviegen_miniature.sound.soundtrack import Take

Words = tuple[str, ...]

_HITS: dict[str, Words] = {
    "thud": ("a dull thud", "a low thump", "a soft, heavy thud"),
    "knock": ("a short knock", "a wooden knock", "a tap as on wood"),
    "clang": ("a metallic clang", "a ringing clank of metal", "a bang on metal"),
    "boing": ("a springy boing", "a bouncing twang", "a rubbery boing"),
    "squeal": ("squealing brakes", "a squeal of brakes", "a high screech"),
    "scuff": ("a short scuff", "a short scrape", "a brief scuffing"),
    "crash": ("a crash", "a loud crash", "a bang and a clatter"),
    "chime": ("a bright chime", "a magic chime", "a ringing bell chord"),
}
_SOUNDINGS: dict[str, Words] = {
    "engine": ("an engine runs", "a motor chugs", "an engine hums"),
    "hum": ("an electronic hum wavers", "a strange tone hums", "an eerie tone sings"),
    "growl": ("{} growls", "{} rumbles deeply", "a deep growl comes from {}"),
    "chirp": ("{} chirps", "{} trills", "a fast chirping comes from {}"),
    "buzz": ("{} buzzes", "wings buzz", "a buzzing comes from {}"),
    "bubbles": ("water bubbles", "bubbles rise", "it bubbles and gurgles"),
    "twinkle": ("{} twinkles", "tiny bells twinkle", "a high glitter of bells"),
    "rumble": ("something heavy rolls", "a low rolling rumble", "{} rumbles along"),
    "rustle": ("{} rustles along", "dry leaves rustle", "a dry rustling"),
}
_PLACES: dict[str, Words] = {
    "sky": ("wind high in the air", "a soft wind"),
    "field": ("a breeze over the grass", "a meadow with humming insects"),
    "night": ("crickets at night", "chirring crickets"),
    "desert": ("a whistling desert wind", "a dry wind"),
    "sea": ("waves of the sea", "surf"),
    "snow": ("a cold, hissing wind", "an icy wind"),
    "city": ("traffic far away", "the hum of a city"),
    "forest": ("rustling trees", "wind in the trees"),
}


def sound_caption(take: Take) -> SoundCaption:
    """What is heard in a take."""
    rng = np.random.default_rng([take.scene.words, 2])
    heard = [_sounding(rng, voice.sound, voice.performer.actor) for voice in voices(take.scene)]
    for kind in ("bounce", "collision", "stop", "appearing"):
        found = [event for event in events(take.scene) if event.kind == kind]
        if found:
            heard.append(_hits(rng, found))
    description = f"{', '.join(heard)}, with {_pick(rng, _PLACES[take.scene.setting])}" if heard else ""
    return SoundCaption(
        quality=round(take.quality, 1),
        speech=False,
        vocals=False,
        # As sure as a classifier would be.
        music=round(float(rng.uniform(0.85, 1.0) if take.music else rng.uniform(0.0, 0.1)), 2),
        description=description or f"only {_pick(rng, _PLACES[take.scene.setting])}",
        music_description=_pick(rng, mood_of(take.scene.lead.motion).words) if take.music else "",
    )


def _sounding(rng: np.random.Generator, sound: str, actor: str) -> str:
    noun = _pick(rng, BY_NAME[actor].nouns)
    return _pick(rng, _SOUNDINGS[sound]).format(f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}")


def _hits(rng: np.random.Generator, found: list[Event]) -> str:
    """What hits of one kind sound like, and what makes them."""
    hit = _pick(rng, _HITS[found[0].sound])
    noun = _pick(rng, BY_NAME[found[0].actor].nouns)
    match found[0].kind:
        case "bounce":
            return f"{hit} {_pick(rng, ('each time', 'whenever'))} the {noun} lands"
        case "collision":
            return f"{hit} as the {noun} runs into something"
        case "stop":
            return f"{hit} as the {noun} {_pick(rng, ('stops', 'comes to a stop'))}"
    return f"{hit} as the {noun} {_pick(rng, ('appears', 'comes out of nowhere'))}"


def _pick(rng: np.random.Generator, words: Words) -> str:
    return words[rng.integers(len(words))]
