"""`python -m moviegen_train.dots`: latent dots, provoked, counted, and taken away by the outlier penalty.

The paper (section 3.1.1) saw latents of high norm at a few positions, took them for a shortcut by which
information about the whole frame travels, and removed them by a finetuning with equation (1). Here a small
autoencoder is trained until it has such dots, and then finetuned twice for equally long, with the penalty
and without. Steps are in the paper's proportion of 50 to 10.

How they are provoked: by instance norm (as many groups as channels), which takes from every layer how bright
and how contrasty a frame is, and by foggy scenes, for which one has to know it everywhere. Further runs take
one of the two causes away.

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
from moviegen_runtime.training.recipe import TAERecipe
from moviegen_runtime.training.recipe_file import load_recipe
from moviegen_runtime.training.run import Machine, prepare_process, train
from moviegen_tae import TAE, from_pretrained, outlier_penalty
from PIL import Image
from torch import Tensor

RADIUS = 3.0
_CONTROLS = 3
"""The runs from here on have no part in the comparison."""
_HELD_OUT_SEED = 1
_BATCH = 16
_DRAWN = 6
_GAP = 4
_BRIGHTEST = 8.0
"""Distance in deviations that is drawn in full."""


@dataclass(frozen=True)
class Run:
    """One training of the experiment.

    Args:
        name: of its folder.
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


RUNS = (
    Run("base", "before the finetuning", "dots"),
    Run("with", "finetuned with the penalty", "dots_outlier", init="base"),
    Run("without", "finetuned without it", "dots_outlier", ("loss.outlier=0",), init="base"),
    Run("groups", "from nothing, 8 norm groups of 4", "dots", ("architecture.norm_groups=8",)),
    Run("clear", "from nothing, no fog", "dots", ("data.options.fog=false",)),
)
"""What is trained, in order; each is judged on scenes of the kind that it was trained on."""


@dataclass(frozen=True)
class Figures:
    """What is measured on held-out pictures, as means over them.

    Args:
        dots: number of dots a frame.
        share: of frames with at least one.
        farthest: largest distance of a latent vector from its frame's mean, in deviations.
        penalty: equation (1) before its weight.
        psnr: of the reconstruction, in dB.
    """

    dots: float
    share: float
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
    rows = []
    for first in range(0, len(source), _BATCH):
        clip = collate_clips(source)(range(first, min(first + _BATCH, len(source)))).clip()
        latent = tae.posterior(clip).mean
        decoded = tae.decode_moments(latent, clip.shape).clamp(-1, 1)
        error = (decoded - clip.frames).square().flatten(1).mean(dim=1)
        found = dots(latent, clip.frames).flatten(1).sum(dim=1).float()
        penalty = torch.stack([outlier_penalty(each[None], RADIUS) for each in latent])
        farthest = distances(latent).flatten(1).amax(dim=1)
        rows.append(torch.stack([found, (found > 0).float(), farthest, penalty, 10 * torch.log10(4 / error)]))
    return Figures(*torch.cat(rows, dim=1).mean(dim=1).tolist())


def table(measured: Sequence[tuple[Run, int, Figures]]) -> str:
    """Markdown: one row a run, with the steps that it took in all."""
    lines = [
        "| autoencoder | steps | dots a frame | frames with dots | farthest vector | penalty | PSNR, dB |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, steps, f in measured:
        lines.append(
            f"| {run.title} | {steps:,} | {f.dots:.2f} | {f.share:.0%} | {f.farthest:.2f} "
            f"| {f.penalty:.4f} | {f.psnr:.2f} |"
        )
    return "\n".join(lines)


@torch.no_grad()
def draw(models: Sequence[TAE], clip: VideoClip, path: Path) -> None:
    """A PNG with a row for each picture: the picture, then every model's map of `distances`.

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
    rows = torch.cat(padded, dim=3)[..., :-_GAP]
    sheet = torch.cat(list(rows), dim=1)[:, :-_GAP]
    pixels = (sheet * 255).round().to(torch.uint8).permute(1, 2, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        Image.fromarray(pixels.numpy()).save(aside)


@dataclass(frozen=True)
class Dots:
    """Train, finetune and judge: prints the table, and draws norms of latents side by side."""

    recipes: Path
    """Folder with dots.yaml and dots_outlier.yaml."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the runs; what is done in it is not done again."""
    picture: Path
    """The PNG: picture, then norms before the finetuning, with the penalty, and without it."""
    pictures: int = 256
    """Held-out pictures to judge by."""
    controls: bool = True
    """Train also without each of the two causes; more than half of the time goes there."""
    set: tuple[str, ...] = ()
    """Change a key of every recipe: dotted.key=value."""

    def run(self) -> None:
        """Do what is left to do.

        Raises:
            ValueError: a recipe or a folder cannot be used.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        models: dict[str, TAE] = {}
        steps: dict[str, int] = {}
        measured: list[tuple[Run, int, Figures]] = []
        for run in RUNS if self.controls else RUNS[:_CONTROLS]:
            recipe = load_recipe(self.recipes / f"{run.recipe}.yaml", [*run.overrides, *self.set])
            init = self.out / run.init / "weights" if run.init else None
            train(recipe, self.out / run.name, Machine(device="cpu"), init)
            models[run.name] = from_pretrained(self.out / run.name / "weights")
            steps[run.name] = recipe.steps + (steps[run.init] if run.init else 0)
            if not isinstance(recipe, TAERecipe) or recipe.data is None:
                raise ValueError(f"{run.recipe}.yaml must be an autoencoder's recipe with clips")
            held_out = {**recipe.data.options, "seed": _HELD_OUT_SEED, "num_clips": self.pictures}
            source = open_source("foggy-scenes", held_out)
            measured.append((run, steps[run.name], measure(models[run.name], source)))
            if run.name == "base":
                clip = collate_clips(source)(range(_DRAWN)).clip()
        print(table(measured))
        draw([models[name] for name in ("base", "with", "without")], clip, self.picture)


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
