"""The stage as a clip source."""

from __future__ import annotations

import pickle
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from moviegen_miniature.actors import ACTORS
from moviegen_miniature.sprites import Sprites, load_sprites, save_sprites
from moviegen_miniature.stage import Stage, open_stage
from moviegen_runtime.data.source import open_source


def test_clips_are_a_function_of_their_index(sprites: Sprites) -> None:
    stage = Stage(sprites, num_clips=1000)
    backwards = [stage[index] for index in reversed(range(8))][::-1]
    copied: Stage = pickle.loads(pickle.dumps(stage))  # noqa: S301 - what a worker process is handed
    for index, clip in enumerate(backwards):
        other = copied[index]
        assert clip.caption == other.caption
        np.testing.assert_array_equal(clip.frames, other.frames)


def test_clips_are_what_was_asked_for(sprites: Sprites) -> None:
    stage = Stage(sprites, num_clips=10, frames=12, size=48, fps=6.0)
    assert len(stage) == 10
    assert stage[0].frames.shape == (12, 48, 48, 3)
    assert stage[0].fps == 6.0
    np.testing.assert_array_equal(stage[-1].frames, stage[9].frames)
    with pytest.raises(IndexError, match="clip 10 is beyond the 10 clips"):
        stage[10]


def test_num_clips_does_not_change_a_clip(sprites: Sprites) -> None:
    np.testing.assert_array_equal(
        Stage(sprites, num_clips=5)[3].frames, Stage(sprites, num_clips=50)[3].frames
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "split must be one of train, seen, held_out"),
        ({"num_clips": 0}, "num_clips must be a whole number of at least 1"),
        ({"frames": 2.5}, "frames must be a whole number"),
        ({"size": 8}, "size must be a whole number of at least 16"),
        ({"fps": 0}, "fps must be above 0"),
        ({"pan_probability": 1.5}, "pan_probability must be from 0 to 1"),
    ],
)
def test_bad_options_are_refused(sprites: Sprites, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage(sprites, **options)  # type: ignore[arg-type]


def test_the_stage_is_offered_by_name(sprites: Sprites, tmp_path: Path) -> None:
    (point,) = entry_points(group="moviegen.clip_sources", name="stage")
    assert point.load() is open_stage
    save_sprites(sprites, tmp_path / "sprites-1.safetensors")
    source = open_source("stage", {"cache": str(tmp_path), "num_clips": 3})
    assert len(source) == 3
    np.testing.assert_array_equal(source[1].frames, Stage(sprites)[1].frames)


def test_unfetched_actors_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run `python -m moviegen_miniature fetch` first"):
        open_stage(cache=str(tmp_path))
    (tmp_path / "sprites-1.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ValueError, match="is damaged"):
        open_stage(cache=str(tmp_path))


def test_sprites_survive_their_file(sprites: Sprites, tmp_path: Path) -> None:
    save_sprites(sprites, tmp_path / "sprites")
    read = load_sprites(tmp_path / "sprites")
    assert list(read.pictures) == [actor.name for actor in ACTORS]
    for name, frames in sprites.pictures.items():
        np.testing.assert_array_equal(read.pictures[name], frames)
    save_sprites(Sprites({"cow": sprites.pictures["cow"]}), tmp_path / "few")
    with pytest.raises(ValueError, match="lacks 'helicopter'"):
        load_sprites(tmp_path / "few")
