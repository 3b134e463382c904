"""What is done to a prompt before an encoder reads it. No torch here: requests are checked with it."""

from __future__ import annotations

import re

# Straight, curly, low and angled marks. Single ones are left out: an apostrophe looks the same. Low ones come
# before curly ones: what closes the one opens the other. A straight one right after a digit opens nothing: it
# means inches.
QUOTED = re.compile(
    r'(?<!\d)"([^"]*)"|\u201e([^\u201c\u201d]*)[\u201c\u201d]|\u201c([^\u201d]*)\u201d|\u00ab([^\u00bb]*)\u00bb'
)


MOST_CHARACTERS = 4000
"""Of what somebody asks for: more than any text encoder reads, and said before one is loaded."""

_FPS_PREFIX = re.compile(r"^(?:\s*FPS-\d+(?:\.\d+)?(?:\s*[.,:](?!\d)\s*|\s+|\s*$))+", re.IGNORECASE)


def clean_prompt(prompt: str) -> str:
    """The prompt without white space around it.

    Raises:
        ValueError: nothing is left, it is too long, or it cannot be written in UTF-8.
    """
    cleaned = _stripped(prompt)
    check_characters("the prompt", cleaned)
    return cleaned


def _stripped(prompt: str) -> str:
    """As `clean_prompt`, of any length: a caption that no encoder reads is named and left out later."""
    cleaned = prompt.strip()
    if not cleaned:
        raise ValueError("the prompt is empty; say in a few words what the video shows")
    check_text("the prompt", cleaned)
    return cleaned


def check_text(what: str, text: str) -> None:
    """Refuse half a surrogate pair, which is what Python makes of a command line's bytes that are not UTF-8.

    Raises:
        ValueError: there is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} must be text in UTF-8, and its character {error.start} is not") from error


def check_characters(what: str, text: str) -> None:
    """Refuse a text that is too long.

    Raises:
        ValueError: it is.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{what} must have at most {MOST_CHARACTERS} characters, not {len(text)}")


def without_fps(prompt: str) -> str:
    """The prompt without a frame rate that somebody wrote in front."""
    return _FPS_PREFIX.sub("", prompt)


def with_fps(prompt: str, fps: float) -> str:
    """The prompt with the frame rate in front, as in "FPS-8. a red bus" (paper section 3.1.4).

    The paper writes "FPS-16"; the full stop that ends it is our choice. A frame rate that the prompt already
    has in front gives way, for a clip has one, unless there is nothing else.

    Raises:
        ValueError: nothing is there, or it cannot be written in UTF-8.
    """
    cleaned = _stripped(prompt)
    return f"FPS-{fps:g}. {without_fps(cleaned) or cleaned}"


def quoted_strings(prompt: str) -> tuple[str, ...]:
    """What stands in double quotation marks: the text that the prompt wants to see in the picture."""
    found = ("".join(match.groups(default="")).strip() for match in QUOTED.finditer(prompt))
    return tuple(text for text in found if text)
