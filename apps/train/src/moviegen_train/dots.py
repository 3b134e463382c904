"""`python -m moviegen_train.dots`: latent dots, provoked, counted, and taken away by the outlier penalty.

The paper (section 3.1.1) saw latents of high norm at a few positions, took them for a shortcut by which
information about the whole frame travels, and removed them by a finetuning with equation (1). Here a small
autoencoder is trained until it has such dots, and then finetuned twice for equally long, with the penalty
and without. Steps are in the paper's proportion of 50 to 10.

How they are provoked: by foggy scenes, for which one has to know everywhere how bright and how contrasty the
frame is, and by instance norm (as many groups as channels), which takes just that from every layer. Further
runs take one of the two away.

How they are counted: a dot is a latent vector farther than 3 deviations from its frame's mean, both as in
equation (1), where the picture itself is not as far out: a lone lamp at night is no dot.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from moviegen_core import VideoClip, replacing
from moviegen_runtime.data.source import ClipSource, open_source
from moviegen_runtime.training.clips import collate_clips
from moviegen_runtime.training.process import prepare_process
from moviegen_runtime.training.recipe import TAERecipe
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_runtime.training.run import Machine, train
from moviegen_tae import TAE, from_pretrained, outlier_penalty
from PIL import Image
from torch import Tensor

RADIUS = 3.0
_HELD_OUT_SEED = 1
_BATCH = 16
_DRAWN = 2
_GAP = 4
_BRIGHTEST = 8.0
"""Distance in deviations that is drawn in full."""


@dataclass(frozen=True)
class Run:
    """One training of the experiment.

    Args:
        name: of its folder, before the seed.
        title: in the table.
        recipe: of the file.
        overrides: what is different from the file.
        init: name of the run that it starts from.
    """

    name: str
    title: str
    recipe: str
    overrides: tuple[str, ...] = ()
    init: str | None = None


COMPARED = (
    Run("base", "before the finetuning", "dots"),
    Run("with", "finetuned with the penalty", "dots_outlier", init="base"),
    Run("without", "finetuned without it", "dots_outlier", ("loss.outlier=0",), init="base"),
)
CONTROLS = (
    Run("groups", "before, 8 norm groups of 4", "dots", ("architecture.norm_groups=8",)),
    Run("clear", "before, no fog", "dots", ("data.options.fog=false",)),
)
"""Each without one of what was to provoke them, for the first seed; judged on scenes of its own kind."""


@dataclass(frozen=True)
class Figures:
    """What is measured on held-out pictures, as means over them.

    Args:
        dots: number of dots a frame.
        share: of frames with at least one.
        place: share of frames with one at the commonest place.
        farthest: largest distance of a latent vector from its frame's mean, in deviations.
        penalty: equation (1) before its weight.
        psnr: of the reconstruction, in dB.
    """

    dots: float
    share: float
    place: float
    farthest: float
    penalty: float
    psnr: float


def distances(values: Tensor) -> Tensor:
    """How far each vector lies from its frame's mean, in the frame's deviations, as in equation (1).

    Args:
        values: (B, C, T, H, W).

    Returns:
        (B * T, H, W): |x - mean| / |std|.
    """
    x_NCHW = values.transpose(1, 2).flatten(0, 1)
    mean = x_NCHW.mean(dim=(2, 3), keepdim=True)
    std_NC = x_NCHW.std(dim=(2, 3), unbiased=False)
    far_NHW: Tensor = torch.linalg.vector_norm(x_NCHW - mean, dim=1)
    deviation_N: Tensor = torch.linalg.vector_norm(std_NC, dim=1).clamp_min(1e-12)
    return far_NHW / deviation_N[:, None, None]


def dots(latent: Tensor, frames: Tensor) -> Tensor:
    """Which latent vectors are dots, (B * T, h, w); frames (B, 3, T, H, W) have 8 pixels a position."""
    patches = F.avg_pool3d(frames, (1, 8, 8))
    return (distances(latent) > RADIUS) & (distances(patches) <= RADIUS)


@torch.no_grad()
def measure(tae: TAE, source: ClipSource) -> Figures:
    """Judge an autoencoder on pictures."""
    rows, maps = [], []
    for first in range(0, len(source), _BATCH):
        clip = collate_clips(source)(range(first, min(first + _BATCH, len(source)))).clip()
        latent = tae.posterior(clip).mean
        decoded = tae.decode_moments(latent, clip.shape).clamp(-1, 1)
        error = (decoded - clip.frames).square().flatten(1).mean(dim=1)
        maps.append(dots(latent, clip.frames).flatten(1).float())
        penalty = torch.stack([outlier_penalty(each[None], RADIUS) for each in latent])
        farthest = distances(latent).flatten(1).amax(dim=1)
        rows.append(torch.stack([farthest, penalty, 10 * torch.log10(4 / error)]))
    found = torch.cat(maps)
    counts = [found.sum(dim=1).mean(), found.amax(dim=1).mean(), found.mean(dim=0).max()]
    return Figures(*map(float, counts), *torch.cat(rows, dim=1).mean(dim=1).tolist())


@dataclass(frozen=True)
class Row:
    """A line of the table: a run of a seed, the steps that it took from nothing on, and what came of it."""

    seed: int
    run: Run
    steps: int
    figures: Figures


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| seed | autoencoder | steps | dots a frame | frames with dots | at the commonest place "
        "| farthest vector | penalty | PSNR, dB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        f = row.figures
        lines.append(
            f"| {row.seed} | {row.run.title} | {row.steps:,} | {f.dots:.2f} | {f.share:.0%} | {f.place:.0%} "
            f"| {f.farthest:.2f} | {f.penalty:.4f} | {f.psnr:.2f} |"
        )
    return "\n".join(lines)


@torch.no_grad()
def sheet(models: Sequence[TAE], clip: VideoClip) -> Tensor:
    """(3, rows, columns) in [0, 1]: a row for each picture: itself, then each model's map of `distances`.

    Grey up to 3 deviations, which are half bright; orange beyond, at 8 in full.
    """
    columns = [(clip.frames[:, :, 0].clamp(-1, 1) + 1) / 2]
    side = clip.frames.shape[-1]
    for model in models:
        map_BHW = distances(model.posterior(clip).mean)
        grey = (map_BHW / RADIUS).clamp_max(1)[:, None] * 0.5
        heat = (map_BHW / _BRIGHTEST).clamp_max(1)[:, None]
        orange = torch.cat([0.5 + 0.5 * heat, 0.25 + 0.4 * heat, torch.zeros_like(heat)], dim=1)
        coloured = torch.where(map_BHW[:, None] > RADIUS, orange, grey.expand(-1, 3, -1, -1))
        columns.append(F.interpolate(coloured, (side, side), mode="nearest"))
    padded = [F.pad(column, (0, _GAP, 0, _GAP), value=1.0) for column in columns]
    return torch.cat(list(torch.cat(padded, dim=3)), dim=1)


@dataclass(frozen=True)
class Dots:
    """Train, finetune and judge: prints the table, and draws norms of latents side by side."""

    recipes: Path
    """Folder with dots.yaml and dots_outlier.yaml."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the runs; what is done in it is not done again."""
    picture: Path
    """The PNG, two rows a seed: picture, then norms before the finetuning, with the penalty, without it."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """The whole comparison is made for each."""
    pictures: int = 64
    """Held-out pictures to judge by."""
    controls: bool = True
    """Train also without fog, and without instance norm, for the first seed."""
    set: tuple[str, ...] = ()
    """Change a key of every recipe: dotted.key=value."""

    def run(self) -> None:
        """Do what is left to do.

        Raises:
            ValueError: a recipe or a folder cannot be used.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        rows: list[Row] = []
        sheets: list[Tensor] = []
        for seed in self.seeds:
            models = []
            for run in COMPARED:
                tae, source, row = self._trained(run, seed)
                models.append(tae)
                rows.append(row)
            clip = collate_clips(source)(range(_DRAWN)).clip()
            sheets.append(sheet(models, clip))
        if self.controls:
            rows += [self._trained(run, self.seeds[0])[2] for run in CONTROLS]
        print(table(rows))
        pixels = (torch.cat(sheets, dim=1)[:, :-_GAP, :-_GAP] * 255).round().to(torch.uint8)
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.picture) as aside:
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(aside)

    def _trained(self, run: Run, seed: int) -> tuple[TAE, ClipSource, Row]:
        """The averaged weights of a run, held-out pictures of its kind, and what it does to them."""
        # A finetuning has another seed than what it starts from: other noise, and another order of pictures.
        own = 2 * seed + (run.init is not None)
        path = self.recipes / f"{run.recipe}.yaml"
        recipe = load_recipe(path, [f"seed={own}", *run.overrides, *self.set])
        if not isinstance(recipe, TAERecipe) or recipe.data is None:
            raise ValueError(f"{path} must be an autoencoder's recipe with clips")
        init = self.out / f"{run.init}-{seed}" / "weights" if run.init else None
        folder = self.out / f"{run.name}-{seed}"
        train(recipe, folder, Machine(device="cpu"), init)
        tae = from_pretrained(folder / "weights")
        held_out = {**recipe.data.options, "seed": _HELD_OUT_SEED, "num_clips": self.pictures}
        source = open_source("foggy-scenes", held_out)
        before = load_recipe(self.recipes / "dots.yaml", self.set).steps if run.init else 0
        return tae, source, Row(seed, run, recipe.steps + before, measure(tae, source))


def main() -> int:
    """Exit codes: 0 done, 2 the user can mend it, 130 interrupted."""
    command = tyro.cli(Dots, prog="python -m moviegen_train.dots", description=__doc__)
    prepare_process(None)
    try:
        command.run()
    except (ValueError, OSError) as error:
        print(f"moviegen_train: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("moviegen_train: interrupted; the same command goes on from there", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
