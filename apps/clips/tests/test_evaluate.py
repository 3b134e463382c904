"""The table of codes: what is compared is what was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from moviegen_clips.evaluate import Coder, Frames, Row, coders, compared, films, rendered, table
from moviegen_clips.material import open_shelf
from moviegen_runtime.metrics import psnr
from moviegen_tae import TAE, TAEConfig, Tiling


def darker(frames: Frames) -> Frames:
    return np.maximum(frames, 10) - 10


CODES: dict[str, Coder] = {"autoencoder": lambda frames: frames, "16 cosines": darker}


def test_every_film_is_measured_whole_at_both_sizes(cache: Path) -> None:
    rows = list(films(CODES, cache))
    shelf = open_shelf(cache, "films", "held_out")
    assert [row.material for row in rows[::2]] == [
        f"{name}, {size}" for name in shelf.names for size in ("50 x 40", "128 x 128")
    ]
    assert all(row.psnr == 100 and row.ssim == pytest.approx(1) for row in rows[::2])
    whole = shelf.read(0)
    assert rows[1].psnr == pytest.approx(psnr(whole, darker(whole)))


def test_animations_are_held_out_ones(cache: Path) -> None:
    seen: list[Frames] = []

    def watched(frames: Frames) -> Frames:
        seen.append(frames)
        return frames

    (row,) = rendered({"autoencoder": watched}, cache, "animations", 6)
    assert row.psnr == 100
    assert len(seen) == 6
    assert all(frames.shape == (16, 128, 128, 3) for frames in seen)


def test_the_table_says_how_far_ahead_of_the_principal_components() -> None:
    rows = [
        Row("film", "autoencoder", 30.0, 0.9),
        Row("film", "16 principal components", 27.5, 0.8),
        Row("film", "16 cosines", 29.0, 0.7),
    ]
    assert "| film | autoencoder | 30.00 | 0.900 | +2.50 |" in table(rows)


def test_all_codes_run_on_frames_of_odd_size(cache: Path) -> None:
    tiny = TAEConfig(
        channels=(8, 8, 8, 8),
        encoder_blocks=(0, 0, 0, 0),
        decoder_blocks=(0, 0, 0, 0),
        patch_size=4,
        norm_groups=4,
    )
    codes = coders(TAE(tiny), Tiling(side=4, side_overlap=1), cache, fit_clips=4, fit_size=32)
    frames = np.random.default_rng(0).integers(0, 256, (13, 45, 51, 3), dtype=np.uint8)
    for code in codes.values():
        assert code(frames).shape == frames.shape
    sheet = compared({"16 cosines": codes["16 cosines"]}, cache)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 6 * 128
