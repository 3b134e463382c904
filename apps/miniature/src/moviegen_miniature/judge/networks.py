"""The judge's networks: small, convolutional, trained on true clips of the stage only.

Legend: B frames or clips, C channels, T frames of a clip, H rows, W columns, A actors, S sets, M motions,
N cells of the map of places.

The actor is looked for in the whole frame: no network is told where it should be. Where another one stands
by, single frames may show the two alike, so it is followed through the clip along the likeliest path. It is
then read in a crop around the place where it was found, once in colour and once in grey.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from moviegen_core import ArchConfig
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

Names = tuple[str, ...]
CROP = 40  # pixels along a crop, a multiple of 8
_CROP_MARGIN = 1.1  # of a crop over the actor's size
_REACH = 2  # cells around the one of an actor's centre that its place is the mean of
_USUAL_STEP = 2.0  # cells, the deviation of a step from frame to frame; to another actor it is some eight


class JudgeConfig(ArchConfig):
    """What the judge knows, and how wide its networks are.

    Args:
        actors: names of the actors, in the order of the outputs; likewise `settings` and `motions`.
        frames: length of the clips that it reads.
        side: their height and width.
        fps: their frames a second.
        width: channels of the first level; the two below have 2 and 4 times as many.
    """

    actors: Names = Field(min_length=2, max_length=1024)
    settings: Names = Field(min_length=2, max_length=1024)
    motions: Names = Field(min_length=2, max_length=1024)
    frames: int = Field(default=16, ge=2, le=1024)
    side: int = Field(default=64, ge=16, le=1024, multiple_of=8)
    fps: float = Field(default=8.0, gt=0, le=240)
    width: int = Field(default=16, ge=8, le=256, multiple_of=8)


class Place(NamedTuple):
    """Where the actor stands in frames: centre (B, 2) as x, y and size (B,), in heights of the frame."""

    centre: Tensor
    size: Tensor


class Heat(NamedTuple):
    """What a cell of 4 x 4 pixels says: whether the actor's centre is there, and its size if so.

    Args:
        logits: (B, h, w).
        size: (B, h, w) in heights of the frame.
    """

    logits: Tensor
    size: Tensor


class Residual(nn.Module):
    """Two normalised 3 x 3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.body(x)
        return x + changed


class Trunk(nn.Module):
    """Features of single frames at a quarter (2 width) and an eighth (4 width) of their side."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            Residual(width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            Residual(2 * width),
        )
        self.coarse = nn.Sequential(
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), Residual(4 * width), Residual(4 * width)
        )

    def forward(self, frames_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(frames_BCHW)
        return fine, self.coarse(fine)


class ActorReader(nn.Module):
    """Names the actor in a crop around it."""

    def __init__(self, channels: int, actors: int, width: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width)
        self.classes = nn.Linear(4 * width * (CROP // 8) ** 2, actors)

    def forward(self, crops_BCHW: Tensor) -> Tensor:
        _, coarse = self.trunk(crops_BCHW)
        logits: Tensor = self.classes(F.silu(coarse).flatten(1))
        return logits


class PlaceHead(nn.Module):
    """Says of every cell whether the actor is there, and how large it is."""

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(fine + coarse, fine, 3, padding=1),
            nn.SiLU(),
            Residual(fine),
            nn.SiLU(),
            nn.Conv2d(fine, 2, 1),
        )

    def forward(self, fine_BCHW: Tensor, coarse_BCHW: Tensor) -> Heat:
        raised = F.interpolate(coarse_BCHW, scale_factor=2.0)
        heat_BHW, size_BHW = self.body(torch.cat([fine_BCHW, raised], 1)).unbind(1)
        # exp keeps it positive; 0.6 of the frame is a usual size.
        return Heat(heat_BHW, 0.6 * torch.exp(size_BHW))


class MotionReader(nn.Module):
    """Names the motion from the actor's track alone: no appearance, so no guess from the kind of actor."""

    def __init__(self, motions: int, width: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(3, width, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.GroupNorm(8, width),
            nn.SiLU(),
        )
        self.classes = nn.Linear(2 * width, motions)

    def forward(self, track_BT3: Tensor) -> Tensor:
        """Logits (B, M) of tracks (x, y, size), in heights of the frame."""
        place, size = track_BT3[..., :2], track_BT3[..., 2:].clamp(min=1e-3).log()
        # Only changes count; the middle of the path is no part of a motion.
        steady = torch.cat([place, size], -1)
        features = self.body(8 * (steady - steady.mean(1, keepdim=True)).transpose(1, 2))
        logits: Tensor = self.classes(torch.cat([features.mean(2), features.amax(2)], 1))
        return logits


class Networks(nn.Module):
    """All networks of one judge. Frames are (B, 3, H, W) in [-1, 1]."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.scene = Trunk(3, width)
        self.place = PlaceHead(2 * width, 4 * width)
        self.setting = nn.Linear(4 * width, len(config.settings))
        self.colour_actor = ActorReader(3, len(config.actors), width)
        self.grey_actor = ActorReader(1, len(config.actors), width)
        self.motion = MotionReader(len(config.motions))

    def look(self, frames_BCHW: Tensor) -> tuple[Tensor, Heat]:
        """Logits of the set (B, S), and where the actor may be, of frames each by itself."""
        fine, coarse = self.scene(frames_BCHW)
        logits: Tensor = self.setting(F.silu(coarse).mean((2, 3)))
        return logits, self.place(fine, coarse)

    def find(self, frames_TCHW: Tensor) -> tuple[Tensor, Place]:
        """Logits of the set (T, S), and the actor's places in the frames of one clip."""
        logits, heat = self.look(frames_TCHW)
        return logits, place_around(heat, likeliest_path(heat.logits))

    def name(self, frames_BCHW: Tensor, place: Place) -> tuple[Tensor, Tensor]:
        """Logits (B, A) of the actor that stands at a place, in colour and in grey."""
        crops = cropped(frames_BCHW, place)
        return self.colour_actor(crops), self.grey_actor(to_grey(crops))


def cell_of(centre: Tensor, side: int) -> Tensor:
    """The cells (B,), counted row by row, that centres (B, 2) lie in or nearest to, of side x side."""
    column, row = (centre * side).floor().long().clamp(0, side - 1).unbind(1)
    return row * side + column


def place_around(heat: Heat, cell: Tensor) -> Place:
    """Of each frame the mean place and size over the cells around the given one, (B,) as in `cell_of`."""
    B, height, width = heat.logits.shape
    rows, columns = (torch.arange(count, device=cell.device) for count in (height, width))
    near_BHW = ((rows - cell[:, None] // width).abs() <= _REACH)[:, :, None] & (
        (columns - cell[:, None] % width).abs() <= _REACH
    )[:, None]
    share_BHW = heat.logits.masked_fill(~near_BHW, -torch.inf).flatten(1).softmax(1).view(B, height, width)
    x = (share_BHW.sum(1) * (columns + 0.5)).sum(1) / width
    y = (share_BHW.sum(2) * (rows + 0.5)).sum(1) / height
    return Place(torch.stack([x, y], 1), (share_BHW * heat.size).sum((1, 2)))


def likeliest_path(logits_THW: Tensor) -> Tensor:
    """The cells (T,) of the likeliest way through a clip (Viterbi), whose steps are normally distributed."""
    height, width = logits_THW.shape[1:]
    along = (torch.arange(count, device=logits_THW.device) for count in (height, width))
    places_N2 = torch.cartesian_prod(*along).float()
    steps_NN = -0.5 * torch.cdist(places_N2, places_N2).square() / _USUAL_STEP**2
    seen_TN = logits_THW.flatten(1).log_softmax(1)
    best_N, before = seen_TN[0], []
    for seen_N in seen_TN[1:]:
        reached = (best_N[:, None] + steps_NN).max(0)
        before.append(reached.indices)
        best_N = reached.values + seen_N
    path = [best_N.argmax()]
    for indices in reversed(before):
        path.append(indices[path[-1]])
    return torch.stack(path[::-1])


def cropped(frames_BCHW: Tensor, place: Place, margin: float = _CROP_MARGIN) -> Tensor:
    """Squares (B, C, CROP, CROP) around places, `margin` times as large as them; borders are repeated."""
    half = place.size * margin
    shift = 2 * place.centre - 1
    zero = torch.zeros_like(half)
    rows = torch.stack([half, zero, shift[:, 0], zero, half, shift[:, 1]], 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, [len(half), 1, CROP, CROP], align_corners=False)
    return F.grid_sample(frames_BCHW, grid, padding_mode="border", align_corners=False)


def to_grey(frames_BCHW: Tensor) -> Tensor:
    """Luma (B, 1, H, W) of RGB frames, by the weights of BT.601."""
    weights = torch.tensor((0.299, 0.587, 0.114), dtype=frames_BCHW.dtype, device=frames_BCHW.device)
    return torch.einsum("bchw,c->bhw", frames_BCHW, weights)[:, None]
