"""Effects of every class one after the other, for a codec to learn from.

In clips of the stage something begins every other second, mostly of a few classes, and between lies ambience.
A codec that was trained on those learned ambience well, and rare effects badly.
"""

from __future__ import annotations

import numpy as np
from moviegen_audio import SoundCaption
from moviegen_runtime.data.sounds import CaptionedSound

from moviegen_miniature.casting import check_options, place_of
from moviegen_miniature.scene import MOTIONS
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.sound.ambience import ambience
from moviegen_miniature.sound.casting import APART
from moviegen_miniature.sound.effects import impact, voice
from moviegen_miniature.sound.events import SOUNDS, VOICE
from moviegen_miniature.sound.music import mood_of, music
from moviegen_miniature.sound.soundtrack import (
    AMBIENCE_LEVEL,
    BEST,
    MUSIC_PEAK,
    RATE,
    WORST,
    hiss_of,
    level,
    within_range,
)
from moviegen_miniature.sound.synthesis import SMALLEST_RATE, Samples

_LONGEST_GAP = 1.0  # seconds from one beginning to the next
_SHORTEST_VOICE, _LONGEST_VOICE = 0.3, 1.5
_CALLED_SHARE = 0.8
_MUSIC_SHARE = 0.15


class StageMedleys:
    """Medleys of the stage's sounds by index: the `SoundSource` "stage-medleys".

    Over the ambience of a set, and a hiss, effects begin 0.3 to 1 s apart; each is any of `SOUNDS` as often
    as another, soft or loud. Voices last 0.3 to 1.5 s, and a fifth of them begins without a call. There is
    music in 15 %. Medley i is always the same one. Its caption names the sounds in order, and the mood.

    Args:
        num_clips: length of the source.
        seed: another seed gives other medleys.
        seconds: length of each, 1 to 60.
        rate: samples a second, at least 16,000.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self, *, num_clips: int = 100_000, seed: int = 0, seconds: float = 2.0, rate: int = RATE
    ) -> None:
        whole = {"num_clips": (num_clips, 1), "seed": (seed, 0), "rate": (rate, SMALLEST_RATE)}
        check_options("train", whole, {})
        if not 1 <= seconds <= 60:
            raise ValueError(f"seconds must be from 1 to 60, not {seconds!r}")
        self.num_clips = num_clips
        self.seed = seed
        self.samples = round(seconds * rate)
        self.rate = rate

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> CaptionedSound:
        rng = np.random.default_rng([self.seed, place_of(index, self.num_clips), 3])
        quality, has_music = rng.uniform(WORST, BEST), bool(rng.random() < _MUSIC_SHARE)
        samples, rate = self.samples, self.rate
        mood = mood_of(_any(rng, MOTIONS))
        whole = AMBIENCE_LEVEL * ambience(_any(rng, SETTINGS), rng, samples, rate)
        whole += hiss_of(quality) * rng.standard_normal(samples, dtype=np.float32)
        if has_music:
            whole += MUSIC_PEAK * music(mood, rng, samples, rate)
        heard = []
        moment = rng.uniform(0, min(_LONGEST_GAP, samples / rate / 2))
        while (first := round(moment * rate)) < samples:
            heard.append(_any(rng, SOUNDS))
            sound = level(rng.random()) * _effect(heard[-1], rng, rate)
            whole[first : first + len(sound)] += sound[: samples - first]
            moment += rng.uniform(APART, _LONGEST_GAP)
        caption = SoundCaption(
            quality=round(quality, 1),
            speech=False,
            vocals=False,
            music=float(has_music),
            description=", ".join(heard),
            music_description=mood.words[0] if has_music else "",
        )
        return CaptionedSound(within_range(whole[None].astype(np.float32)), rate, caption)


def _any(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[rng.integers(len(names))]


def _effect(name: str, rng: np.random.Generator, rate: int) -> Samples:
    if name not in VOICE.values():
        return impact(name, rng, rate)
    samples = round(rng.uniform(_SHORTEST_VOICE, _LONGEST_VOICE) * rate)
    return voice(name, rng, rate, samples, called=bool(rng.random() < _CALLED_SHARE))
