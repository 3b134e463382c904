"""Results to files: a clip and its sidecar, all of them or none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from moviegen_core import replacing
from numpy.typing import NDArray
from PIL import Image

from moviegen_runtime.media.frames import contact_sheet, default_display_scale, enlarged, to_uint8
from moviegen_runtime.media.writing import write_clip
from moviegen_runtime.pipelines.outputs import check_outputs, sidecar_path
from moviegen_runtime.pipelines.sidecar import Sidecar, Writing, describe
from moviegen_runtime.results import GeneratedVideo


def save(
    video: GeneratedVideo, path: Path | str, *, display_scale: int | None = None, overwrite: bool = False
) -> Sidecar:
    """Write a video and, beside it, the sidecar that makes it again.

    Args:
        path: ends in .mp4, .gif or .png; the sidecar has the same name and ends in .json.
        display_scale: side of the square that every pixel becomes; None: 4 under 128 pixels, else 1.
        overwrite: replace files that are there.

    Raises:
        ValueError: the files cannot be written there, or the format cannot hold the clip.
    """
    path = Path(path)
    check_outputs([path, sidecar_path(path)], overwrite=overwrite)
    return save_all([(video, path)], display_scale=display_scale)[0]


def save_all(
    videos: Sequence[tuple[GeneratedVideo, Path]],
    *,
    display_scale: int | None = None,
    contact_sheet_path: Path | None = None,
) -> list[Sidecar]:
    """Write videos with their sidecars, and on request one picture of them all; files that are there go.

    Nothing takes its place before everything has been written.

    Raises:
        ValueError: a suffix is unknown, or the format cannot hold the clip.
        OSError: a file cannot be written.
    """
    with ExitStack() as aside:
        clips = [to_uint8(video.clip)[0] for video, _ in videos]
        sidecars = [
            _save_one(aside, video, clip, path, display_scale)
            for clip, (video, path) in zip(clips, videos, strict=True)
        ]
        if contact_sheet_path is not None:
            sheet = contact_sheet([enlarged(clip, _scale(clip, display_scale)) for clip in clips])
            target = aside.enter_context(replacing(contact_sheet_path))
            Image.fromarray(sheet).save(target, format="png")
    return sidecars


def _save_one(
    aside: ExitStack,
    video: GeneratedVideo,
    clip: NDArray[np.uint8],
    path: Path,
    display_scale: int | None,
) -> Sidecar:
    scale = _scale(clip, display_scale)
    written = aside.enter_context(replacing(path))
    write_clip(enlarged(clip, scale), video.clip.fps, written)
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    writing = Writing.model_validate({"format": path.suffix[1:], "display_scale": scale})
    sidecar = describe(video, path.name, digest, writing)
    beside = aside.enter_context(replacing(sidecar_path(path)))
    beside.write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sidecar


def _scale(clip: NDArray[np.uint8], display_scale: int | None) -> int:
    return default_display_scale(*clip.shape[1:3]) if display_scale is None else display_scale
