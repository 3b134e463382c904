"""What a long film takes besides the models that score it: memory, time, and room on the disk.

    python benchmarks/score_length.py                        films of 1, 10 and 180 minutes, made here
    python benchmarks/score_length.py --minutes 1 5          films of other lengths
    python benchmarks/score_length.py --write                also puts the table into the docs

Models of a few weights stand in: pictures are averaged, latents are about the noise itself, 25 s at a time.
All the rest is as it is: a film of 320x240 at 24 frames a second is decoded and looked at, the sound is
decoded, resampled, stored, measured twice, coded and written beside the picture. Memory is what a process of
its own held at most above what it held with the models in it (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
from measuring import apart, held
from moviegen_audio import AudioCodec, AudioCodecConfig, AudioDiT, AudioDiTConfig, sample
from moviegen_core import TextContext
from moviegen_dit import TextEncoderSpec
from moviegen_runtime.pipelines.score import Composing, SoundCast, score
from moviegen_runtime.results import Progress
from record import ROOT, device_name, fill, record
from torch import Tensor

PAGE = ROOT / "docs" / "sound" / "score.md"
FPS = 24
HEIGHT, WIDTH = 240, 320
RETURNING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
"""For glibc: larger blocks come from the system and go back there when they are freed."""


class NoText:
    """A text encoder that is never asked."""

    name, width, max_tokens = "none", 1, 1

    def encode(self, prompts: object) -> TextContext:
        raise AssertionError(prompts)


class Means:
    """A frame encoder: the mean of each colour."""

    width, size = 3, (64, 64)

    def encode(self, pictures: Tensor) -> Tensor:
        return pictures.mean(dim=(2, 3))


@dataclass(frozen=True)
class Row:
    """A film and what it took; bytes and seconds."""

    minutes: float
    memory: int
    beside: int
    took: float


def models() -> SoundCast:
    """Of a few weights."""
    torch.manual_seed(0)
    codec = AudioCodec(
        AudioCodecConfig(
            sample_rate=16_000,
            rates=(4, 4, 5, 8),
            encoder_width=1,
            decoder_width=16,
            hidden_width=256,
            latent_channels=4,
        )
    )
    config = AudioDiTConfig(
        width=8,
        layers=1,
        heads=1,
        mlp_width=8,
        text_encoder=TextEncoderSpec(name="none", width=1),
        video_width=3,
        latent_channels=4,
    )
    return SoundCast(codec.eval(), AudioDiT(config).eval(), NoText(), Means())


def film(path: Path, minutes: float) -> None:
    """A grey that goes lighter and darker."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "240"})
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index in range(round(minutes * 60 * FPS)):
            picture = np.full((HEIGHT, WIDTH, 3), 128 + round(100 * np.sin(index / 50)), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())


def measured(minutes: float) -> Row:
    """Of a film of so many minutes; this process makes it, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film(folder / "in.mp4", minutes)
        cast, beside = models(), 0

        def look(progress: Progress) -> None:
            nonlocal beside
            if progress.stage == "writing" and not beside:
                beside = sum(path.stat().st_size for path in folder.glob(".*/*"))

        composing = Composing(sampler=partial(sample, steps=1, method="euler", guidance=1.0))
        before = held(reset=True)
        result = score(
            folder / "in.mp4", folder / "out.mp4", cast, None, composing=composing, on_progress=look
        )
        return Row(minutes, held() - before, beside, result.took)


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [
        "| film, minutes | memory, MB | files meanwhile, MB | seconds | times as fast as it plays |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.minutes:g} | {row.memory / 1e6:.0f} | {row.beside / 1e6:.0f} | {row.took:.0f} "
        f"| {60 * row.minutes / row.took:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Scoring long films: memory, time, room.")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0, 180.0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--write", action="store_true", help=f"write the results and {PAGE.name}")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.job:
        print(json.dumps(asdict(measured(**json.loads(given.job)))))
        return
    os.environ |= RETURNING
    jobs = [{"minutes": minutes} for minutes in given.minutes]
    rows = [Row(**json.loads(apart(__file__, job, given.threads))) for job in jobs]
    head = f"{device_name()}, threads: {given.threads}, torch {torch.__version__}"
    printed = f"{head}\n\n{table(rows)}\n"
    print(printed, end="")
    if given.write:
        record("score_length", {"films": [asdict(row) for row in rows]}, given.threads)
        fill(PAGE, "score-length", printed)


if __name__ == "__main__":
    main()
