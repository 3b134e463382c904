"""What `fuzz.py` puts through: how a valid file is made, how it is damaged, and what is done with it."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moviegen_core import TextContext
    from moviegen_runtime.results import Progress

INTERESTING = (0, 1, 2, 3, 7, 127, 255, 256, 4095, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
LONG_SECONDS = 60.0


@dataclass(frozen=True)
class Subject:
    """A kind of file that users hand in.

    Args:
        files: names of what lies in the folder.
    """

    make: Callable[[Path], None]
    mutate: Callable[[Path, random.Random], str]
    use: Callable[[Path], None]
    files: tuple[str, ...]


def mutated(data: bytes, rng: random.Random, header: int) -> tuple[bytes, str]:
    """A damaged copy, and how it was damaged.

    Args:
        header: bytes at the beginning that hold the file's own description.
    """
    start, length = rng.randrange(len(data)), rng.choice((1, 4, 16, 64, 256, 1024))
    chunk = data[start : start + length]
    match rng.choice(("bits", "run", "cut", "twice", "removed", "field", "field", "header bits")):
        case "bits":
            return _flipped(data, rng, len(data)), "bit flips"
        case "header bits":
            return _flipped(data, rng, header), "bit flips in the header"
        case "run":
            run = rng.choice((b"\x00", b"\xff", rng.randbytes(1))) * len(chunk)
            return data[:start] + run + data[start + length :], "run overwritten"
        case "cut":
            return data[:start], "cut off"
        case "twice":
            return data[:start] + chunk + data[start:], "chunk twice"
        case "removed":
            return data[:start] + data[start + length :], "chunk removed"
        case _:
            size = rng.choice((1, 2, 4, 4, 8))
            value = rng.choice(INTERESTING) % (1 << 8 * size)
            at = rng.randrange(header)
            field = value.to_bytes(size, rng.choice(("big", "big", "little")))
            return data[:at] + field + data[at + size :], "field overwritten"


def _flipped(data: bytes, rng: random.Random, end: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 32))):
        flipped[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def renumbered(text: bytes, rng: random.Random) -> bytes:
    """JSON with one of its values exchanged."""
    values = list(re.finditer(rb"\b(\d+|true|false)\b", text))
    value = rng.choice(values)
    new = rng.choice((*map(str, INTERESTING), "-1", "0.5", "1e400", "null", '"8"', "[]", "{}", "true"))
    return text[: value.start()] + new.encode() + text[value.end() :]


def make_film(folder: Path) -> None:
    """Twelve frames and a tone, index first; beside it the model to put it through."""
    import av
    import numpy as np

    make_weights(folder)
    pictures = np.random.default_rng(0).integers(0, 256, (12, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    tone = np.sin(np.arange(24000)[None] / 6).astype(np.float32) / 2
    with av.open(str(folder / "in.mp4"), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=8, options={"threads": "1"})
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, 0, Fraction(1, 16000)
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


def mutate_film(folder: Path, rng: random.Random) -> str:
    film = folder / "in.mp4"
    data = film.read_bytes()
    data, how = mutated(data, rng, data.index(b"mdat"))
    film.write_bytes(data)
    return how


def use_film(folder: Path) -> None:
    """Reconstruct it, and look at the result."""
    from moviegen_runtime.cli import parse
    from moviegen_runtime.media.reading import read_clip

    output = folder / "out.mp4"
    options = ["--model", str(folder), "--device", "cpu", "--memory", "1", "--overwrite"]
    try:
        with contextlib.redirect_stdout(None):
            parse(["reconstruct", str(folder / "in.mp4"), "-o", str(output), *options]).run()
        read_clip(output)
    finally:
        output.unlink(missing_ok=True)


def make_weights(folder: Path) -> None:
    import moviegen_tae
    import torch

    torch.manual_seed(0)
    config = moviegen_tae.TAEConfig(
        channels=(8, 8, 16, 16),
        encoder_blocks=(0, 0, 0, 0),
        decoder_blocks=(0, 0, 0, 0),
        latent_channels=4,
        patch_size=4,
        norm_groups=4,
    )
    moviegen_tae.save(moviegen_tae.TAE(config), folder)


def mutate_weights(folder: Path, rng: random.Random) -> str:
    path = folder / rng.choice(("config.json", "model.safetensors", "model.safetensors"))
    data = path.read_bytes()
    header = len(data) if path.suffix == ".json" else 8 + int.from_bytes(data[:8], "little")
    if rng.random() < 0.4:
        path.write_bytes(renumbered(data[:header], rng) + data[header:])
        return f"a value of {path.name} exchanged"
    data, how = mutated(data, rng, header)
    path.write_bytes(data)
    return f"{path.name}, {how}"


def use_weights(folder: Path) -> None:
    """Read them, and use what was read."""
    import moviegen_tae
    import torch
    from moviegen_core import VideoClip

    tae = moviegen_tae.from_pretrained(folder)
    with torch.no_grad():
        tae.decode(tae.encode(VideoClip(torch.zeros(1, 3, 1, 16, 16), 8.0)))


def make_scored(folder: Path) -> None:
    """A film, and random models of sound."""
    import torch
    from moviegen_audio import (
        AudioCodec,
        AudioCodecConfig,
        AudioDiT,
        AudioDiTConfig,
        SightConfig,
        save_codec,
        save_dit,
    )
    from moviegen_dit import TextEncoderSpec

    make_film(folder)
    for name in _WEIGHTS:  # of an autoencoder, which has no part in it
        (folder / name).unlink()
    torch.manual_seed(0)
    codec = AudioCodecConfig(
        sample_rate=16_000,
        rates=(4, 4, 5, 8),
        encoder_width=2,
        decoder_width=16,
        hidden_width=8,
        latent_channels=4,
    )
    dit = AudioDiTConfig(
        width=16,
        layers=1,
        heads=2,
        mlp_width=32,
        text_encoder=TextEncoderSpec(name="none", width=8),
        video_width=12,
        sight=SightConfig(side=16, channels=(4, 4), width=12, frames=3, bands=21),
        latent_channels=codec.latent_channels,
    )
    save_codec(AudioCodec(codec), folder / "audio" / "codec")
    save_dit(AudioDiT(dit), folder / "audio" / "dit")


class _NoText:
    """A text encoder that nothing is asked of."""

    name, width, max_tokens = "none", 8, 0

    def encode(self, prompts: Sequence[str]) -> TextContext:
        raise AssertionError(f"there is no caption, and yet {prompts} were to be read")


class _LongError(Exception):
    """The film says that it is long."""


def use_scored(folder: Path) -> None:
    """Give it a soundtrack, and look at the result; one that says to be long is begun and given up."""
    from moviegen_audio import load_codec, load_dit, sample
    from moviegen_runtime.media.reading import read_clip
    from moviegen_runtime.pipelines.score import Composing, SoundCast, score

    codec, dit = load_codec(folder / "audio" / "codec"), load_dit(folder / "audio" / "dit")
    assert dit.sight is not None
    cast = SoundCast(codec, dit, _NoText(), dit.sight)
    composing = Composing(sampler=partial(sample, steps=1, method="euler", guidance=1.0))
    output = folder / "out.mp4"

    def stop_if_long(progress: Progress) -> None:
        if progress.stage == "composing" and progress.total > LONG_SECONDS * dit.config.frame_rate:
            raise _LongError

    try:
        score(folder / "in.mp4", output, cast, None, composing=composing, on_progress=stop_if_long)
        read_clip(output)
    except _LongError:
        if left := {path.name for path in folder.iterdir()} - {"in.mp4", "audio"}:
            raise AssertionError(f"given up, it leaves {left} behind") from None
    finally:
        output.unlink(missing_ok=True)


_WEIGHTS = ("config.json", "model.safetensors")
SUBJECTS = {
    "films": Subject(make_film, mutate_film, use_film, ("in.mp4", *_WEIGHTS)),
    "score": Subject(make_scored, mutate_film, use_scored, ("in.mp4", "audio")),
    "weights": Subject(make_weights, mutate_weights, use_weights, _WEIGHTS),
}
