"""Lengths of latents and clips: rounding along time, exactness along rows and columns."""

from __future__ import annotations

import pytest
from moviegen_core import Stride, VideoShape

PAPER = Stride(8, 8, 8)


@pytest.mark.parametrize(
    ("clip", "latent"),
    [
        (
            VideoShape(256, 768, 768),
            VideoShape(32, 96, 96),
        ),  # the paper's full-length clip
        (VideoShape(13, 64, 64), VideoShape(2, 8, 8)),
        (VideoShape(1, 64, 64), VideoShape(1, 8, 8)),  # an image is a clip of one frame
        (VideoShape(8, 64, 64), VideoShape(1, 8, 8)),
        (VideoShape(9, 64, 64), VideoShape(2, 8, 8)),
    ],
)
def test_latent_shape_of_a_clip(clip: VideoShape, latent: VideoShape) -> None:
    assert PAPER.latent(clip) == latent


def test_a_decoder_makes_enough_frames_and_less_than_one_latent_too_many() -> None:
    for frames in range(1, 50):
        decoded = PAPER.clip(PAPER.latent(VideoShape(frames, 16, 24)))
        assert 0 <= decoded.frames - frames < PAPER.time
        assert (decoded.height, decoded.width) == (16, 24)


def test_positions_shrink_by_the_volume() -> None:
    clip = VideoShape(256, 768, 768)
    assert PAPER.volume == 512
    assert clip.positions == PAPER.volume * PAPER.latent(clip).positions


@pytest.mark.parametrize(("height", "width", "named"), [(65, 64, "height"), (64, 60, "width")])
def test_rows_and_columns_must_divide(height: int, width: int, named: str) -> None:
    with pytest.raises(ValueError, match=f"{named} must be a multiple of 8"):
        PAPER.latent(VideoShape(8, height, width))


@pytest.mark.parametrize("bad", [0, -1, 1.0, True, "8", None])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_extents_are_positive_integers(bad: object, place: int) -> None:
    extents: list[object] = [8, 8, 8]
    extents[place] = bad
    with pytest.raises(ValueError, match="positive integer"):
        VideoShape(*extents)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive integer"):
        Stride(*extents)  # type: ignore[arg-type]


def test_a_shape_reads_as_frames_by_rows_by_columns() -> None:
    assert str(VideoShape(16, 64, 96)) == "16x64x96"
