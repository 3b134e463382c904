"""Every check of the repository, one session each: `uv run nox` runs them all, `uv run nox -l` lists them.

Each session has an environment of its own with exactly what it needs (`uv sync` takes away what it does not),
made of hard links into uv's cache, from the one resolution that the pins fix. None needs an accelerator.

The sessions stand in `tools/sessions`: `checks` of the whole repository, `packages` one by one, tests against
`peers`, `benchmarks`, and what trains and judges the models of the `apps`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import nox

nox.needs_version = ">=2026.1"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = [
    *("lint", "layers", "pins", "deps", "api", "types", "docs", "ranges", "recipes"),
    # Not "test": the tests of "wheel", from the checkout instead, for work on a package.
    *("wheel", "inflate", "codec", "house"),
]

sys.path.insert(0, str(Path(__file__).parent / "tools"))
for subject in ("checks", "packages", "peers", "benchmarks", "apps"):  # each registers its sessions
    import_module(f"sessions.{subject}")
