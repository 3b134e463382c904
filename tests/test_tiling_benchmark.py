"""The benchmark of tiling measures what it says, at a size that takes seconds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from moviegen_core import Stride, VideoClip, VideoLatent, VideoShape
from moviegen_tae import TAE, TAEConfig, Tiling, save
from projects import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import record
import tae_tiling


def small_tae() -> TAE:
    torch.manual_seed(0)
    config = TAEConfig(
        channels=(4, 4, 8, 8), encoder_blocks=(0, 1, 1, 0), decoder_blocks=(1, 0, 0, 1), norm_groups=2
    )
    return TAE(config).eval()


@pytest.mark.parametrize("tiling", [Tiling(1, 0), Tiling(), Tiling(3, 1), Tiling(8, 2), Tiling(100)])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 9, 11])
def test_tiles_along_time_are_those_that_are_decoded(tiling: Tiling, length: int) -> None:
    """Seen from outside: what the autoencoder is asked to decode."""
    tae, asked = small_tae(), []
    decode = tae.decode

    def watched(latent: VideoLatent) -> VideoClip:
        first = int(latent.values[0, 0, 0, 0, 0])
        asked.append((first, first + latent.shape.frames))
        return decode(latent)

    tae.decode = watched
    values = torch.arange(float(length)).view(1, 1, -1, 1, 1).expand(1, 16, -1, 1, 1)
    tae_tiling.decode_tiled(tae, VideoLatent(values, Stride(8, 8, 8), 8 * length, 8.0), tiling)
    frames, _, _ = tae_tiling.spans(tiling, VideoShape(length, 1, 1))
    assert [(tile.start, tile.stop) for tile in frames] == asked


def test_borders_are_the_middles_of_what_neighbours_share() -> None:
    near = tae_tiling.at_borders(Tiling(4, 2, side=5, side_overlap=1), VideoShape(6, 9, 5), 8)
    assert near.shape == (48, 72, 40)
    frames, rows = near.any(dim=(1, 2)), near[0].any(dim=1)
    # Tiles are at frames 0-4 and 2-6, so the border is at latent 3; rows are at 0-5 and 4-9, so at 4.5.
    assert near[20:28].all()
    assert near[:, 32:40].all()
    assert near.sum() == 48 * 72 * 40 - 40 * 64 * 40
    assert frames.all()
    assert rows.sum() == 8


def test_no_tiling_is_no_error_and_tiles_are_one() -> None:
    tae, clip = small_tae(), tae_tiling.made_clip(VideoShape(12, 32, 48))
    assert clip.frames.abs().max() <= 1
    with torch.no_grad():
        whole = tae.encode(clip)
        decoded = tae.decode(whole)
    none = tae_tiling.quality(tae, clip, whole, decoded, Tiling(tae_tiling.ALL_FRAMES))
    assert (none.psnr, none.ssim, none.seam, none.latent_error, none.work) == (100.0, 1.0, None, 0.0, 1.0)
    tiled = tae_tiling.quality(tae, clip, whole, decoded, Tiling(1, 0, side=2, side_overlap=1))
    assert tiled.psnr < 60
    assert tiled.seam is not None
    assert tiled.latent_error > 0
    assert tiled.work == pytest.approx(1.0 * (3 * 2 / 4) * (5 * 2 / 6))


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory from /proc")
def test_the_command_writes_figures_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small_tae(), tmp_path / "weights")
    page, results = tmp_path / "page.md", tmp_path / "results"
    page.write_text("before\n<!-- tiling:begin -->\n<!-- tiling:end -->\nafter\n")
    monkeypatch.setattr(tae_tiling, "PAGE", page)
    monkeypatch.setattr(record, "RESULTS", results)
    monkeypatch.setattr(tae_tiling, "tilings", lambda _: {"none": Tiling(9), "paper": Tiling()})
    options = ["--tae", str(tmp_path / "weights"), "--frames", "40", "--size", "32", "40"]
    threads = ["--threads", str(torch.get_num_threads())]
    monkeypatch.setattr(sys, "argv", ["tae_tiling", *options, *threads, "--repeats", "1", "--write"])
    tae_tiling.main()
    (result,) = results.iterdir()
    figures = json.loads(result.read_text())["tae_tiling"]
    assert set(figures["tilings"]) == {"none", "paper"}
    assert list(figures["overlaps"]) == ["0", "1"]
    # How they compare is for the benchmark to say: at this size, a process's own memory moves as much.
    assert all(row["peak_bytes"] > 0 and row["seconds"] > 0 for row in figures["tilings"].values())
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line for line in page.read_text().splitlines() if line.startswith("|")] == printed
    assert len(printed) == 2 + 2 + 2 + 2
