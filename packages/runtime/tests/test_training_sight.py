"""What a step of the training of sight learns from, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from moviegen_audio import SoundCaption, load_sight
from moviegen_runtime.data import source
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.media.onsets import matched
from moviegen_runtime.training.audio_build import build_sight
from moviegen_runtime.training.audio_recipe import SightRecipe
from moviegen_runtime.training.recipe_file import validate_recipe
from moviegen_runtime.training.sight_module import (
    FilmsWithOnsets,
    SightModule,
    collate_films,
    seen_to_begin,
    targets,
)

RATE = 16_000


class Clicks:
    """Films of about a second at several rates; a click sounds as the picture turns from dark to bright."""

    def __init__(self, silent_films: bool = False) -> None:
        self.silent_films = silent_films

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> CaptionedSound:
        fps = (8, 12, 24)[index % 3]
        turns = np.random.default_rng(index).integers(3, fps - 2)
        frames = np.full((fps, 8, 8, 3), 20, np.uint8)
        frames[turns:] = 220
        samples = np.zeros((1, RATE + 640 * (index % 2)), np.float32)
        start = round(turns / fps * RATE)
        samples[:, start : start + 200] = np.random.default_rng(0).normal(0, 0.3, 200)
        picture = None if self.silent_films else CaptionedClip(frames, float(fps), "a light")
        return CaptionedSound(samples, RATE, SoundCaption(8, False, False, 0, "a click"), picture)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="clicks", load=lambda: Clicks)
    monkeypatch.setattr(source, "entry_points", lambda group: [point] if "sound" in group else [])


def recipe_of(**changes: Any) -> SightRecipe:
    content: dict[str, Any] = {
        "model": "sight",
        "preset": "miniature",
        "architecture": {"side": 8, "channels": [4, 8], "width": 8, "frames": 9, "bands": 21},
        "data": {"source": "clicks"},
        "batch_size": 6,
        "steps": 80,
        "optimizer": {"lr": 1e-2},
        "ema_decay": 0.9,
        "validation": {"every_steps": 80, "data": {"source": "clicks"}, "num_sounds": 20},
    }
    recipe = validate_recipe({**content, **changes}, "here")
    assert isinstance(recipe, SightRecipe)
    return recipe


def module(**changes: Any) -> SightModule:
    torch.manual_seed(0)
    made = build_sight(recipe_of(**changes)).module
    assert isinstance(made, SightModule)
    made.trainer = SimpleNamespace(precision="32-true")
    return made


def batch(*indices: int) -> FilmsWithOnsets:
    return collate_films(Clicks(), module().model.config)(indices)


def test_each_frame_of_sound_is_shown_the_picture_of_its_middle() -> None:
    """Films of 8, 12 and 24 pictures a second, each picture once; as long as the shortest sound."""
    made = batch(0, 1, 2)
    assert made.pictures.shape == (8 + 12 + 24, 8, 8, 3)
    assert made.shown.shape == (3, 25)
    for row, first, fps, index in zip(made.shown, (0, 8, 20), (8, 12, 24), range(3), strict=True):
        assert row.tolist() == [first + int((place + 0.5) / 25 * fps) for place in range(25)]
        picture = Clicks()[index].picture
        assert picture is not None
        assert torch.equal(made.pictures[row[-1]], torch.from_numpy(picture.frames[int(24.5 / 25 * fps)]))


def test_a_beginning_is_marked_where_it_is_and_beside() -> None:
    timbre = np.array([[1, 2], [3, 4]], np.float32)
    films = FilmsWithOnsets(
        torch.zeros(1, 8, 8, 3, dtype=torch.uint8),
        torch.zeros(2, 20, dtype=torch.int64),
        (np.array([0.05, 0.79]), np.zeros(0)),
        (timbre, np.zeros((0, 2), np.float32)),
    )
    found, told = targets(films, 25.0, 20)
    assert torch.nonzero(found[0])[:, 0].tolist() == [0, 1, 2, 18, 19]
    assert told[0, [0, 1, 2, 18, 19]].tolist() == [[1, 2]] * 3 + [[3, 4]] * 2
    assert not found[1].any()
    assert not told[1].any()


def test_what_is_seen_to_begin_is_at_the_peaks() -> None:
    logits = torch.full((30,), -2.0)
    logits[4:7] = torch.tensor([1.0, 3.0, 2.0])
    logits[20] = 0.5
    logits[25] = -0.1  # likelier not
    np.testing.assert_allclose(seen_to_begin(logits, 25.0), [5.5 / 25, 20.5 / 25])


def test_moments_are_matched_one_to_one() -> None:
    errors = matched(np.array([0.1, 0.12, 0.9]), np.array([0.11, 0.5, 0.95]), 0.06)
    np.testing.assert_allclose(errors, [-0.01, -0.05])


def test_it_learns_to_see_what_clicks(tmp_path: Path) -> None:
    """From a few films, to the picture's own precision, on others too; exported as it is judged."""
    training = module()
    optimizer = training.configure_optimizers()
    before = training.validate(tmp_path / "none.png")
    collate = collate_films(Clicks(), training.model.config)
    for step in range(80):
        loss, _terms = training.loss(collate(range(20 + 6 * (step % 3), 26 + 6 * (step % 3))), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        training.ema.update(training.model)
    after = training.validate(tmp_path / "none.png")
    assert before["f1"] < 0.5 < 0.9 < after["f1"]
    assert after["beginning"] < 0.5 * before["beginning"]
    assert after["timbre"] < 0.5 * before["timbre"]
    training.export(tmp_path / "weights")
    state = load_sight(tmp_path / "weights").state_dict()
    for name, value in training.ema.model.state_dict().items():
        assert torch.equal(state[name], value.half().float())


@pytest.mark.parametrize("name", ["beginning_weight", "timbre_weight"])
def test_terms_weigh_as_asked(name: str) -> None:
    content = batch(0, 1, 2)
    losses = [float(module(**{name: weight}).loss(content, 0)[0].detach()) for weight in (1.0, 4.0, 7.0)]
    assert losses[1] > losses[0]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data": None}, "give --set data.source=NAME"),
        ({"data": {"source": "clicks", "options": {"silent_films": True}}}, "sound 0 has no film"),
        ({"preset": "13b"}, "'13b' has no sight of its own"),
        ({"architecture": {"frames": 4}}, "architecture: frames must be odd, not 4"),
        ({"architecture": {"bands": 20}}, "sounds are told in 21 bands; this architecture has 20: bands"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_sight(recipe_of(**changes))
