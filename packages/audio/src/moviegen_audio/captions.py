"""The structured caption of a sound (paper, section 6.3 and table 27)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SoundCaption:
    """What is heard.

    Args:
        quality: of the recording, 1 to 10.
        speech: whether somebody speaks.
        vocals: whether somebody sings.
        music: how likely it is that there is music, 0 to 1.
        description: what is heard.
        music_description: what the music is like; empty if there is none.

    Raises:
        ValueError: a number out of its range.
    """

    quality: float
    speech: bool
    vocals: bool
    music: float
    description: str
    music_description: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 10:
            raise ValueError(f"quality must be from 1 to 10, not {self.quality!r}")
        if not 0 <= self.music <= 1:
            raise ValueError(f"music must be from 0 to 1, not {self.music!r}")

    def text(self) -> str:
        """The caption in the paper's words."""
        parts = [
            f"This audio has quality: {self.quality:.1f}.",
            f"This audio {_contains(self.speech)} speech.",
            f"This audio {_contains(self.vocals)} vocal singing.",
            f"This audio contains music with a {self.music:.2f} likelihood.",
            f'This audio has a description: "{self.description}".',
        ]
        if self.music_description:
            parts.append(f'This audio has a music description: "{self.music_description}".')
        return " ".join(parts)


def _contains(there: bool) -> str:
    return "contains" if there else "does not contain"
