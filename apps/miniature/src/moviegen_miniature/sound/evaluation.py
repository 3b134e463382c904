"""Everything that is asked of the miniature's sound models, measured in one run: the judges' own validation
on true soundtracks, the codec, and sounds made of pictures, of captions and of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from moviegen_audio import AudioCodec
from moviegen_runtime import Cast
from moviegen_runtime.media.cues import Cues, fitness
from moviegen_runtime.media.onsets import onsets
from moviegen_runtime.pipelines.score import SoundCast

from moviegen_miniature.casting import Split
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.goals import weights_goal
from moviegen_miniature.judge.intervals import Interval, mean_interval, median_interval, wilson
from moviegen_miniature.judge.report import Goal, exactly, goals_table, percent
from moviegen_miniature.judge.trials import Sampling, half_bytes, prompts, sampled
from moviegen_miniature.sound.classes import ClassJudge
from moviegen_miniature.sound.events import events
from moviegen_miniature.sound.moods import NONE, MoodJudge, with_mood
from moviegen_miniature.sound.music import MOODS, mood_of
from moviegen_miniature.sound.onsets import agreement, chance_f1, f1_interval, inner, others, shuffled
from moviegen_miniature.sound.report import Listened, Pair, kinds_table, listen, listen_to_truth, table
from moviegen_miniature.sound.sight import landings
from moviegen_miniature.sound.soundtrack import Take, soundtrack
from moviegen_miniature.sound.stage import Takes
from moviegen_miniature.sound.synthesis import SMALLEST_RATE
from moviegen_miniature.sound.trials import (
    Film,
    Sound,
    SoundSampling,
    captions,
    codec_fidelity,
    cues,
    films,
    given_back,
    made,
)
from moviegen_miniature.sprites import Sprites

_SEED = 40_000  # of the takes: others than those of any recipe and of other judges
_RIVALS = 3  # soundtracks of other clips that the true one is ranked among
_MANY = 1_000_000
_MANY_PROMPTS = 1000  # of which a few bounce
_LEAST_F1, _LEAST_CLASS = 0.80, 85.0
_MOST_ERROR = {24.0: 50.0, 8.0: 80.0}  # milliseconds, by frames a second


@dataclass(frozen=True)
class SoundPlan:
    """What is measured.

    Args:
        num_clips: of each kind.
        seconds: length of a clip.
        split: which clips.

    Raises:
        ValueError: `Takes` refuses the length or the number of clips.
    """

    num_clips: int = 200
    seconds: float = 4.0
    split: Split = "held_out"

    def __post_init__(self) -> None:
        self._source(self.num_clips)

    def takes(self, *, music_probability: float = 0.0) -> list[Take]:
        """The first takes of the split, at 8, 12 and 24 frames a second."""
        source = self._source(self.num_clips, music_probability)
        return [source.take(index) for index in range(self.num_clips)]

    def takes_with_events(self) -> list[Take]:
        """The first takes in which something happens, none with music: their captions name a sound."""
        source = self._source(_MANY)
        every = (source.take(index) for index in range(_MANY))
        return list(islice((take for take in every if events(take.scene)), self.num_clips))

    def _source(self, num_clips: int, music_probability: float = 0.0) -> Takes:
        return Takes(
            split=self.split,
            num_clips=num_clips,
            seed=_SEED,
            seconds=self.seconds,
            music_probability=music_probability,
        )


@dataclass
class SoundEvaluation:
    """What was measured so far.

    Args:
        classes: tells sounds apart.
        moods: tells music apart.
        plan: how much is measured.
        say: hears of progress.
    """

    classes: ClassJudge
    moods: MoodJudge
    plan: SoundPlan
    say: Callable[[str], None]
    rows: list[tuple[str, Sequence[Listened]]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def judges(self, rate: int) -> None:
        """The judges themselves, on true soundtracks at a rate."""
        heard = listen_to_truth(self.plan.takes(), rate, self.classes, self.say)
        self.rows.append(("true soundtracks", heard))
        self.goals += [
            Goal("onset judge, true soundtracks: F1", _f1(heard), 0.95, digits=3),
            _share("class judge, true soundtracks: class of clip", _mostly_right(heard), 98),
            _share("mood judge, true soundtracks: mood of the music, or none", self._moods_right(None), 98),
        ]

    def codec(self, codec: AudioCodec) -> None:
        """What a codec gives back: of sounds as it was trained on, and to the judges."""
        name = "codec, true soundtracks"
        whole = codec_fidelity(codec, self.plan.takes(music_probability=0.25), self.say)
        takes = self.plan.takes()
        heard = self._heard(name, takes, codec_fidelity(codec, takes, self.say).sounds, codec.sample_rate)
        self.goals += [
            Goal(f"{name}: mel distance", mean_interval(whole.mel), digits=3),
            Goal(f"{name}: SI-SDR", mean_interval(whole.si_sdr), unit=" dB", digits=2),
            Goal(f"{name}: F1", _f1(heard), digits=3),
            _share(f"{name}: class of clip", _mostly_right(heard)),
            _share(f"{name}: mood of the music, or none", self._moods_right(codec)),
        ]

    def ranking(self, cast: SoundCast, sprites: Sprites) -> None:
        """Ranking by what is seen, on true films: the true soundtrack beside those of other clips."""
        takes = self.plan.takes_with_events()
        film = films(takes, sprites)
        sounds = [soundtrack(take, rate=SMALLEST_RATE) for take in takes]
        rounds = [others(len(takes), seed=seed) for seed in range(_RIVALS)]
        above = []
        for place in range(len(takes)):
            seen = cues(cast, film(place))

            def scored(other: int, seen: Cues = seen) -> float:
                return fitness(seen, sounds[other], SMALLEST_RATE)

            true = scored(place)
            above.append([true > scored(order[place]) for order in rounds])
        self.say(f"{len(takes)} true soundtracks ranked")
        name = "ranking, true soundtracks"
        shares = [100 * sum(each) / len(each) for each in above]
        self.goals += [
            Goal(f"{name}: above another clip's", mean_interval(shares), 75, unit=" %"),
            _share(f"{name}: first of {_RIVALS + 1}", [all(each) for each in above]),
        ]

    def cast(self, cast: SoundCast, sprites: Sprites, sampling: SoundSampling, seeds: Sequence[int]) -> None:
        """Sounds of pictures, of pictures with captions, of captions with other pictures, of captions.

        Args:
            sampling: of all trials, whatever its own seed.
            seeds: trials; each makes every sound once, and goals take the first.
        """
        takes = self.plan.takes()
        seen, read = films(takes, sprites), captions(takes)
        swapped = others(len(takes))
        told = self.plan.takes_with_events()
        for number, seed in enumerate(seeds):
            trial = replace(sampling, seed=seed)
            alone = self._made(cast, f"pictures, seed {seed}", takes, trial, seen)
            both = self._made(cast, f"pictures and captions, seed {seed}", takes, trial, seen, read)
            wrong = self._made(
                cast,
                f"captions, pictures of other clips, seed {seed}",
                takes,
                trial,
                lambda place: seen(swapped[place]),
                read,
            )
            text = self._made(cast, f"captions alone, seed {seed}", told, trial, None, captions(told))
            if number == 0:
                self.goals += _picture_goals("pictures", alone)
                self.goals += _picture_goals("pictures and captions", both)
                self.goals.append(Goal("captions, pictures of other clips: F1", _f1(wrong), digits=3))
                self.goals += _text_goals(text)
                self.goals += self._music(cast, sprites, trial)
        self.goals.append(weights_goal(half_bytes(cast.codec, cast.dit)))

    def generated(
        self, cast: SoundCast, video: Cast, judge: Judge, sampling: SoundSampling, count: int
    ) -> None:
        """Sounds of generated clips, which have no truth: onsets against landings on the judge's track.

        Bounces only: nothing else of what a video model imitates happens at a moment.
        """
        many = prompts(judge.sprites, "seen", _MANY_PROMPTS)
        asked = [each for each in many if each.scene.lead.motion == "bounces"][:count]
        clips = sampled(video, asked, Sampling(sampling.seed), self.say)
        fps, seconds = asked[0].scene.fps, asked[0].scene.seconds
        sounds = made(
            cast, len(clips), seconds, sampling, self.say, film=lambda place: Film(clips[place], fps)
        )
        pairs = [
            (
                inner(onsets(sound, cast.codec.sample_rate), seconds),
                inner(landings(judge.read(clip).track, fps), seconds),
            )
            for sound, clip in zip(sounds, clips, strict=True)
        ]
        found, name = agreement(pairs), f"{len(clips)} generated clips of bounces"
        chance = chance_f1(pairs, [seconds] * len(pairs))
        self.goals += [
            Goal(f"{name}: landings on the judge's tracks", exactly(found.events), digits=0),
            Goal(f"{name}: onsets", exactly(found.onsets), digits=0),
            Goal(f"{name}: F1 of onsets against these landings", _f1_of(pairs), digits=3),
            Goal(f"{name}: F1 of as many onsets at random", exactly(chance), digits=3),
        ]

    def _moods_right(self, codec: AudioCodec | None) -> list[bool]:
        """Whether each mood is heard in true soundtracks, or in what a codec gives back of them.

        Moods follow each other in turn, whatever happens.
        """
        rng, rate = np.random.default_rng(_SEED), SMALLEST_RATE if codec is None else codec.sample_rate
        right = []
        for place, take in enumerate(self.plan.takes()):
            mood = (None, *MOODS)[place % (len(MOODS) + 1)]
            sound = with_mood(take, mood, rng, rate)
            if codec is not None:
                sound = given_back(codec, sound)
            right.append(self.moods.heard(sound, rate) == (NONE if mood is None else mood.name))
        return right

    def _music(self, cast: SoundCast, sprites: Sprites, sampling: SoundSampling) -> list[Goal]:
        """Music that captions ask for, without a film and with one, and where they ask for none."""
        asked, plain = self.plan.takes(music_probability=1.0), self.plan.takes()
        wanted = [mood_of(take.scene.lead.motion).name for take in asked]
        goals = []
        for given, film in (("captions alone", None), ("pictures and captions", films(asked, sprites))):
            name = f"{given}, of music"
            heard = self._moods(cast, name, asked, sampling, film)
            right = [mood == want for mood, want in zip(heard, wanted, strict=True)]
            goals.append(_share(f"{name}: music is heard", [mood != NONE for mood in heard]))
            goals.append(_share(f"{name}: its mood", right))
        name = "captions alone, of no music"
        heard = self._moods(cast, name, plain, sampling, None)
        return [*goals, _share(f"{name}: none is heard", [mood == NONE for mood in heard])]

    def _moods(
        self,
        cast: SoundCast,
        name: str,
        takes: Sequence[Take],
        sampling: SoundSampling,
        film: Callable[[int], Film] | None,
    ) -> list[str]:
        self.say(name)
        sounds = made(
            cast, len(takes), self.plan.seconds, sampling, self.say, film=film, words=captions(takes)
        )
        return [self.moods.heard(sound, cast.codec.sample_rate) for sound in sounds]

    def __str__(self) -> str:
        return "\n\n".join([goals_table(self.goals), table(self.rows), kinds_table(self.rows)])

    def _made(
        self,
        cast: SoundCast,
        name: str,
        takes: Sequence[Take],
        sampling: SoundSampling,
        film: Callable[[int], Film] | None,
        words: Sequence[str] | None = None,
    ) -> list[Listened]:
        self.say(name)
        sounds = made(cast, len(takes), self.plan.seconds, sampling, self.say, film=film, words=words)
        return self._heard(name, takes, sounds, cast.codec.sample_rate)

    def _heard(self, name: str, takes: Sequence[Take], sounds: Iterable[Sound], rate: int) -> list[Listened]:
        heard = [listen(take, sound, rate, self.classes) for take, sound in zip(takes, sounds, strict=True)]
        self.rows.append((name, heard))
        return heard


def _picture_goals(name: str, heard: Sequence[Listened]) -> list[Goal]:
    """What must be heard of what is seen, and what would be heard of it by chance."""
    pairs = [clip.pair for clip in heard]
    seconds = [clip.take.scene.seconds for clip in heard]
    return [
        Goal(f"{name}: F1", _f1(heard), _LEAST_F1, digits=3),
        Goal(f"{name}: F1 with events of other clips", _f1_of(shuffled(pairs)), digits=3),
        Goal(f"{name}: F1 of as many onsets at random", exactly(chance_f1(pairs, seconds)), digits=3),
        *(
            Goal(f"{name}: onset error at {fps:g} fps, median", _error(heard, fps), most=most, unit=" ms")
            for fps, most in _MOST_ERROR.items()
            if _errors(heard, fps)
        ),
        _share(f"{name}: class of clip", _mostly_right(heard), _LEAST_CLASS),
        _share(f"{name}: class of clip, events of other clips", _by_others(heard)),
    ]


def _text_goals(heard: Sequence[Listened]) -> list[Goal]:
    return [
        _share("captions alone: class of clip", _mostly_right(heard), _LEAST_CLASS),
        _share("captions alone: class of clip, captions of other clips", _by_others(heard)),
    ]


def _f1(heard: Sequence[Listened]) -> Interval:
    return _f1_of([clip.pair for clip in heard])


def _f1_of(pairs: Sequence[Pair]) -> Interval:
    return Interval(agreement(pairs).f1, *f1_interval(pairs))


def _error(heard: Sequence[Listened], fps: float) -> Interval:
    return median_interval(_errors(heard, fps))


def _errors(heard: Sequence[Listened], fps: float) -> list[float]:
    """Milliseconds between matched onsets and events of the clips of one frame rate."""
    found = agreement([clip.pair for clip in heard if clip.take.scene.fps == fps]).errors
    return [float(error) for error in 1000 * np.abs(found)]


def _mostly_right(heard: Sequence[Listened]) -> list[bool]:
    return [clip.mostly_of(clip.events) for clip in heard if clip.events]


def _by_others(heard: Sequence[Listened]) -> list[bool]:
    """The same, had each clip the events of another: what is right by chance."""
    loud = [clip for clip in heard if clip.events]
    return [clip.mostly_of(loud[other].events) for clip, other in zip(loud, others(len(loud)), strict=True)]


def _share(name: str, facts: Sequence[bool], least: float | None = None) -> Goal:
    return Goal(name, percent(wilson(sum(facts), len(facts))), least, unit=" %")
