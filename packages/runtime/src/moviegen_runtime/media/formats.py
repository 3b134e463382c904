"""What each format can hold. No torch and no codec here, so that it can be asked before any work."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".mp4", ".gif", ".png")
# Viewers show a gif faster than this at a tenth of its speed.
_MAX_GIF_FPS = 50


def check_format(path: Path, frames: int, fps: float) -> None:
    """Refuse a file that cannot hold so many frames at this rate.

    Raises:
        ValueError: an unknown suffix, more than one frame in a png, or a gif that is too fast.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path.name!r} must end in one of {', '.join(SUFFIXES)}")
    if path.suffix == ".png" and frames != 1:
        raise ValueError(f"a png holds one frame, not {frames}; write an mp4 or a gif, or ask for 1 frame")
    if path.suffix == ".gif" and fps > _MAX_GIF_FPS:
        raise ValueError(f"a gif shows at most {_MAX_GIF_FPS} frames a second, not {fps:g}; write an mp4")
