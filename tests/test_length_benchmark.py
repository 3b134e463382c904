"""The benchmark of long sounds hears a seam where there is one, and none where there is none."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    AudioConditions,
    AudioDiT,
    AudioDiTConfig,
    codec_preset,
    save_codec,
    save_dit,
)
from moviegen_core import AudioClip, TextContext
from moviegen_dit import TextEncoderSpec
from projects import ROOT
from torch import Tensor

sys.path.insert(0, str(ROOT / "benchmarks"))
import audio_length
import record

RATE = 16_000
BORDERS = (0.8, 1.6, 2.4, 3.2)
NEAR = 0.04


def noise(seconds: float = 4.0, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def ratio(samples: Tensor) -> audio_length.Row:
    return audio_length.row("sound", *audio_length.at_borders(samples, RATE, BORDERS, NEAR))


@pytest.mark.parametrize("seed", range(3))
def test_even_noise_has_no_seams(seed: int) -> None:
    found = ratio(noise(seed=seed))
    assert found.borders == 4
    assert found.low - 0.05 < 1 < found.high + 0.05
    assert found.ratio == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", ["louder", "softer", "other timbre"])
def test_a_planted_seam_is_heard_at_its_place_alone(kind: str) -> None:
    """The sound changes at each border and back at the next."""
    samples = noise()
    dull = torch.nn.functional.avg_pool1d(samples[None], 8, 1, padding=4)[0, : len(samples)]
    for index, border in enumerate(BORDERS):
        if index % 2 == 0:
            span = slice(round(border * RATE), round(BORDERS[index + 1] * RATE))
            changed = {"louder": 6 * samples, "softer": samples / 6, "other timbre": dull}[kind]
            samples[span] = changed[span]
    found = ratio(samples)
    assert found.low > 1.1
    # The same measure at moments between the seams does not see them.
    between = [border + 0.4 for border in BORDERS]
    there, elsewhere = audio_length.at_borders(samples, RATE, between, NEAR)
    assert audio_length.row("between", there, elsewhere).ratio < 1


def test_flux_is_the_mean_change_of_levels_in_decades() -> None:
    """Noise that becomes ten times louder: every band rises by 1, over as many moments as a window takes."""
    samples = noise()
    samples[2 * RATE :] *= 10
    values, moments = audio_length.flux(samples, RATE)
    about = values[(moments - 2.0).abs() < 0.05].sum().item()
    usual = values[(moments - 1.0).abs() < 0.05].sum().item()
    assert about > usual + 0.5
    assert values.min() >= 0
    assert moments[1] - moments[0] == pytest.approx(0.008)


def test_a_border_outside_the_sound_is_refused() -> None:
    with pytest.raises(ValueError, match="every border must lie within the sound"):
        audio_length.at_borders(noise(), RATE, [1.0, 9.0], NEAR)


def settings(**changes: float) -> argparse.Namespace:
    given = {"window": 2.0, "overlap": 1.0, "context": 0.5, "guidance": 1.0, "steps": 1}
    return argparse.Namespace(**given | changes)


def small_dit() -> AudioDiT:
    torch.manual_seed(0)
    return AudioDiT(
        AudioDiTConfig(
            width=8,
            layers=1,
            heads=2,
            mlp_width=8,
            text_encoder=TextEncoderSpec(name="minilm", width=4),
            video_width=4,
            latent_channels=3,
        )
    )


def test_borders_are_where_windows_and_segments_begin_and_end() -> None:
    triangle, uniform, segments, one = audio_length.ways(small_dit(), 100, settings())
    assert triangle.borders == uniform.borders == one.borders == (25, 50, 75)
    assert segments.borders == (39, 69)
    with pytest.raises(ValueError, match="one window: there is no border"):
        audio_length.ways(small_dit(), 50, settings())


def test_windows_that_disagree_are_heard_at_their_borders_if_they_count_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each window wants a loudness of its own: uniform weights jump there, triangles turn it slowly."""

    class Torn(AudioDiT):
        def forward(self, x: Tensor, t: Tensor, conditions: AudioConditions) -> Tensor:
            mean = conditions.video.mean((1, 2))[:, None, None]
            return (20 * mean - x) / (1 - t)[:, None, None]

    def as_loud_as_it_says(_: object, pieces: Iterable[Tensor], samples: int) -> Iterator[AudioClip]:
        decades = torch.cat(list(pieces), dim=2)[:, :1].repeat_interleave(640, 2)
        yield AudioClip(noise(samples / RATE) * 10**decades, RATE)

    monkeypatch.setattr(audio_length, "decode_values", as_loud_as_it_says)
    model = Torn(small_dit().config)
    codec = AudioCodec(codec_preset("miniature"))  # of which rates count alone
    told = model.null_conditions(1, 500)
    random = torch.Generator().manual_seed(0)
    told = replace(told, video=torch.randn(told.video.shape, generator=random))
    rows = {
        way.name: audio_length.measured(codec, way, [told], 1)
        for way in audio_length.ways(model, 500, settings(steps=2))
    }
    assert rows["windows, uniform"].low > 1.1
    assert rows["windows, triangle"].ratio < 1.1
    assert rows["one window"].ratio == pytest.approx(1, abs=0.05)


def test_the_command_prints_and_writes_the_ratio_of_every_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    config = AudioCodecConfig(
        sample_rate=1000, rates=(5, 8), encoder_width=4, decoder_width=8, hidden_width=8, latent_channels=3
    )
    save_codec(AudioCodec(config), tmp_path / "codec")
    save_dit(small_dit(), tmp_path / "dit")

    class Encoder:
        def encode(self, texts: list[str]) -> TextContext:
            assert "wind in the trees" in texts[0]
            return TextContext(torch.ones(1, 2, 4), torch.ones(1, 2, dtype=torch.bool), "minilm")

    monkeypatch.setattr(audio_length, "text_encoder", lambda *_: Encoder())
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- audio-borders:begin -->\n<!-- audio-borders:end -->\nafter\n")
    monkeypatch.setattr(audio_length, "PAGE", page)
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    weights = ["--codec", str(tmp_path / "codec"), "--dit", str(tmp_path / "dit")]
    lengths = ["--seconds", "8", "--window", "2", "--overlap", "1", "--context", "0.5", "--steps", "1"]
    options = ["--prompts", "wind in the trees", "--seeds", "1", "--write"]
    options += ["--threads", str(torch.get_num_threads())]
    monkeypatch.setattr(sys, "argv", ["audio_length", *weights, *lengths, *options])
    audio_length.main()
    (result,) = (tmp_path / "results").iterdir()
    rows = json.loads(result.read_text())["audio_borders"]["rows"]
    assert [row["name"] for row in rows] == [
        "windows, triangle",
        "windows, uniform",
        "segments",
        "one window",
    ]
    assert [row["borders"] for row in rows] == [7, 7, 4, 7]
    # An untrained model leaves the noise as it is, which has no borders; windows change nothing.
    assert rows[0]["ratio"] == rows[1]["ratio"] == rows[3]["ratio"]
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line for line in page.read_text().splitlines() if line.startswith("|")] == printed
    assert len(printed) == 2 + 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")
@pytest.mark.parametrize("way", ["segments", "windows, triangle"])
def test_memory_is_that_of_a_sound(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = AudioCodecConfig(
        sample_rate=1000, rates=(5, 8), encoder_width=4, decoder_width=8, hidden_width=8, latent_channels=3
    )
    monkeypatch.setattr(audio_length, "codec_preset", lambda _: small)
    monkeypatch.setattr(audio_length, "dit_preset", lambda _: small_dit().config)
    assert audio_length.memory("small", way, 8.0, 2.0, 1.0, 0.5) >= 0
