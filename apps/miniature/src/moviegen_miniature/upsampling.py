"""How good upsampled clips of the stage are, beside bilinear enlargement, the coder's ceiling and the truth.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from moviegen_core import VideoClip
from moviegen_dit import SpatialUpsampler, Windows
from moviegen_runtime.features.efficientnet_lite import PerceptualDistance
from moviegen_runtime.media.frames import to_clip, to_uint8
from moviegen_runtime.metrics import Frames, psnr
from moviegen_runtime.pipelines.upsample import Upsampling, enlarged, reduced, upsample
from moviegen_tae import TAE, FrameWise
from numpy.typing import NDArray

from moviegen_miniature.casting import Split
from moviegen_miniature.judge.intervals import mean_interval, median_interval
from moviegen_miniature.judge.report import Goal, exactly
from moviegen_miniature.render import Rendered, render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites
from moviegen_miniature.stage import Stage

BILINEAR, UPSAMPLER = "bilinear, after autoencoder", "upsampler, after autoencoder"
CEILING = "true clip, frame by frame"
_SEED = 30_000  # of the scenes: others than those of any recipe and of the judge's prompts
_GREY = np.array([0.299, 0.587, 0.114])
_INSIDE = 0.5  # a pixel is the actor's if the actor covers more than this of it


@dataclass(frozen=True)
class Figures:
    """What is measured on one clip.

    Args:
        energy: mean square gradient of the grey picture inside the actor over that of the truth.
        perceptual: distance from the truth by the features of EfficientNet-Lite0, 0 for the truth.
        psnr: in dB, of 8-bit frames.
        flicker: mean change from frame to frame, in levels of 255, where the truth does not change.
        seam: mean error of the change from frame to frame at borders of windows, in levels.
        elsewhere: the same between all other frames.
    """

    energy: float
    perceptual: float
    psnr: float
    flicker: float
    seam: float
    elsewhere: float


@dataclass(frozen=True)
class Row:
    """A line of the table: figures of every clip, and seconds a clip where there is something to wait for."""

    name: str
    figures: Sequence[Figures]
    clips: Sequence[Frames]
    seconds: float | None = None


def scenes(sprites: Sprites, split: Split, *, count: int, frames: int, size: int) -> list[Scene]:
    """The first scenes of a split before a still camera, of a length and a size.

    Raises:
        ValueError: a number is out of its range.
    """
    stage = Stage(
        sprites, split=split, num_clips=count, seed=_SEED, frames=frames, size=size, pan_probability=0
    )
    return [stage.scene(index) for index in range(count)]


def measured(
    listed: Sequence[Scene],
    sprites: Sprites,
    tae: TAE,
    upsampler: SpatialUpsampler,
    distance: PerceptualDistance,
    settings: Upsampling,
    say: Callable[[str], None],
) -> list[Row]:
    """The rows of the table, on clips of the final size that are made small first.

    They are upsampled from the true small clip, and from what the autoencoder makes of it, as a generated
    video would be.
    """
    truths = [render(scene, sprites) for scene in listed]
    windows = settings.windows(listed[0].frames, upsampler.config.window)
    borders = borders_of(windows)

    def row(name: str, make: Callable[[VideoClip], VideoClip], *, timed: bool = False) -> Row:
        clips, begin = [], time.perf_counter()
        for truth, scene in zip(truths, listed, strict=True):
            clips.append(to_uint8(make(to_clip(truth.frames, scene.fps)))[0])
            say(f"{name}: {len(clips)} of {len(truths)} clips")
        seconds = (time.perf_counter() - begin) / len(clips) if timed else None
        pairs = zip(truths, clips, strict=True)
        return Row(name, [figures(*pair, borders, distance) for pair in pairs], clips, seconds)

    factor, coder = upsampler.config.factor, FrameWise(tae)

    def small(clip: VideoClip) -> VideoClip:
        return VideoClip(reduced(clip.frames, factor), clip.fps)

    def large(clip: VideoClip) -> VideoClip:
        return VideoClip(enlarged(clip.frames, factor), clip.fps)

    def made(clip: VideoClip) -> VideoClip:
        return upsample(clip, tae, upsampler, settings=settings)

    def seen(clip: VideoClip) -> VideoClip:
        return tae.decode(tae.encode(small(clip)))

    with torch.no_grad():
        return [
            row("bilinear", lambda clip: large(small(clip))),
            row("upsampler", lambda clip: made(small(clip)), timed=True),
            row(BILINEAR, lambda clip: large(seen(clip))),
            row(UPSAMPLER, lambda clip: made(seen(clip))),
            row(CEILING, lambda clip: coder.decode(coder.encode(clip))),
            row("truth", lambda clip: clip),
        ]


def goals(rows: Sequence[Row]) -> list[Goal]:
    """What is asked of the upsampler where clips come from the autoencoder, as generated ones do.

    Gradient energy has the interval of a median, the difference in PSNR that of a mean.
    """
    by_name = {row.name: row for row in rows}
    made, bilinear, ceiling = (by_name[name].figures for name in (UPSAMPLER, BILINEAR, CEILING))
    energy = median_interval([each.energy for each in made])
    gained = [ours.psnr - theirs.psnr for ours, theirs in zip(made, bilinear, strict=True)]

    asked = [
        Goal("gradient energy inside the actor", energy, least=0.8, most=1.2, digits=2),
        Goal(
            "perceptual distance, over bilinear's",
            exactly(mean(made, "perceptual") / mean(bilinear, "perceptual")),
            most=0.7,
            digits=2,
        ),
        Goal("PSNR, above bilinear's", mean_interval(gained), least=0.0, unit=" dB", digits=2),
    ]
    if steady := mean(ceiling, "flicker"):  # none in a single frame
        flickering = exactly(mean(made, "flicker") / steady)
        asked.append(Goal("flicker, over the coder's", flickering, most=1.2, digits=2))
    if seams := seam_ratio(made):
        asked.append(Goal("seam ratio", exactly(seams), most=1.1, digits=2))
    seconds = next(row.seconds for row in rows if row.seconds is not None)
    return [*asked, Goal("time of a clip", exactly(seconds), most=20.0, unit=" s")]


def borders_of(windows: Windows) -> list[int]:
    """Frames at which a window begins or just has ended: between them and the ones before, a seam may be."""
    ends = (start + windows.length for start in windows.starts)
    return sorted({frame for frame in chain(windows.starts, ends) if 0 < frame < windows.frames})


def figures(truth: Rendered, given: Frames, borders: Sequence[int], distance: PerceptualDistance) -> Figures:
    """All that is measured on one clip."""
    inside = truth.alpha > _INSIDE
    seam, elsewhere = seam_errors(truth.frames, given, borders)
    frames = (to_clip(each, 1.0).frames[0].transpose(0, 1) for each in (given, truth.frames))
    with torch.no_grad():
        perceptual = float(distance(*frames))
    return Figures(
        energy=gradient_energy(given, inside) / max(gradient_energy(truth.frames, inside), 1e-9),
        perceptual=perceptual,
        psnr=psnr(truth.frames, given),
        flicker=flicker(truth.frames, given),
        seam=seam,
        elsewhere=elsewhere,
    )


def gradient_energy(frames: Frames, inside_THW: NDArray[np.bool_]) -> float:
    """Mean square difference of grey neighbours that both lie inside, along rows plus along columns."""
    grey_THW, energy = frames @ _GREY, 0.0
    for grey, inside in ((grey_THW, inside_THW), (grey_THW.swapaxes(1, 2), inside_THW.swapaxes(1, 2))):
        both = inside[:, 1:] & inside[:, :-1]
        energy += float(np.square(np.diff(grey, axis=1))[both].mean()) if both.any() else 0.0
    return energy


def flicker(true: Frames, given: Frames) -> float:
    """Mean change of pixels from a frame to the next where the truth has none; 0 if it changes everywhere."""
    if len(true) == 1:
        return 0.0
    still = (true[1:] == true[:-1]).all(axis=3)
    change = np.abs(np.diff(given.astype(np.int16), axis=0)).mean(axis=3)
    return float(change[still].mean()) if still.any() else 0.0


def seam_errors(true: Frames, given: Frames, borders: Sequence[int]) -> tuple[float, float]:
    """Mean absolute error of the change from frame to frame: at borders, and elsewhere. 0 where none is."""
    error = np.abs(np.diff(given.astype(np.int16), axis=0) - np.diff(true.astype(np.int16), axis=0))
    by_frame = error.mean(axis=(1, 2, 3))
    at = np.isin(np.arange(1, len(true)), borders)
    seam, elsewhere = (float(by_frame[mask].mean()) if mask.any() else 0.0 for mask in (at, ~at))
    return seam, elsewhere


def table(rows: Sequence[Row]) -> str:
    """The table as text: the median for energy, means for all else; the seam ratio is that of two means."""
    head = ("", "gradient energy", "perceptual", "PSNR", "flicker", "seam ratio", "seconds")
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = " | ".join("-" * width for width in widths)
    return "\n".join(f"| {line} |" for line in (text[0], rule, *text[1:]))


def seam_ratio(figures: Sequence[Figures]) -> float | None:
    """Error at borders over that elsewhere, of all clips together; None where either is not there."""
    seam, elsewhere = mean(figures, "seam"), mean(figures, "elsewhere")
    return seam / elsewhere if seam and elsewhere else None


def mean(figures: Sequence[Figures], name: str) -> float:
    """Of one figure of all clips."""
    return float(np.mean([getattr(each, name) for each in figures]))


def _cells(row: Row) -> tuple[str, ...]:
    seams = seam_ratio(row.figures)
    return (
        row.name,
        f"{np.median([each.energy for each in row.figures]):.2f}",
        f"{mean(row.figures, 'perceptual'):.3f}",
        f"{mean(row.figures, 'psnr'):.2f}",
        f"{mean(row.figures, 'flicker'):.2f}",
        "-" if seams is None else f"{seams:.2f}",
        "-" if row.seconds is None else f"{row.seconds:.1f}",
    )
