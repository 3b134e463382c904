"""What is done to a prompt before an encoder reads it. No torch here: requests are checked with it."""

from __future__ import annotations

import re

# Straight, curly and angled marks. Single ones are left out: an apostrophe looks the same.
QUOTED = re.compile(r'"([^"]*)"|\u201c([^\u201d]*)\u201d|\u00ab([^\u00bb]*)\u00bb')


def clean_prompt(prompt: str) -> str:
    """The prompt without white space around it.

    Raises:
        ValueError: nothing is left.
    """
    cleaned = prompt.strip()
    if not cleaned:
        raise ValueError("the prompt is empty; say in a few words what the video shows")
    return cleaned


def with_fps(prompt: str, fps: float) -> str:
    """The prompt with the frame rate in front, as in "FPS-8. a red bus" (paper section 3.1.4).

    The paper writes "FPS-16"; the full stop that ends it is our choice.
    """
    return f"FPS-{fps:g}. {clean_prompt(prompt)}"


def quoted_strings(prompt: str) -> tuple[str, ...]:
    """What stands in double quotation marks: the text that the prompt wants to see in the picture."""
    found = ("".join(match.groups(default="")).strip() for match in QUOTED.finditer(prompt))
    return tuple(text for text in found if text)
