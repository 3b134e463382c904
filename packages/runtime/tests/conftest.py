"""A cast that is complete and tiny, with random weights: what a pipeline does, it does to it too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import moviegen_audio
import moviegen_dit
import moviegen_tae
import numpy as np
import pytest
import torch
from av.codec.context import Flags
from av.container import OutputContainer
from moviegen_runtime import Cast, load

TINY_DEFAULTS = {
    "frames": 9,
    "size": "32x32",
    "fps": 8,
    "steps": 4,
    "guidance": 3.0,
    "schedule": "linear",
    "method": "euler",
}


def random_weights(module: torch.nn.Module, deviation: float) -> None:
    """Move every weight away from its start: a new transformer is the identity, whose samples say nothing."""
    for parameter in module.parameters():
        parameter.data += deviation * torch.randn_like(parameter)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: weights of both models, and defaults of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tae = moviegen_tae.TAE(
            moviegen_tae.TAEConfig(
                channels=(8, 8, 16, 16),
                encoder_blocks=(0, 0, 0, 0),
                decoder_blocks=(0, 0, 0, 0),
                latent_channels=4,
                patch_size=4,
                norm_groups=4,
            )
        )
        dit = moviegen_dit.VideoDiT(
            moviegen_dit.VideoDiTConfig(
                width=32,
                layers=2,
                heads=2,
                mlp_width=48,
                text_encoders=(moviegen_dit.TextEncoderSpec(name="minilm", width=384),),
                positions=(3, 3, 3),
                latent_channels=4,
            )
        )
        random_weights(dit, 0.1)
    moviegen_tae.save(tae, folder / "tae")
    moviegen_dit.save(dit, folder / "dit")
    (folder / "cast.json").write_text(json.dumps({"defaults": TINY_DEFAULTS}))
    return folder


@pytest.fixture(scope="session")
def tiny_upsampling_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder, with an upsampler whose windows are shorter than the default clip."""
    folder = tmp_path_factory.mktemp("upsampling") / "tiny"
    shutil.copytree(tiny_model, folder)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        upsampler = moviegen_dit.SpatialUpsampler(
            moviegen_dit.UpsamplerConfig(
                width=32,
                layers=1,
                heads=2,
                mlp_width=32,
                text_encoders=(moviegen_dit.TextEncoderSpec(name="minilm", width=8),),
                positions=(6, 4, 4),
                latent_channels=4,
                condition_channels=4,
            )
        )
        random_weights(upsampler, 0.1)
    moviegen_dit.save_upsampler(upsampler, folder / "upsampler")
    return folder


@pytest.fixture(scope="session")
def tiny_sound_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder, with models of sound."""
    folder = tmp_path_factory.mktemp("sound") / "tiny"
    shutil.copytree(tiny_model, folder)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        codec = moviegen_audio.AudioCodec(
            moviegen_audio.AudioCodecConfig(
                sample_rate=16_000,
                rates=(4, 4, 5, 8),
                encoder_width=2,
                decoder_width=16,
                hidden_width=8,
                latent_channels=4,
            )
        )
        dit = moviegen_audio.AudioDiT(
            moviegen_audio.AudioDiTConfig(
                width=16,
                layers=1,
                heads=2,
                mlp_width=32,
                text_encoder=moviegen_dit.TextEncoderSpec(name="minilm", width=384),
                video_width=12,
                sight=moviegen_audio.SightConfig(side=16, channels=(4, 8), width=12, frames=3, bands=21),
                latent_channels=4,
            )
        )
        random_weights(dit, 0.3)
    moviegen_audio.save_codec(codec, folder / "audio" / "codec")
    moviegen_audio.save_dit(dit, folder / "audio" / "dit")
    sound = {"steps": 2, "guidance": 2.0, "method": "euler", "segment": 1.0, "context": 0.2}
    settings = {"defaults": TINY_DEFAULTS | {"steps": 1}, "sound": sound}
    (folder / "cast.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="session")
def cast(tiny_model: Path) -> Cast:
    """The tiny cast on the CPU, one sample at a time."""
    return load(tiny_model, device="cpu")


MakeFilm = Callable[..., Path]


@pytest.fixture
def make_film() -> MakeFilm:
    """Writes a film by the library itself: see `_film`."""
    return _film


def _film(
    path: Path,
    *,
    times: Sequence[int] = tuple(range(12)),
    unit: Fraction = Fraction(1, 8),
    height: int = 48,
    width: int = 64,
    rotation: int = 0,
    sound: str | None = None,
    sound_rate: int = 16000,
    amplitude: float = 0.4,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
) -> Path:
    """Two bands of colour, and a white square that goes right by 3 pixels a frame before a brightening grey.

    Args:
        times: of the frames, in units of `unit` seconds; the last lasts as long as the one before.
        rotation: degrees by which players turn the picture against the clock.
        sound: codec of a tone as long as the film; None: no sound.
        amplitude: of the tone; 0 is digital silence.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(8))
        video.height, video.width, video.pix_fmt = height, width, pix_fmt
        video.codec_context.time_base = unit
        video.codec_context.flags |= Flags.frame_duration
        if rotation:
            video.set_display_rotation(rotation)
        tone = None if sound is None else container.add_stream(sound, rate=sound_rate, layout="mono")
        gaps = [after - before for before, after in pairwise(times)] or [1]
        for index, (time, gap) in enumerate(zip(times, [*gaps, gaps[-1]], strict=False)):
            picture = np.full((height, width, 3), min(60 + 8 * index, 240), np.uint8)
            picture[: height // 3, :, :] = (200, 40, 50)
            picture[-height // 3 :, :, :] = (30, 60, 190)
            picture[height // 2 - 6 : height // 2 + 6, 3 * index : 3 * index + 12] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base, frame.duration = time, unit, gap
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if tone is not None:
            _tone(container, tone, float(times[-1] * unit) + 0.125, amplitude)
    return path


def _tone(container: OutputContainer, stream: av.AudioStream, seconds: float, amplitude: float) -> None:
    rate = stream.rate
    wave = amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    container.mux(stream.encode(frame))
    container.mux(stream.encode())
