"""One sentence for what pydantic says in many lines. No torch here."""

from __future__ import annotations

from pydantic import ValidationError


def first_sentence(error: ValidationError) -> str:
    """What is wrong first, and what would be right."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return message  # one of ours: a whole sentence already
    place = ".".join(str(part) for part in first["loc"]) or "it"
    message = (
        message.removeprefix("Input ").lower() if message.startswith("Input ") else f"is wrong: {message}"
    )
    shown = "" if first["type"] in ("missing", "extra_forbidden") else f", not {first['input']!r}"
    return f"{place} {message}{shown}"
