"""The figures of the upsampler: each says what it should on clips that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moviegen_dit import SpatialUpsampler, TextEncoderSpec, UpsamplerConfig, Windows
from moviegen_miniature.render import Rendered, render
from moviegen_miniature.scene import Scene
from moviegen_miniature.sprites import Sprites
from moviegen_miniature.upsampling import (
    BILINEAR,
    CEILING,
    UPSAMPLER,
    Figures,
    Row,
    borders_of,
    figures,
    flicker,
    goals,
    gradient_energy,
    measured,
    scenes,
    seam_errors,
    table,
)
from moviegen_runtime.features.efficientnet_lite import PerceptualDistance, load_efficientnet_lite
from moviegen_runtime.metrics import Frames
from moviegen_runtime.pipelines.upsample import Upsampling
from moviegen_tae import TAE, TAEConfig


@pytest.fixture(scope="module")
def distance() -> PerceptualDistance:
    return PerceptualDistance(load_efficientnet_lite())


@pytest.fixture(scope="module")
def scene(sprites: Sprites) -> Scene:
    return scenes(sprites, "held_out", count=1, frames=16, size=64)[0]


@pytest.fixture(scope="module")
def truth(scene: Scene, sprites: Sprites) -> Rendered:
    return render(scene, sprites)


def blurred(frames: Frames) -> Frames:
    small = frames.reshape(len(frames), 32, 2, 32, 2, 3).mean(axis=(2, 4))
    return small.round().astype(np.uint8).repeat(2, axis=1).repeat(2, axis=2)


def test_the_truth_is_perfect_and_a_blurred_clip_is_not(
    truth: Rendered, distance: PerceptualDistance
) -> None:
    best = figures(truth, truth.frames, [2], distance)
    assert (best.energy, best.psnr, best.flicker, best.seam, best.elsewhere) == (1, 100, 0, 0, 0)
    assert best.perceptual == pytest.approx(0, abs=1e-5)
    worse = figures(truth, blurred(truth.frames), [2], distance)
    assert worse.perceptual > 0.05
    assert worse.psnr < 40


def test_gradient_energy_counts_differences_between_pixels_inside_alone() -> None:
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[0, :, 2:] = 10  # one step of 10 levels between columns 1 and 2
    inside = np.zeros((1, 4, 4), bool)
    inside[0, :2, 1:4] = True  # two of its differences along a row are steps, two are not
    assert gradient_energy(frames, inside) == pytest.approx(50)
    inside[0, :, 2] = False
    assert gradient_energy(frames, inside) == 0


def test_flicker_looks_where_the_truth_stands_still() -> None:
    true = np.zeros((3, 2, 2, 3), np.uint8)
    true[1:, 0] = 200  # the upper row moves once, from frame 0 to 1
    given = true.copy()
    given[1, 1] = 6  # the lower row goes up by 6 levels and down again
    given[1:, 0] = 90  # where the truth moves this is no flicker
    assert flicker(true, given) == pytest.approx((6 + 6) * 2 / (2 + 4))
    assert flicker(true, true) == 0


def test_a_jump_at_a_border_is_a_seam() -> None:
    true = np.full((16, 4, 4, 3), 100, np.uint8)
    given = true.copy()
    given[2:] += 8
    given[5] += 1  # there and back again
    assert seam_errors(true, given, borders_of(Windows(16))) == pytest.approx((8 / 2, 2 / 13))
    assert seam_errors(true, given, [])[0] == 0


_BORDERS = [(14, []), (15, [1, 14]), (16, [2, 14]), (24, [10, 14]), (30, [10, 14, 16, 24])]


@pytest.mark.parametrize(("frames", "borders"), _BORDERS)
def test_borders_are_where_windows_begin_and_end(frames: int, borders: list[int]) -> None:
    assert borders_of(Windows(frames)) == borders


def test_the_table_has_a_row_for_everything(sprites: Sprites, distance: PerceptualDistance) -> None:
    torch.manual_seed(0)
    tae = TAE(
        TAEConfig(
            channels=(8, 8, 8, 8),
            encoder_blocks=(0, 0, 0, 0),
            decoder_blocks=(0, 0, 0, 0),
            latent_channels=4,
            patch_size=4,
            norm_groups=4,
        )
    )
    config = UpsamplerConfig(
        width=16,
        layers=1,
        heads=1,
        mlp_width=16,
        text_encoders=(TextEncoderSpec(name="minilm", width=8),),
        positions=(3, 4, 4),
        latent_channels=4,
        condition_channels=4,
    )
    upsampler = SpatialUpsampler(config).eval()
    listed = scenes(sprites, "seen", count=2, frames=5, size=64)
    told: list[str] = []
    rows = measured(
        listed, sprites, tae.eval(), upsampler, distance, Upsampling(steps=1, overlap=1), told.append
    )
    assert [row.name for row in rows] == [
        "bilinear",
        "upsampler",
        "bilinear, after autoencoder",
        "upsampler, after autoencoder",
        "true clip, frame by frame",
        "truth",
    ]
    assert len(told) == 12
    lines = table(rows).splitlines()
    assert len(lines) == 8
    assert "100.00" in lines[-1]
    assert rows[0].figures[0].psnr > rows[1].figures[0].psnr  # it has learned nothing
    seams = [line.split("|")[6].strip() for line in lines[2:]]
    assert seams[-1] == "-"
    assert all(float(seam) > 0 for seam in seams[:-1])
    asked = {goal.name: goal for goal in goals(rows)}
    assert not asked["PSNR, above bilinear's"].reached
    made, bilinear = (np.mean([each.psnr for each in row.figures]) for row in (rows[3], rows[2]))
    assert asked["PSNR, above bilinear's"].measured.value == pytest.approx(made - bilinear)
    assert asked["seam ratio"].measured.value == pytest.approx(float(seams[3]), abs=0.006)
    assert asked["time of a clip"].reached


def test_what_is_asked_is_compared_with_bilinear_and_with_the_coder() -> None:
    def row(name: str, figures: Figures) -> Row:
        return Row(name, [figures] * 8, [], seconds=3.0 if name == "upsampler" else None)

    made = Figures(energy=1.1, perceptual=0.6, psnr=25.0, flicker=0.6, seam=1.05, elsewhere=1.0)
    bilinear = Figures(energy=0.2, perceptual=1.0, psnr=24.5, flicker=9.0, seam=1.0, elsewhere=1.0)
    coder = Figures(energy=1.0, perceptual=0.5, psnr=30.0, flicker=0.5, seam=1.0, elsewhere=1.0)

    def reached(ours: Figures) -> list[bool]:
        rows = [
            row("upsampler", bilinear),
            row(BILINEAR, bilinear),
            row(UPSAMPLER, ours),
            row(CEILING, coder),
        ]
        return [goal.reached for goal in goals(rows)]

    assert reached(made) == [True] * 6
    for change, place in (
        ({"energy": 0.79}, 0),
        ({"energy": 1.21}, 0),
        ({"perceptual": 0.71}, 1),
        ({"psnr": 24.4}, 2),
        ({"flicker": 0.61}, 3),
        ({"seam": 1.11}, 4),
    ):
        assert reached(replace(made, **change)) == [number != place for number in range(6)]
    still = replace(made, flicker=0.0, seam=0.0)
    single = [row(name, still) for name in ("upsampler", BILINEAR, UPSAMPLER, CEILING)]
    assert [goal.name for goal in goals(single)][-2:] == ["PSNR, above bilinear's", "time of a clip"]
