"""Sound models before the judges: tiny ones of random weights, through the command itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioDiT,
    SightConfig,
    codec_preset,
    dit_preset,
    load_sight,
    save_codec,
    save_dit,
)
from moviegen_miniature.fetch import SPRITES_FILE
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.trials import Asked
from moviegen_miniature.render import render
from moviegen_miniature.sound import classes, trials
from moviegen_miniature.sound import evaluation as evaluation_module
from moviegen_miniature.sound.classes import fit_class_judge
from moviegen_miniature.sound.evaluation import SoundEvaluation, SoundPlan
from moviegen_miniature.sound.events import events
from moviegen_miniature.sound.judge_command import SoundJudge
from moviegen_miniature.sound.moods import NAMES, NONE, fit_mood_judge, with_mood
from moviegen_miniature.sound.music import MOODS
from moviegen_miniature.sound.onsets import others
from moviegen_miniature.sound.report import Listened
from moviegen_miniature.sound.sampling_command import SoundSamplingStudy
from moviegen_miniature.sound.sampling_study import settings
from moviegen_miniature.sound.soundtrack import soundtrack
from moviegen_miniature.sound.trials import (
    Film,
    Sound,
    SoundSampling,
    captions,
    codec_fidelity,
    films,
    made,
)
from moviegen_miniature.sprites import Sprites, save_sprites
from moviegen_runtime import load
from moviegen_runtime.media.cues import Cues
from moviegen_runtime.metrics import Frames
from moviegen_runtime.pipelines.composer import load_composer
from moviegen_runtime.pipelines.score import SoundCast

ONE_STEP = SoundSampling(steps=1, guidance=3.0, method="euler")


def silent(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Codec and transformer, tiny, of random weights that say something."""
    place = tmp_path_factory.mktemp("sounds")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = AudioCodec(
            codec_preset("miniature").model_copy(
                update={"encoder_width": 2, "decoder_width": 16, "hidden_width": 8, "latent_channels": 4}
            )
        )
        dit = AudioDiT(
            dit_preset("miniature").model_copy(
                update={
                    "width": 16,
                    "layers": 1,
                    "heads": 2,
                    "mlp_width": 32,
                    "video_width": 8,
                    "latent_channels": 4,
                    "sight": SightConfig(side=64, channels=(4, 4), width=8, frames=3, bands=21),
                }
            )
        )
        for values in dit.parameters():
            torch.nn.init.normal_(values, std=0.2)
    save_codec(codec, place / "audio" / "codec")
    save_dit(dit, place / "audio" / "dit")
    return place


@pytest.fixture(scope="module")
def sound_cast(folder: Path) -> SoundCast:
    return load_composer(folder, device="cpu").models


def test_everything_is_measured_in_one_run(
    folder: Path, sprites: Sprites, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_sprites(sprites, tmp_path / SPRITES_FILE)
    SoundJudge(str(folder), seconds=2.0, method="euler", quick=True, cache=tmp_path).run()
    printed = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    for name in (
        "true soundtracks",
        "codec, true soundtracks",
        "pictures, seed 0",
        "pictures and captions, seed 0",
        "captions, pictures of other clips, seed 0",
        "captions alone, seed 0",
    ):
        assert rows.count(name) == 2  # in both tables of the judges
    assert "onset judge, true soundtracks: F1" in rows
    assert "pictures: F1 with events of other clips" in rows
    assert "weights of both in float16" in rows
    assert printed.startswith("6 clips of 2 s, held_out; 2 steps of euler, guidance 3")


def test_a_codec_is_measured_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge = SoundJudge(codec=str(folder / "audio" / "codec"), seconds=2.0, quick=True)
    judge.run()
    printed = capsys.readouterr().out
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert rows.count("codec, true soundtracks") == 2
    assert "codec, true soundtracks: mel distance" in rows
    assert not any("pictures" in row or "captions" in row for row in rows)
    with pytest.raises(ValueError, match="a codec alone"):
        replace(judge, video="miniature").run()


def test_takes_with_events_are_the_first_that_have_some() -> None:
    plan = SoundPlan(8)
    named = plan.takes_with_events()
    assert len(named) == 8
    assert all(events(take.scene) for take in named)
    assert not any(take.music for take in [*plan.takes(), *named])
    assert [take for take in plan.takes() if events(take.scene)] == named[: len(named)][
        : sum(bool(events(take.scene)) for take in plan.takes())
    ]
    with pytest.raises(ValueError, match="seconds must be from 2"):
        SoundPlan(8, seconds=1.0)


def test_a_sound_depends_on_its_film_caption_and_seed_and_not_on_the_batch(
    sound_cast: SoundCast, sprites: Sprites
) -> None:
    takes = SoundPlan(3, 2.0).takes_with_events()
    seen, read = films(takes, sprites), captions(takes)

    def sounds(seed: int = 0, batch: int = 3, *, swap: bool = False, mute: bool = False) -> np.ndarray:
        sampling = replace(ONE_STEP, seed=seed, steps=2, guidance=2.0, batch=batch)
        order = others(3) if swap else [0, 1, 2]
        words = None if mute else read
        found = made(sound_cast, 3, 2.0, sampling, silent, film=lambda i: seen(order[i]), words=words)
        return np.stack(list(found))

    whole = sounds()
    assert whole.shape == (3, 1, 32_000)
    np.testing.assert_allclose(sounds(batch=2), whole, atol=1e-5)
    for other in (sounds(seed=1), sounds(swap=True), sounds(mute=True)):
        assert (np.abs(other - whole).max((1, 2)) > 1e-4).all()


def test_pictures_are_seen_at_their_own_times(sound_cast: SoundCast) -> None:
    """The same film at another rate, each picture shown as often as it must be, gives the same sound."""
    rng = np.random.default_rng(0)
    slow = Film(rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8), 8.0)
    fast = Film(slow.frames.repeat(3, 0), 24.0)
    one, other = (
        next(made(sound_cast, 1, 2.0, ONE_STEP, silent, film=lambda _, film=film: film))
        for film in (slow, fast)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_true_soundtracks_reach_what_is_asked_and_those_of_others_do_not() -> None:
    plan = SoundPlan(24, 3.0)
    evaluation = SoundEvaluation(fit_class_judge(250), fit_mood_judge(300, seconds=3.0), plan, silent)
    evaluation.judges(16_000)
    assert all(goal.reached for goal in evaluation.goals)
    (_, heard) = evaluation.rows[0]
    loud = [clip for clip in heard if clip.events]
    wrong = [clip.mostly_of(loud[other].events) for clip, other in zip(loud, others(len(loud)), strict=True)]
    assert np.mean(wrong) < 0.5
    assert all(clip.all_of(clip.events) for clip in loud)


def test_music_is_told_by_its_notes_and_not_by_what_happens() -> None:
    judge, rng = fit_mood_judge(300, seconds=3.0), np.random.default_rng(0)
    takes = SoundPlan(12, 3.0).takes()
    right = [
        judge.heard(with_mood(take, mood, rng), 16_000) == (NONE if mood is None else mood.name)
        for take in takes
        for mood in (None, *MOODS)
    ]
    assert np.mean(right) > 0.9
    assert len(set(NAMES)) == len(MOODS) + 1


def test_classes_of_a_clip_by_hand() -> None:
    take = next(
        take for take in SoundPlan(50).takes_with_events() if take.scene.lead.motion in ("left", "right")
    )
    asked = events(take.scene)
    names = [event.sound for event in asked]
    times = np.array([event.seconds for event in asked])

    def clip(*heard: str) -> Listened:
        return Listened(take, np.resize(times, len(heard)), asked, heard)

    assert clip(*names).mostly_of(asked)
    assert clip(*names).all_of(asked)
    assert clip(*names).sounds == tuple(names)
    assert not clip().mostly_of(asked)
    assert not clip("boing", "chime").mostly_of(asked)
    assert not clip(names[0], "boing").mostly_of(asked)
    assert clip(names[0], names[0], "boing").mostly_of(asked)
    assert not clip(names[0]).all_of(asked)


@pytest.fixture
def seeing(sound_cast: SoundCast) -> SoundCast:
    """It sees as the miniature does."""
    sight = load_sight("miniature")
    seen = {"sight": sight.config, "video_width": sight.width}
    dit = AudioDiT(sound_cast.dit.config.model_copy(update=seen)).eval()
    assert dit.sight is not None
    dit.sight.load_state_dict(sight.state_dict())
    return replace(sound_cast, dit=dit, sight=dit.sight)


@pytest.fixture
def unseeing(sound_cast: SoundCast) -> SoundCast:
    """It reads features of pictures that foresee nothing, so motion has to serve."""
    dit = AudioDiT(sound_cast.dit.config.model_copy(update={"sight": None})).eval()
    return replace(sound_cast, dit=dit)


@pytest.mark.parametrize("name", ["seeing", "unseeing"])
def test_the_true_soundtrack_ranks_first(name: str, sprites: Sprites, request: pytest.FixtureRequest) -> None:
    evaluation = SoundEvaluation(fit_class_judge(20), fit_mood_judge(7), SoundPlan(24, 4.0), silent)
    evaluation.ranking(request.getfixturevalue(name), sprites)
    above, first = evaluation.goals
    assert above.reached
    assert above.measured.value > first.measured.value > 50


def test_the_draw_that_fits_best_is_kept(
    sound_cast: SoundCast, sprites: Sprites, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = SoundPlan(2, 2.0).takes_with_events()
    film = films(takes, sprites)
    seen: list[float] = []

    def liked(cues: Cues, samples: Sound, rate: int) -> float:
        del cues
        assert samples.shape == (1, 2 * rate)
        seen.append(float(len(seen) % 3 == 0))  # the first draw of each
        return seen[-1]

    monkeypatch.setattr(trials, "fitness", liked)
    best = list(made(sound_cast, 2, 2.0, replace(ONE_STEP, candidates=3), silent, film=film))
    one = list(made(sound_cast, 2, 2.0, ONE_STEP, silent, film=film))
    assert len(seen) == 6
    np.testing.assert_allclose(np.stack(best), np.stack(one), atol=1e-5)


def test_ways_to_sample_are_listed_once_and_compared(
    folder: Path,
    sprites: Sprites,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classes, "fit_class_judge", lambda: fit_class_judge(20))  # the whole takes a minute
    usual = replace(ONE_STEP, steps=16)
    listed = settings(usual, (8, 16, 32, 64), ("euler", "midpoint"), (1.0, 2.0, 3.0, 5.0), (1, 4))
    assert len(listed) == 8 + 3 + 1
    assert listed.count(usual) == 1
    save_sprites(sprites, tmp_path / SPRITES_FILE)
    SoundSamplingStudy(
        str(folder),
        num_clips=2,
        seconds=2.0,
        steps=(1,),
        methods=("euler",),
        guidances=(2.0,),
        candidates=(2,),
        usual_steps=1,
        cache=tmp_path,
    ).run()
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:5]] for line in lines if line.startswith("|")]
    assert cells[2:] == [["euler", "1", "3", "1"], ["euler", "1", "2", "1"], ["euler", "1", "3", "2"]]
    with pytest.raises(ValueError, match="--num-clips must be at least 2"):
        SoundSamplingStudy(num_clips=1).run()


def test_generated_clips_are_compared_with_what_is_tracked(
    sound_cast: SoundCast, sprites: Sprites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A video model that draws the truth, and a judge of landings that finds one at 1 s."""
    evaluation = SoundEvaluation(fit_class_judge(20), fit_mood_judge(7), SoundPlan(2), silent)
    motions = []

    def drawn(cast: object, asked: list[Asked], *rest: object) -> list[Frames]:
        del cast, rest
        motions.extend(each.scene.lead.motion for each in asked)
        return [render(each.scene, sprites).frames for each in asked]

    monkeypatch.setattr(evaluation_module, "sampled", drawn)
    monkeypatch.setattr(evaluation_module, "landings", lambda *_: np.array([0.0, 1.0]))
    monkeypatch.setattr(evaluation_module, "onsets", lambda *_: np.array([1.1, 1.5]))
    evaluation.generated(sound_cast, load("miniature"), Judge.load(None, sprites), ONE_STEP, 2)
    assert motions == ["bounces"] * 2
    assert [goal.measured.value for goal in evaluation.goals[:3]] == [2, 4, pytest.approx(2 * 2 / 6)]


def test_a_codec_is_compared_with_what_it_was_given(sound_cast: SoundCast) -> None:
    takes = SoundPlan(2, 2.0).takes()
    result = codec_fidelity(sound_cast.codec, takes, silent)
    assert [sound.shape for sound in result.sounds] == [(1, 32_000)] * 2
    assert all(distance > 0 for distance in result.mel)
    assert all(ratio < 0 for ratio in result.si_sdr)
    assert soundtrack(takes[0], rate=16_000).shape == result.sounds[0].shape


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="--num-clips must be at least 2"):
        SoundJudge(num_clips=1).run()
    with pytest.raises(ValueError, match="--seeds must be whole numbers"):
        SoundJudge(seeds=(-1,)).run()
