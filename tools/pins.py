"""The pins: `[tool.uv] constraint-dependencies` of the root is exactly what the workspace resolves to.

    python tools/pins.py check      fails, and names each difference, when it is not
    python tools/pins.py write      adds what is missing, takes away what nothing needs
    python tools/pins.py upgrade    resolves anew to the latest versions of all, and writes them down

The lock file of uv holds the address of a registry in every line, so the pins take its place in git.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LIST = re.compile(r"(?m)^constraint-dependencies = \[\n(?:    .*\n)*\]$")


def listed(pyproject: str) -> list[str]:
    """The pins that a pyproject.toml holds."""
    return list(tomllib.loads(pyproject)["tool"]["uv"]["constraint-dependencies"])


def with_pins(pyproject: str, pins: list[str]) -> str:
    """The same pyproject.toml with other pins.

    Raises:
        ValueError: it has no list of pins, one entry a line.
    """
    lines = "".join(f"    {_quoted(pin)},\n" for pin in pins)
    text, found = _LIST.subn(lambda _: f"constraint-dependencies = [\n{lines}]", pyproject)
    if found != 1:
        raise ValueError("pyproject.toml must hold constraint-dependencies once, one entry a line")
    return text


def pins_of(exported: str) -> list[str]:
    """Pins of the output of `uv export`. A marker is kept only where a name has more than one version."""
    lines = [line for line in exported.splitlines() if "==" in line]
    count = Counter(line.partition("==")[0] for line in lines)
    return [line if count[line.partition("==")[0]] > 1 else line.partition(" ;")[0] for line in lines]


def strangers(pins: list[str]) -> list[str]:
    """What this interpreter's environment has in another version than every pin of that name."""
    wanted: dict[str, set[str]] = {}
    for pin in pins:
        name, _, rest = pin.partition("==")
        wanted.setdefault(name, set()).add(rest.partition(" ;")[0])
    odd = []
    for name, versions in wanted.items():
        try:
            if version(name) not in versions:
                odd.append(f"{name} is installed in version {version(name)}, pinned is {sorted(versions)}")
        except PackageNotFoundError:  # a tool of another session, or of another platform
            continue
    return odd


def resolve(*options: str) -> list[str]:
    """Pins of everything that any session of the workspace installs, on any platform."""
    subprocess.run(["uv", "lock", "--quiet", *options], cwd=ROOT, check=True)
    everything = ["--all-packages", "--all-groups", "--all-extras", "--no-emit-workspace"]
    plain = ["--no-hashes", "--no-header", "--no-annotate", "--frozen", "--quiet"]
    run = subprocess.run(
        ["uv", "export", *everything, *plain], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return pins_of(run.stdout)


def check() -> int:
    """Print every difference; the exit code."""
    pins = listed((ROOT / "pyproject.toml").read_text())
    resolved = resolve()
    problems = [f"missing pin: {pin}" for pin in sorted(set(resolved) - set(pins))]
    problems += [f"pin of nothing: {pin}" for pin in sorted(set(pins) - set(resolved))]
    problems += strangers(pins)
    print("\n".join(problems) or f"{len(pins)} pins, exactly what the workspace resolves to")
    if problems:
        print("write them with: uv run nox -s pin")
    return 1 if problems else 0


def write() -> int:
    """Pin what the present pins leave open; the exit code."""
    path = ROOT / "pyproject.toml"
    path.write_text(with_pins(path.read_text(), resolve()))
    print(f"{len(listed(path.read_text()))} pins")
    return 0


def upgrade() -> int:
    """Resolve without pins, and pin what came out; the old pins stay when there is no solution."""
    path = ROOT / "pyproject.toml"
    before = path.read_text()
    try:
        path.write_text(with_pins(before, []))
        path.write_text(with_pins(before, resolve("--upgrade")))
    except BaseException:  # Ctrl-C too must not leave the file without its pins; it goes on from here
        path.write_text(before)
        raise
    print(f"{len(listed(path.read_text()))} pins")
    return 0


def _quoted(pin: str) -> str:
    return f"'{pin}'" if '"' in pin else f'"{pin}"'


if __name__ == "__main__":
    actions = {"check": check, "write": write, "upgrade": upgrade}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit("usage: python tools/pins.py check|write|upgrade")
    sys.exit(actions[sys.argv[1]]())
