"""Training the judge, from nothing, on clips of the stage that no model is trained on.

Legend: B frames or clips, C channels, T frames of a clip, H rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from moviegen_miniature.actors import ACTOR_NAMES
from moviegen_miniature.casting import scene_at
from moviegen_miniature.judge.augment import misplaced, smeared, soften, unsteady
from moviegen_miniature.judge.networks import JudgeConfig, Networks, Place, cell_of, place_around
from moviegen_miniature.render import render
from moviegen_miniature.scene import MOTIONS
from moviegen_miniature.sets import SETTINGS
from moviegen_miniature.sprites import Sprites

_SEED = 7_000_000  # of the scenes: far from the seeds that models are trained with
_FRAMES_PER_CLIP = 4
_TWO_ACTORS = 0.4  # of the clips: the lead has to be told from an actor that stands by
_SMEARS = (0, 0, 1, 2)  # frames to either side that a frame is blended with
_LEARNING_RATE = 2e-3
_PLACE_WEIGHT = 10.0
_SIZE_WEIGHT = 2.0


def train_judge(
    sprites: Sprites,
    *,
    frame_steps: int = 1500,
    track_steps: int = 1500,
    batch: int = 64,
    say: Callable[[str], None],
) -> Networks:
    """Train all networks of a judge; the same arguments give the same weights on one machine.

    Args:
        frame_steps: steps of the networks that look at frames.
        track_steps: steps of the network that reads tracks.
        batch: frames in a step, four from each clip.
        say: hears a line of progress now and then.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = Networks(JudgeConfig(actors=ACTOR_NAMES, settings=SETTINGS, motions=MOTIONS))
    _train_on_tracks(networks, track_steps, say)
    _train_on_frames(networks, sprites, frame_steps, batch, say)
    return networks.eval()


def _train_on_frames(
    networks: Networks, sprites: Sprites, steps: int, batch: int, say: Callable[[str], None]
) -> None:
    parameters = [value for name, value in networks.named_parameters() if not name.startswith("motion.")]
    optimizer = AdamW(parameters, lr=_LEARNING_RATE, weight_decay=0.01)
    schedule = OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(1)
    start = time.monotonic()
    for step in range(steps):
        frames, actor, setting, place = _frames(sprites, step, batch, networks.config)
        frames = soften(frames, generator)
        read_setting, heat = networks.look(frames)
        cell = cell_of(place.centre, heat.logits.shape[-1])
        found = place_around(heat, cell)
        colour, grey = networks.name(frames, misplaced(place, generator))
        losses = (
            cross_entropy(colour, actor),
            cross_entropy(grey, actor),
            cross_entropy(read_setting, setting),
            cross_entropy(heat.logits.flatten(1), cell),
            _PLACE_WEIGHT * l1_loss(found.centre, place.centre),
            _SIZE_WEIGHT * l1_loss(found.size.log(), place.size.log()),
        )
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(losses).sum())
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            parts = " ".join(
                f"{name} {float(loss.detach()):.3f}"
                for name, loss in zip(("actor", "grey", "set", "cell", "place", "size"), losses, strict=True)
            )
            say(f"frames {step + 1}/{steps}: {parts} ({time.monotonic() - start:.0f} s)")


def _frames(
    sprites: Sprites, step: int, batch: int, config: JudgeConfig
) -> tuple[Tensor, Tensor, Tensor, Place]:
    """Frames (B, 3, H, W) in [-1, 1], and of each the actor, the set, and its place."""
    frames, actors, settings, places = [], [], [], []
    clips = batch // _FRAMES_PER_CLIP
    for index in range(step * clips, (step + 1) * clips):
        scene = scene_at(
            index,
            split="train",
            seed=_SEED,
            frames=config.frames,
            side=config.side,
            fps=config.fps,
            two_actors_probability=_TWO_ACTORS,
        )
        shown = render(scene, sprites)
        rng = np.random.default_rng(index)
        chosen = rng.permutation(config.frames)[:_FRAMES_PER_CLIP]
        frames.append(smeared(shown.frames, chosen, reach=int(rng.choice(_SMEARS))))
        places.append(shown.track[chosen] / config.side)
        actors += [config.actors.index(scene.lead.actor)] * len(chosen)
        settings += [config.settings.index(scene.setting)] * len(chosen)
    pixels = torch.from_numpy(np.concatenate(frames)).permute(0, 3, 1, 2).contiguous() / 127.5 - 1
    truth = torch.from_numpy(np.concatenate(places)).float()
    return pixels, torch.tensor(actors), torch.tensor(settings), Place(truth[:, :2], truth[:, 2])


def _train_on_tracks(networks: Networks, steps: int, say: Callable[[str], None]) -> None:
    config, reader = networks.config, networks.motion
    optimizer = AdamW(reader.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    schedule = OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(2)
    tracks, motions = _tracks(config, min(10_000, 100 * steps))
    for step in range(steps):
        chosen = torch.randint(len(tracks), (128,), generator=generator)
        loss = cross_entropy(reader(unsteady(tracks[chosen], generator)), motions[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            say(f"tracks {step + 1}/{steps}: motion {float(loss.detach()):.3f}")


def _tracks(config: JudgeConfig, count: int) -> tuple[Tensor, Tensor]:
    """True tracks (count, T, 3) of scenes without a pan, and their motions."""
    leads = [
        scene_at(index, split="train", seed=_SEED + 1, frames=config.frames, pan_probability=0).lead
        for index in range(count)
    ]
    tracks = np.stack([lead.track(config.frames, config.fps) for lead in leads])
    motions = [config.motions.index(lead.motion) for lead in leads]
    return torch.from_numpy(tracks).float(), torch.tensor(motions)
