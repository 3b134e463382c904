"""The structured caption."""

from __future__ import annotations

import pytest
from moviegen_audio import SoundCaption


def test_a_caption_is_the_papers_template() -> None:
    caption = SoundCaption(8.0, False, True, 0.9, "a bell rings", "calm chords")
    assert caption.text() == (
        "This audio has quality: 8.0. This audio does not contain speech. "
        "This audio contains vocal singing. This audio contains music with a 0.90 likelihood. "
        'This audio has a description: "a bell rings". '
        'This audio has a music description: "calm chords".'
    )
    with pytest.raises(ValueError, match="quality must be from 1 to 10"):
        SoundCaption(0.0, False, False, 0.0, "")
    with pytest.raises(ValueError, match="music must be from 0 to 1"):
        SoundCaption(5.0, False, False, 1.5, "")
