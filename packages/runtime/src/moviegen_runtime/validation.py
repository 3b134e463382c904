"""Small files from users, and one sentence for what pydantic says of them in many lines. No torch here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Said = TypeVar("Said", bound=BaseModel)

_MAX_BYTES = 1 << 20


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
    return f"{place} {first['msg'].removeprefix('Input ')}, not {first['input']!r:.80}"


def read_json(path: Path) -> object:
    """What a JSON file of modest size holds.

    Raises:
        ValueError: it cannot be read, is too large, or is no JSON.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path} is larger than such a file can be ({_MAX_BYTES} bytes)")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    try:
        value: object = json.loads(content.decode())
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError, too
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    return value


def read_model(path: Path, kind: type[Said]) -> Said:
    """What a JSON file says, checked.

    Raises:
        ValueError: the file cannot be read, is no JSON, or does not say what it must.
    """
    try:
        return kind.model_validate(read_json(path))
    except ValidationError as error:
        raise ValueError(f"{path}: {first_sentence(error)}") from error
