"""The judge's parts in closed form, and the shipped judge on tracks whose motion is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.captions import caption
from moviegen_miniature.casting import balanced, scene_at
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.augment import misplaced, soften, unsteady
from moviegen_miniature.judge.networks import (
    CROP,
    Heat,
    Networks,
    Place,
    cell_of,
    cropped,
    likeliest_path,
    place_around,
    to_grey,
)
from moviegen_miniature.judge.scoring import gradient_energy, save_judge
from moviegen_miniature.judge.training import train_judge
from moviegen_miniature.judge.trials import prompts, real_clips
from moviegen_miniature.judge.validation import changed_halfway, patches
from moviegen_miniature.render import render
from moviegen_miniature.scene import MOTIONS
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.sprites import Sprites
from moviegen_runtime.media.writing import write_clip


@pytest.fixture(scope="module")
def untrained(sprites: Sprites) -> Judge:
    return Judge(train_judge(sprites, frame_steps=2, track_steps=2, batch=16, say=print), sprites)


def test_real_videos_are_cut_into_whole_clips_of_the_stage(tmp_path: Path) -> None:
    grey = np.arange(40, dtype=np.uint8)[:, None, None, None] * 6
    frames = np.broadcast_to(grey, (40, 72, 96, 3))
    write_clip(frames, 8.0, tmp_path / "film.mp4")
    clips = real_clips(tmp_path / "film.mp4", 8)
    assert [clip.shape for clip in clips] == [(16, 64, 64, 3)] * 2
    assert np.abs(clips[1][:, 32, 32, 0].astype(int) - 6 * np.arange(16, 32)).max() <= 3
    write_clip(frames[:15], 8.0, tmp_path / "short.mp4")
    with pytest.raises(ValueError, match="gives 15 frames at 8 a second; a clip has 16"):
        real_clips(tmp_path / "short.mp4", 8)


def test_a_crop_shows_what_stands_at_the_place() -> None:
    """A picture whose colours are its coordinates: the crop must hold the coordinates of its own pixels."""
    along = (torch.arange(64) + 0.5) / 64
    picture = torch.stack([along.expand(64, 64), along[:, None].expand(64, 64), torch.zeros(64, 64)])[None]
    crop = cropped(picture, Place(torch.tensor([[0.4, 0.6]]), torch.tensor([0.5])))[0]
    offsets = ((torch.arange(CROP) + 0.5) / CROP - 0.5) * 0.5 * 1.1
    torch.testing.assert_close(crop[0, 7], 0.4 + offsets, atol=1e-5, rtol=0)
    torch.testing.assert_close(crop[1, :, 7], 0.6 + offsets, atol=1e-5, rtol=0)


def test_the_likeliest_path_is_that_of_all_paths() -> None:
    logits = 3 * torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    cells = torch.tensor([(row, column) for row in range(2) for column in range(3)]).float()

    def score(path: tuple[int, ...]) -> float:
        seen = sum(frame.flatten().log_softmax(0)[cell] for frame, cell in zip(logits, path, strict=True))
        steps = (cells[list(path[1:])] - cells[list(path[:-1])]).square().sum()
        return float(seen - 0.5 * steps / 2.0**2)

    best = max(itertools.product(range(6), repeat=4), key=score)
    assert tuple(likeliest_path(logits).tolist()) == best


def test_an_actor_is_followed_past_one_that_stands_by() -> None:
    """The lead crosses the top; in half of the frames, now these, now those, the other one looks likelier."""
    logits = torch.zeros(16, 16, 16)
    for frame in range(16):
        logits[frame, 4, frame] = 6.0
        logits[frame, 13, 2] = 7.0 if frame % 4 < 2 else 4.0
    assert likeliest_path(logits).tolist() == [4 * 16 + frame for frame in range(16)]


def test_a_place_is_the_mean_of_what_lies_around_its_cell() -> None:
    centre = torch.tensor([[0.3, 0.7], [1.2, -0.1]])
    cell = cell_of(centre, 16)
    assert cell.tolist() == [11 * 16 + 4, 15]
    logits = torch.full((2, 16, 16), -30.0)
    logits[0, 11, 4], logits[0, 12, 4] = 5.0, 5.0
    logits[0, 2, 12] = 50.0  # far away, and of no account
    logits[1, 0, 15] = 0.0
    size = torch.full((2, 16, 16), 0.4)
    size[0, 12, 4] = 0.6
    place = place_around(Heat(logits, size), cell)
    torch.testing.assert_close(place.centre, torch.tensor([[4.5 / 16, 12 / 16], [15.5 / 16, 0.5 / 16]]))
    torch.testing.assert_close(place.size, torch.tensor([0.5, 0.4]))


def test_energy_counts_only_inside_the_actor() -> None:
    frame = torch.zeros(1, 64, 64)
    frame[:, :, ::2] = 1.0  # every step along a row is 1, none down a column
    assert gradient_energy(frame, torch.tensor([[0.5, 0.5, 0.5]])) == pytest.approx(1)
    frame[:, 16:48, 16:48] = 0.3
    assert gradient_energy(frame, torch.tensor([[0.5, 0.5, 0.4]])) == 0


def test_patches_keep_the_colour_and_lose_the_form(sprites: Sprites) -> None:
    patched = patches(sprites)
    for name, frames in sprites.pictures.items():
        total, other = frames.reshape(-1, 4).sum(0), patched.pictures[name].reshape(-1, 4).sum(0)
        np.testing.assert_allclose(other[:3] / other[3], total[:3] / total[3], atol=0.01)


def test_augmentation_is_deterministic_and_keeps_the_facts() -> None:
    frames = torch.linspace(-1, 1, 16 * 3 * 64 * 64).view(16, 3, 64, 64)
    first, second = (soften(frames, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.corrcoef(torch.stack([first.flatten(), frames.flatten()]))[0, 1] > 0.9
    place = misplaced(Place(torch.full((500, 2), 0.5), torch.full((500,), 0.5)), torch.Generator())
    assert (place.centre - 0.5).abs().mean() < 0.05
    assert (place.size - 0.5).abs().max() < 0.1
    assert unsteady(torch.rand(5, 16, 3), torch.Generator()).shape == (5, 16, 3)


def test_the_judge_survives_its_folder(untrained: Judge, sprites: Sprites, tmp_path: Path) -> None:
    save_judge(untrained.networks, tmp_path / "judge")
    loaded = Judge.load(tmp_path / "judge", sprites)
    frames = render(prompts(sprites, "seen", 1)[0].scene, sprites).frames
    read, again = untrained.read(frames), loaded.read(frames)
    np.testing.assert_allclose(read.track, again.track, atol=1e-2)
    assert read.energy == pytest.approx(again.energy, rel=0.1)


def test_every_network_learns(untrained: Judge) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        start = Networks(untrained.networks.config)
    for (name, before), after in zip(start.named_parameters(), untrained.networks.parameters(), strict=True):
        # The motion reader sees no bias in front of a normalisation; all others must have moved.
        assert not torch.equal(before, after), name


def test_clips_that_cannot_be_judged_are_refused(untrained: Judge) -> None:
    with pytest.raises(ValueError, match="the judge reads uint8 clips"):
        untrained.read(np.zeros((8, 64, 64, 3), np.uint8))


def test_prompts_are_balanced_and_do_not_pan(sprites: Sprites) -> None:
    asked = prompts(sprites, "held_out", 60)
    assert [scene.combination() for _, scene in asked] == list(balanced(True)[:60])
    assert not any(scene.pan for _, scene in asked)
    assert all(prompt == caption(scene) for prompt, scene in asked)
    assert asked[:20] == prompts(sprites, "held_out", 20)


def test_prompts_of_a_kind_are_all_of_that_kind(sprites: Sprites) -> None:
    assert all(scene.pan for _, scene in prompts(sprites, "seen", 10, pan_probability=1))
    assert all(scene.second for _, scene in prompts(sprites, "seen", 10, two_actors_probability=1))
    assert all(scene.frames == 32 for _, scene in prompts(sprites, "seen", 10, frames=32))


def test_an_actor_that_changes_halfway_is_another_after_it(sprites: Sprites) -> None:
    scene = scene_at(0, split="seen", seed=0, pan_probability=0)
    changed, true = changed_halfway(scene, sprites), render(scene, sprites).frames
    np.testing.assert_array_equal(changed[:8], true[:8])
    assert all((changed[frame] != true[frame]).any() for frame in range(8, 16))


def test_the_shipped_judge_reads_motions_from_tracks(sprites: Sprites) -> None:
    networks = Judge.load(None, sprites).networks
    leads = [scene_at(index, split="held_out", seed=9, pan_probability=0).lead for index in range(400)]
    tracks = torch.from_numpy(np.stack([lead.track(16, 8.0) for lead in leads])).float()
    with torch.no_grad():
        clean, noisy = (
            networks.motion(read).argmax(1) for read in (tracks, unsteady(tracks, torch.Generator()))
        )
    truth = torch.tensor([networks.config.motions.index(lead.motion) for lead in leads])
    assert (clean == truth).float().mean() > 0.99
    assert (noisy == truth).float().mean() > 0.97


def test_the_shipped_judge_knows_this_stage(sprites: Sprites) -> None:
    judge = Judge.load(None, sprites)
    config = judge.networks.config
    assert (config.actors, config.settings, config.motions) == (ACTOR_NAMES, SETTINGS, MOTIONS)
    # Sets need no published actor: they are read right behind the discs of these tests.
    scenes = [scene for _, scene in prompts(sprites, "seen", 24)]
    right = [judge.score(render(scene, sprites).frames, scene).setting for scene in scenes]
    assert sum(right) >= 23


def test_grey_keeps_grey() -> None:
    frames = torch.rand(2, 1, 4, 4).expand(2, 3, 4, 4)
    torch.testing.assert_close(to_grey(frames), frames[:, :1])
