"""One sentence for what pydantic says in many lines. No torch here."""

from __future__ import annotations

from pydantic import ValidationError


def first_sentence(error: ValidationError) -> str:
    """What is wrong first, and what would be right."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "it"
    match first["type"]:
        case "value_error":  # one of ours: a whole sentence already
            return first["msg"].removeprefix("Value error, ")
        case "missing":
            return f"{place} is missing"
        case "extra_forbidden":
            return f"{place} is not known here; leave it out"
    return f"{place} {first['msg'].removeprefix('Input ')}, not {first['input']!r}"
