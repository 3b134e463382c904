"""What tiles cost the autoencoder, and what they save: error against no tiles, seams, time, peak memory.

    python benchmarks/tae_tiling.py                       a clip made here, the shipped miniature weights
    python benchmarks/tae_tiling.py FILM.mp4 --tae DIR    the first frames of a film, other weights
    python benchmarks/tae_tiling.py --write               also puts the tables into the docs

It prints two tables. PSNR, SSIM and the seam compare decoding in tiles with decoding as a whole, of the same
latent. A border is the middle of what two neighbours share; the seam is the mean absolute error of the pixels
at most 4 positions from a border, along the axis that it cuts, over that of all other pixels: 1 is no seam.
Time and memory are those of processes of their own that encode and decode a clip of that shape in tiles.
Memory is what one held at most above what it held before (Linux), where freed blocks go back to the system at
once: by default glibc keeps some, which differs from run to run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
from measuring import RETURNING, held
from moviegen_core import VideoClip, VideoLatent, VideoShape
from moviegen_runtime.media.frames import to_uint8
from moviegen_runtime.media.reading import read_clip
from moviegen_runtime.metrics import psnr, ssim
from moviegen_tae import TAE, Tiling, decode_tiled, encode_tiled, from_pretrained
from record import ROOT, device_name, fill, record
from torch import Tensor

PAGE = ROOT / "docs" / "autoencoder" / "tiling.md"
NEAR = 4
"""A pixel belongs to a border when so many positions or fewer lie between: half a latent position."""
NONE = "none"
ALL_FRAMES = 1 << 20
"""Length of a tile that no clip is longer than."""


@dataclass(frozen=True)
class Quality:
    """What tiles do to a clip, against the same without tiles.

    Args:
        psnr, ssim: of the tiled decode against the untiled decode of the same latent.
        seam: mean absolute error at borders over elsewhere; None: no borders, or no error.
        latent_error: root mean square of tiled minus untiled latents, whose deviation is about 1.
        source_psnr: of tiled encode and tiled decode against the clip itself.
        work: latent positions that are decoded, in all tiles, over those of the latent.
    """

    psnr: float
    ssim: float
    seam: float | None
    latent_error: float
    source_psnr: float
    work: float


@dataclass(frozen=True)
class Cost:
    """Median seconds to encode and decode a clip in tiles, and bytes of peak memory above before."""

    seconds: float
    peak_bytes: int


def tilings(latent: VideoShape) -> dict[str, Tiling]:
    """Those of the first table; the first is no tiling."""
    named = {
        NONE: Tiling(ALL_FRAMES),
        "time 4, overlap 0": Tiling(frame_overlap=0),
        "time 4, overlap 2 (paper)": Tiling(),
        "time 8, overlap 2": Tiling(frames=8),
    }
    for time_name, frames in (("", ALL_FRAMES), ("time 4, overlap 2; ", 4)):
        for overlap in overlaps(latent)[::2]:
            tiling = halves(latent, overlap, frames)
            named[f"{time_name}sides {tiling.side}, overlap {overlap}"] = tiling
    return named


def overlaps(latent: VideoShape) -> list[int]:
    """0, 1, 2, 4 ... up to a quarter of the larger side."""
    quarter = max(latent.height, latent.width) // 4
    return [0, *(1 << i for i in range(quarter.bit_length()))]


def halves(latent: VideoShape, overlap: int, frames: int = ALL_FRAMES) -> Tiling:
    """Two tiles along the larger side, whatever they share: so their number does not tell in the error."""
    side = -(-(max(latent.height, latent.width) + overlap) // 2)
    return Tiling(frames, side=side, side_overlap=overlap)


def spans(tiling: Tiling, latent: VideoShape) -> tuple[list[slice], list[slice], list[slice]]:
    """Where tiles lie along time, rows and columns when a latent is decoded."""
    step = tiling.frames - tiling.frame_overlap
    starts = range(0, max(latent.frames - tiling.frame_overlap, 1), step)
    frames = [slice(start, min(start + tiling.frames, latent.frames)) for start in starts]
    return frames, tiling.over_side(latent.height), tiling.over_side(latent.width)


def at_borders(tiling: Tiling, latent: VideoShape, stride: int) -> Tensor:
    """(T, H, W) bool, of all that the decoder makes of a latent: the pixels near a border."""
    near = torch.zeros([stride * n for n in (latent.frames, latent.height, latent.width)], dtype=torch.bool)
    for dim, tiles in enumerate(spans(tiling, latent)):
        for before, after in pairwise(tiles):
            middle = stride * (before.stop + after.start) // 2
            near.narrow(dim, middle - NEAR, 2 * NEAR).fill_(True)
    return near


def quality(tae: TAE, clip: VideoClip, whole: VideoLatent, decoded: VideoClip, tiling: Tiling) -> Quality:
    """Compare a tiling with `whole` and `decoded`, which were made without tiles."""
    tiled = decode_tiled(tae, whole, tiling)
    near = at_borders(tiling, whole.shape, tae.stride.time)[: clip.shape.frames].expand(3, -1, -1, -1)
    error = (tiled.frames - decoded.frames)[0].abs()
    there, back = error[near].double().mean().item(), error[~near].double().mean().item()
    latent = encode_tiled(tae, clip, tiling)
    covered = 1.0
    for tiles, extent in zip(spans(tiling, whole.shape), whole.values.shape[2:], strict=True):
        covered *= sum(tile.stop - tile.start for tile in tiles) / extent
    true, (given,) = to_uint8(decoded)[0], to_uint8(tiled)
    return Quality(
        psnr=psnr(true, given),
        ssim=ssim(true, given),
        seam=there / back if near.any() and back > 0 else None,
        latent_error=(latent.values - whole.values).square().mean().sqrt().item(),
        source_psnr=psnr(to_uint8(clip)[0], to_uint8(decode_tiled(tae, latent, tiling))[0]),
        work=covered,
    )


def measured(source: str, shape: VideoShape, tiling: Tiling, repeats: int, threads: int) -> Cost:
    """What `cost` measures, in processes of their own, so that nothing of another tiling is left there."""
    sizes = {"shape": asdict(shape), "tiling": asdict(tiling)}
    job = json.dumps({"source": source, **sizes, "repeats": repeats, "threads": threads})
    command = [sys.executable, __file__, "--job", job]
    timed, returning = (
        Cost(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env).stdout))
        for env in (dict(os.environ), os.environ | RETURNING)
    )
    return Cost(timed.seconds, returning.peak_bytes)


def cost(source: str, shape: VideoShape, tiling: Tiling, repeats: int, threads: int) -> Cost:
    """Encode and decode noise of a shape, after one small clip that loads what the library loads once."""
    torch.set_num_threads(threads)
    tae = from_pretrained(source)
    clip = VideoClip(torch.rand(1, 3, shape.frames, shape.height, shape.width) * 2 - 1, fps=24.0)
    small = VideoClip(clip.frames[:, :, :8, :32, :32], fps=24.0)
    decode_tiled(tae, encode_tiled(tae, small, tiling), tiling)
    before = held(reset=True)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        decode_tiled(tae, encode_tiled(tae, clip, tiling), tiling)
        seconds.append(time.perf_counter() - start)
    return Cost(statistics.median(seconds), held() - before)


def made_clip(shape: VideoShape) -> VideoClip:
    """Drifting waves of all lengths, fainter the shorter, and two discs with sharp edges that cross them."""
    generator = torch.Generator().manual_seed(0)
    grid = [torch.arange(extent, dtype=torch.float64) for extent in (shape.frames, shape.height, shape.width)]
    t, y, x = torch.meshgrid(*grid, indexing="ij")
    frames = torch.zeros(3, *t.shape, dtype=torch.float64)
    for length in (200, 130, 90, 60, 40, 24, 12, 7):
        turn, speed, phase, red, green, blue = torch.rand(
            6, generator=generator, dtype=torch.float64
        ).tolist()
        across = math.cos(math.tau * turn) * x + math.sin(math.tau * turn) * y
        wave = torch.sin(math.tau * (across / length + (speed - 0.5) * t / 24 + phase)) * length**0.5 / 40
        for channel, share in zip(frames, (red, green, blue), strict=True):
            channel += (0.5 + share) * wave
    smaller = min(shape.height, shape.width)
    for radius, row, rate, colour in ((0.2, 0.4, 2.0, (0.9, -0.5, 0.1)), (0.12, 0.7, -3.0, (-0.7, 0.3, 0.8))):
        middle = (rate * t + 0.3 * shape.width) % shape.width
        inside = (x - middle) ** 2 + (y - row * shape.height) ** 2 < (radius * smaller) ** 2
        for channel, value in zip(frames, colour, strict=True):
            channel[inside] = value
    return VideoClip(frames.clamp(-1, 1).float()[None], fps=24.0)


def read(path: Path, shape: VideoShape) -> VideoClip:
    """The first frames of a film, its middle brought to the size of `shape`."""
    film = read_clip(path, size=(shape.height, shape.width), max_frames=shape.frames)
    frames = torch.from_numpy(film.frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0
    return VideoClip(frames, film.fps)


def tables(rows: dict[str, tuple[Quality, Cost]], by_overlap: dict[int, Quality]) -> str:
    """Both tables as Markdown, with a line between them."""
    lines = cells("tiling", "PSNR dB", "SSIM", "seam", "PSNR to the clip dB", "s", "peak MB")
    for name, (error, spent) in rows.items():
        compared = ("same", "1", "-") if name == NONE else shown(error)
        totals = (f"{error.source_psnr:.2f}", f"{spent.seconds:.2f}", f"{spent.peak_bytes / 1e6:.0f}")
        lines += cells(name, *compared, *totals)[:1]
    lines.append("Two tiles along the larger side, whole along time, by what they share:")
    lines += cells("overlap", "PSNR dB", "SSIM", "seam", "error of the latent", "work")
    for overlap, error in by_overlap.items():
        lines += cells(str(overlap), *shown(error), f"{error.latent_error:.3f}", f"{error.work:.2f}")[:1]
    return "\n".join(lines)


def shown(error: Quality) -> tuple[str, str, str]:
    """The three figures against no tiles."""
    return f"{error.psnr:.1f}", f"{error.ssim:.4f}", "-" if error.seam is None else f"{error.seam:.2f}"


def cells(first: str, *others: str) -> list[str]:
    """A line of a table, and the one that follows it if it is the head."""
    return [f"| {' | '.join((first, *others))} |", f"|---|{'---:|' * len(others)}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Tiles of the autoencoder: error, seams, time, memory.")
    parser.add_argument("film", nargs="?", type=Path, help="a video file; else a clip is made")
    parser.add_argument("--tae", default="miniature", help="name or folder of the autoencoder's weights")
    parser.add_argument("--frames", type=int, default=96, help="how many frames, at most")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 256), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each tiling")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help=f"write the results and {PAGE.name}")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        job = json.loads(given.job)
        job |= {"shape": VideoShape(**job["shape"]), "tiling": Tiling(**job["tiling"])}
        print(json.dumps(asdict(cost(**job))))
        return
    torch.set_num_threads(given.threads)
    tae, shape = from_pretrained(given.tae), VideoShape(given.frames, *given.size)
    clip = read(given.film, shape) if given.film else made_clip(shape)
    with torch.no_grad():
        whole = tae.encode(clip)
        decoded = tae.decode(whole)
    rows = {}
    for name, tiling in tilings(whole.shape).items():
        spent = measured(given.tae, clip.shape, tiling, given.repeats, given.threads)
        rows[name] = (quality(tae, clip, whole, decoded, tiling), spent)
        print(f"{name}: {spent.seconds:.2f} s", file=sys.stderr)
    by_overlap = {
        n: quality(tae, clip, whole, decoded, halves(whole.shape, n)) for n in overlaps(whole.shape)
    }
    where = f"{device_name()}, threads: {given.threads}, torch {torch.__version__}"
    film = given.film.name if given.film else "made by the benchmark"
    weights = Path(given.tae).name
    head = f"{clip.shape} frames, rows and columns ({film}), weights {weights}; {where}"
    printed = f"{head}\n{tables(rows, by_overlap)}\n"
    print(printed, end="")
    if given.write:
        figures = {
            "what": head,
            "tilings": {name: asdict(error) | asdict(spent) for name, (error, spent) in rows.items()},
            "overlaps": {overlap: asdict(error) for overlap, error in by_overlap.items()},
        }
        record("tae_tiling", figures, given.threads)
        fill(PAGE, "tiling", printed)


if __name__ == "__main__":
    main()
