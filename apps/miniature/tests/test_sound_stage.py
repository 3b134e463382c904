"""The stage with sound as a source, its films and its pictures."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from moviegen_miniature.__main__ import main
from moviegen_miniature.render import render
from moviegen_miniature.sound.classes import fit_class_judge
from moviegen_miniature.sound.events import SOUNDS
from moviegen_miniature.sound.film import marks, write_sound_clip
from moviegen_miniature.sound.medley import StageMedleys
from moviegen_miniature.sound.stage import SoundStage, open_sound_stage
from moviegen_miniature.sprites import Sprites, save_sprites
from moviegen_runtime.data.sounds import open_sounds
from moviegen_runtime.data.source import CaptionedClip, open_source
from moviegen_runtime.media.onsets import onsets
from moviegen_runtime.media.sound_picture import sound_picture


def test_a_clip_has_picture_sound_and_truth_of_one_length(sprites: Sprites) -> None:
    stage = SoundStage(sprites, num_clips=30, seconds=2.0, rate=16_000, channels=2)
    rates = set()
    for index in range(30):
        clip = stage[index]
        assert isinstance(clip, CaptionedClip)
        assert clip.samples.shape == (2, 32_000)
        assert len(clip.frames) == 2 * clip.fps
        assert all(0 <= event.seconds < 2 for event in clip.events)
        np.testing.assert_array_equal(clip.frames, render(stage.take(index).scene, sprites).frames)
        rates.add(clip.fps)
    assert rates == {8, 12, 24}
    np.testing.assert_array_equal(stage[-1].samples, stage[29].samples)
    with pytest.raises(IndexError, match="clip 30 is beyond"):
        stage[30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "split must be one of"),
        ({"rate": 8_000}, "rate must be a whole number of at least 16000"),
        ({"channels": 3}, "channels must be 1 or 2"),
        ({"seconds": 1.0}, "seconds must be from 2 to 60"),
        ({"fps_choices": ()}, "fps_choices must be rates"),
        ({"fps_choices": (8.0, -1.0)}, "fps_choices must be rates"),
        ({"seconds": 2.1}, "not a whole number of frames at 8"),
        ({"music_probability": 2.0}, "music_probability must be from 0 to 1"),
    ],
)
def test_bad_options_are_refused(sprites: Sprites, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoundStage(sprites, **options)  # type: ignore[arg-type]


def test_the_stage_with_sound_is_offered_by_name(sprites: Sprites, tmp_path: Path) -> None:
    (point,) = entry_points(group="moviegen.clip_sources", name="stage-sound")
    assert point.load() is open_sound_stage
    save_sprites(sprites, tmp_path / "sprites-1.safetensors")
    source = open_source("stage-sound", {"cache": str(tmp_path), "num_clips": 3, "fps_choices": [12]})
    assert source[1].fps == 12


def test_the_stage_is_offered_as_sounds(sprites: Sprites, tmp_path: Path) -> None:
    save_sprites(sprites, tmp_path / "sprites-1.safetensors")
    options = {"num_clips": 3, "seconds": 2.0, "rate": 16_000}
    alone = open_sounds("stage", options)
    with_pictures = open_sounds("stage", {**options, "pictures": True, "cache": str(tmp_path)})
    clips = SoundStage(sprites, num_clips=3, seconds=2.0, rate=16_000)
    for index in range(3):
        sound, seen, clip = alone[index], with_pictures[index], clips[index]
        assert (sound.rate, sound.heard, sound.picture) == (16_000, clip.heard, None)
        np.testing.assert_array_equal(sound.samples, clip.samples)
        np.testing.assert_array_equal(seen.samples, clip.samples)
        assert seen.picture is not None
        np.testing.assert_array_equal(seen.picture.frames, clip.frames)
        assert (seen.picture.fps, seen.picture.caption) == (clip.fps, clip.caption)
    with pytest.raises(ValueError, match="refuses its options"):
        open_sounds("stage", {"colour": "red"})


def test_a_medley_has_every_sound_as_often_and_its_caption_names_them() -> None:
    medleys = open_sounds("stage-medleys", {"num_clips": 150, "seconds": 4.0, "rate": 16_000})
    judge = fit_class_judge(200)
    named, heard_right, heard = [], 0, 0
    for index in range(len(medleys)):
        medley = medleys[index]
        assert medley.samples.shape == (1, 64_000)
        assert np.abs(medley.samples).max() < 0.9001
        names = medley.heard.description.split(", ")
        named += names
        if index < 30:
            begins = onsets(medley.samples, medley.rate)
            heard += len(begins)
            heard_right += sum(name in names for name in judge.heard(medley.samples, medley.rate, begins))
    shares = [named.count(sound) / len(named) for sound in SOUNDS]
    assert max(abs(share - 1 / len(SOUNDS)) for share in shares) < 0.03
    # What begins softly amid the tail of another is not heard.
    assert 0.5 < heard / 30 / (len(named) / 150) < 1.1
    assert heard_right / heard > 0.8
    np.testing.assert_array_equal(medleys[149].samples, medleys[149].samples)
    assert (medleys[0].samples != medleys[1].samples).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seconds": 0.5}, "seconds must be from 1 to 60"), ({"rate": 8_000}, "at least 16000")],
)
def test_bad_options_of_medleys_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StageMedleys(**options)


def test_a_film_keeps_the_sound_in_time(sprites: Sprites, tmp_path: Path) -> None:
    stage = SoundStage(sprites, seconds=2.0, channels=2, music_probability=0.0)
    clip = next(clip for index in range(50) if len((clip := stage[index]).events) >= 2)
    write_sound_clip(clip, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].frames == len(clip.frames)
        frames = list(container.decode(audio=0))
    assert frames[0].pts is not None
    read = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    first = round(float(frames[0].pts * frames[0].time_base) * clip.rate)
    start = max(first, 0)
    kept = read[:, start - first :][:, : clip.samples.shape[1] - start]
    there = clip.samples[:, start : start + kept.shape[1]]
    assert kept.shape[1] > 0.95 * clip.samples.shape[1]
    # In time to the sample: a shift by one sample only makes it fit worse.
    fits = [
        float((there[:, 1:-1] * kept[:, 1 + shift : kept.shape[1] - 1 + shift]).sum()) for shift in (-1, 0, 1)
    ]
    assert fits[1] == max(fits)


def test_a_picture_marks_events_where_they_are(sprites: Sprites) -> None:
    stage = SoundStage(sprites, seconds=2.0, rate=16_000)
    clip = next(clip for index in range(50) if (clip := stage[index]).events)
    args = (clip.frames, clip.samples, clip.rate)
    plain = sound_picture(*args)
    marked = sound_picture(*args, marks(clip), onsets(clip.samples, clip.rate))
    assert plain.shape == marked.shape
    changed = (plain[-1] != marked[-1]).any(-1)  # the lowest row has no text
    expected = {int(event.seconds / 2 * plain.shape[1]) for event in clip.events}
    assert {int(column) for column in np.flatnonzero(changed)} <= {
        place + step for place in expected for step in (-1, 0, 1)
    }
    assert changed.sum() >= len(expected)


def test_the_commands_run(sprites: Sprites, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_sprites(sprites, tmp_path / "sprites-1.safetensors")
    cache = ["--cache", str(tmp_path)]
    assert main(["sound-films", "-o", str(tmp_path / "films"), "--clips", "2", "--seconds", "2", *cache]) == 0
    assert {path.name for path in (tmp_path / "films").iterdir()} == {
        "000.mp4",
        "000.png",
        "001.mp4",
        "001.png",
    }
    assert "This audio has quality" in capsys.readouterr().out
    assert main(["sound-check", "--clips", "1"]) == 2
    assert "--clips must be at least 2" in capsys.readouterr().err
