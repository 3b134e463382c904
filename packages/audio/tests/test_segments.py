"""Segments of a long sound: what they make together, and what each of them sees."""

from __future__ import annotations

import math

import pytest
from moviegen_audio import Segment, Segmenting


@pytest.mark.parametrize(("length", "context"), [(25.0, 5.0), (9.0, 4.0), (7.0, 0.0), (1.0, 0.0), (3.0, 1.0)])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 0), (9, 0), (0, 3), (9, 9)])
def test_segments_make_every_frame_once_and_see_no_more_than_they_may(
    length: float, context: float, before: int, after: int
) -> None:
    for frames in range(1, 90):
        segments = Segmenting(length, context).cut(9, 9 + frames, 1.0, before=before, after=after)
        made = [frame for each in segments for frame in range(each.made.start, each.made.stop)]
        assert made == list(range(9, 9 + frames))
        for each in segments:
            assert each.frames <= length
            assert each.made.start < each.made.stop
            assert each.before == min(context, each.made.start - 9 + before)
            assert each.after == (min(context, after) if each is segments[-1] else 0)
        assert len(segments) == 1 or frames > length - min(context, before) - min(context, after)


def test_the_papers_film_is_made_in_three_segments_with_5_s_of_context() -> None:
    """Figure 27: 58 s; the paper's segments end at 20 and 40 s, ours are of one length but for rounding."""
    segments = Segmenting().cut(0, 58 * 25, 25.0)
    assert [each.made.stop for each in segments] == [557, 1003, 1450]
    assert [each.before for each in segments] == [0, 125, 125]
    assert [each.frames for each in segments] == [557, 571, 572]
    assert segments[1].inside == slice(125, 571)


def test_a_sound_that_fits_is_one_segment() -> None:
    assert Segmenting().cut(0, 625, 25.0) == (Segment(slice(0, 625), slice(0, 625)),)
    gap = Segmenting(25.0, 5.0).cut(100, 110, 1.0, before=100, after=50)
    assert gap == (Segment(slice(95, 115), slice(100, 110)),)


@pytest.mark.parametrize(
    ("length", "context", "sentence"),
    [
        (25.0, -1.0, "seconds from 0 on, not 25.0 and -1.0"),
        (math.inf, 5.0, "seconds from 0 on, not inf"),
        (math.nan, 5.0, "seconds from 0 on, not nan"),
        (25.0, math.nan, "seconds from 0 on, not 25.0 and nan"),
        (10.0, 5.0, "longer than twice its context of 5.0 s"),
        (-3.0, 0.0, "a segment of -3.0 s must be longer"),
        (0.0, 0.0, "a segment of 0.0 s must be longer"),
    ],
)
def test_lengths_that_cannot_be_are_refused(length: float, context: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Segmenting(length, context)


@pytest.mark.parametrize(
    ("start", "stop", "before", "after", "sentence"),
    [
        (5, 5, 0, 0, "end later, not 5 to 5"),
        (-1, 5, 0, 0, "begin at 0 or later, and end later, not -1 to 5"),
        (3, 5, 4, 0, "from 0 to 3, and those after 0 or more, not 4 and 0"),
        (3, 5, 0, -1, "not 0 and -1"),
    ],
)
def test_frames_that_cannot_be_are_refused(
    start: int, stop: int, before: int, after: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Segmenting().cut(start, stop, 25.0, before=before, after=after)


def test_a_segment_shorter_than_a_latent_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="a segment of 0 latent frames must be longer"):
        Segmenting(0.01, 0.0).cut(0, 10, 25.0)
