"""Results to files: a clip and its sidecar, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from moviegen_core import replacing
from numpy.typing import NDArray
from PIL import Image

from moviegen_runtime.media.frames import contact_sheet, default_display_scale, enlarged, to_uint8
from moviegen_runtime.media.writing import write_clip
from moviegen_runtime.pipelines.composer import Composer
from moviegen_runtime.pipelines.outputs import check_outputs, file_hash, sidecar_path
from moviegen_runtime.pipelines.sidecar import ScoreSidecar, Sidecar, Writing, describe, describe_scored
from moviegen_runtime.requests import ScoreRequest
from moviegen_runtime.results import GeneratedVideo, ProgressCallback, ScoredFilm

Scoring = Callable[[Path, Path], ScoredFilm]
"""Writes a film with a new sound to the second path; `partial(cast.score, request)` is one."""


def save(
    video: GeneratedVideo,
    path: Path | str,
    *,
    scoring: Scoring | None = None,
    display_scale: int | None = None,
    overwrite: bool = False,
) -> Sidecar:
    """Write a video and, beside it, the sidecar that makes it again.

    Args:
        path: ends in .mp4, .gif or .png; the sidecar has the same name and ends in .json.
        scoring: gives the clip its sound, for which it must be an mp4; None: it has none.
        display_scale: side of the square that every pixel becomes; None: 4 under 128 pixels, else 1.
        overwrite: replace files that are there.

    Raises:
        ValueError: the files cannot be written there, or the format cannot hold the clip.
    """
    path = Path(path)
    check_outputs([path, sidecar_path(path)], overwrite=overwrite)
    return save_all([(video, path)], scorings=[scoring], display_scale=display_scale)[0]


def save_all(
    videos: Sequence[tuple[GeneratedVideo, Path]],
    *,
    scorings: Sequence[Scoring | None],
    display_scale: int | None = None,
    contact_sheet_path: Path | None = None,
) -> list[Sidecar]:
    """Write videos with their sidecars, and on request one picture of them all; files that are there go.

    Nothing takes its place before everything has been written.

    Args:
        scorings: of each video, what gives it its sound; see `save`.

    Raises:
        ValueError: a suffix is unknown, the format cannot hold the clip or its sound, or a scoring refuses.
        OSError: a file cannot be written.
    """
    with ExitStack() as aside:
        clips = [to_uint8(video.clip)[0] for video, _ in videos]
        sidecars = [
            _save_one(aside, video, clip, path, display_scale, scoring)
            for clip, (video, path), scoring in zip(clips, videos, scorings, strict=True)
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
    scoring: Scoring | None,
) -> Sidecar:
    scale = _scale(clip, display_scale)
    written = aside.enter_context(replacing(path))
    scored = _write(enlarged(clip, scale), video.clip.fps, written, scoring)
    writing = Writing.model_validate({"format": path.suffix[1:], "display_scale": scale})
    sidecar = describe(video, path.name, file_hash(written), writing, scored)
    _write_sidecar(aside, sidecar, path)
    return sidecar


def _write(frames: NDArray[np.uint8], fps: float, path: Path, scoring: Scoring | None) -> ScoredFilm | None:
    """A clip, and its sound: as for any film, so that the picture stays what it is without one."""
    if scoring is None:
        write_clip(frames, fps, path)
        return None
    if path.suffix != ".mp4":
        raise ValueError(f"only an mp4 holds sound, not {path.name}; leave the sound out or rename it")
    silent = path.with_name(f"silent-{path.name}")  # in the hidden folder, and gone with it
    write_clip(frames, fps, silent)
    return scoring(silent, path)


def save_scored(
    composer: Composer,
    request: ScoreRequest,
    film: Path,
    output: Path,
    *,
    picture: Path | None = None,
    on_progress: ProgressCallback | None = None,
) -> tuple[ScoredFilm, ScoreSidecar]:
    """Score a film, and write beside the result the sidecar that makes it again; files that are there go.

    Nothing takes its place before everything has been written.

    Raises:
        ValueError: `Composer.score` refuses.
        OSError: a file cannot be written.
    """
    with ExitStack() as aside:
        written = aside.enter_context(replacing(output))
        drawn = None if picture is None else aside.enter_context(replacing(picture))
        scored = composer.score(request, film, written, picture=drawn, on_progress=on_progress)
        sidecar = describe_scored(scored, output.name, file_hash(written), film.name, file_hash(film))
        _write_sidecar(aside, sidecar, output)
    return scored, sidecar


def _write_sidecar(aside: ExitStack, sidecar: Sidecar | ScoreSidecar, path: Path) -> None:
    beside = aside.enter_context(replacing(sidecar_path(path)))
    beside.write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _scale(clip: NDArray[np.uint8], display_scale: int | None) -> int:
    return default_display_scale(*clip.shape[1:3]) if display_scale is None else display_scale
