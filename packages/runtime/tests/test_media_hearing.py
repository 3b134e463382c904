"""Sounds of any rate and layout, from files: what is in them, at the rate that is asked for."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from moviegen_audio import AudioCodec, codec_preset, encode_stream
from moviegen_runtime import read_sound, stream_sound
from numpy.typing import NDArray


def tones(frequencies: list[float], rate: int, seconds: float) -> NDArray[np.float32]:
    """(C, N), a tone a channel."""
    time = np.arange(round(rate * seconds)) / rate
    return np.stack([np.sin(2 * np.pi * each * time) / 2 for each in frequencies]).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], rate: int, layout: str, codec: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for start in range(0, samples.shape[1], 1024):
            part = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("layout", "frequencies"),
    [("mono", [300.0]), ("stereo", [300.0, 700.0]), ("5.1", [200.0, 300.0, 400.0, 500.0, 600.0, 700.0])],
)
@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_each_channel_is_what_it_was_at_another_rate(
    tmp_path: Path, layout: str, frequencies: list[float], rate: int
) -> None:
    path = write(tmp_path / "in.wav", tones(frequencies, rate, 0.5), rate, layout, "pcm_f32le")
    sound = read_sound(path, 16_000)
    expected = torch.from_numpy(tones(frequencies, 16_000, 0.5))
    assert sound.sample_rate == 16_000
    assert abs(sound.num_samples - expected.shape[1]) <= 1
    inner = slice(400, 7_600)  # the filter of a resampler sees silence beyond the ends
    torch.testing.assert_close(sound.samples[0, :, inner], expected[:, inner], rtol=0, atol=2e-3)


def test_other_layouts_become_stereo(tmp_path: Path) -> None:
    quad = tones([300.0, 700.0, 300.0, 700.0], 48_000, 0.2)
    sound = read_sound(write(tmp_path / "quad.wav", quad, 48_000, "quad", "pcm_f32le"), 48_000)
    left, right = sound.samples[0, :, 1_000:]
    assert sound.samples.shape == (1, 2, quad.shape[1])
    for channel, other, own in ((left, right, quad[0]), (right, left, quad[1])):
        tone = torch.from_numpy(own[1_000:])
        assert abs(torch.corrcoef(torch.stack([channel, tone]))[0, 1]) > 0.999
        assert abs(torch.corrcoef(torch.stack([other, tone]))[0, 1]) < 0.05


def test_pieces_follow_each_other_and_go_through_a_codec(tmp_path: Path) -> None:
    path = write(tmp_path / "in.flac", tones([300.0, 700.0], 44_100, 2.0), 44_100, "stereo", "flac")
    pieces = list(stream_sound(path, 16_000))
    assert len(pieces) > 10
    whole = read_sound(path, 16_000)
    assert torch.equal(torch.cat([piece.samples for piece in pieces], dim=2), whole.samples)
    codec = AudioCodec(codec_preset("miniature")).eval()
    with torch.no_grad():
        latents = list(encode_stream(codec, stream_sound(path, codec.sample_rate)))
        expected = codec.encode(whole).values
    torch.testing.assert_close(
        torch.cat([latent.values for latent in latents], dim=2), expected, rtol=1e-4, atol=1e-4
    )


def test_what_cannot_be_heard_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "in.wav", tones([300.0], 16_000, 0.2), 16_000, "mono", "pcm_f32le")
    with pytest.raises(ValueError, match="sample_rate must be at least 1, not 0"):
        read_sound(path, 0)
    with pytest.raises(ValueError, match="there is no file"):
        read_sound(tmp_path / "none.wav", 16_000)
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(ValueError, match="damaged, cut off or not"):
        read_sound(tmp_path / "text.wav", 16_000)
    monkeypatch.setattr("moviegen_runtime.media.hearing._MAX_SECONDS", 0.1)
    with pytest.raises(ValueError, match="longer than an hour: read it by stream_sound"):
        read_sound(path, 16_000)
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"film\.mp4 has no sound"):
        read_sound(tmp_path / "film.mp4", 16_000)
