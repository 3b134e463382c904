"""Films written frame by frame to mp4, with the times, colours and sound of the film that they are made of.

Video is H.264, in yuv420p; if a side is odd in yuv444p, since yuv420p has one colour for two by two pixels.
Sound is taken over packet by packet where an mp4 plays it, and else encoded as AAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from moviegen_runtime.media.film import FilmFormat, Sound, open_sound
from moviegen_runtime.media.film_sound import SampledSound, SoundTrack, add_sound
from moviegen_runtime.media.writing import add_h264, to_yuv


class FilmWriter:
    """An mp4 that is being written; `create_film` makes one."""

    def __init__(
        self,
        container: OutputContainer,
        name: str,
        film: FilmFormat,
        video: VideoStream,
        sound: SoundTrack | None,
    ) -> None:
        self._container, self._name, self._film = container, name, film
        self._video, self._sound = video, sound

    @property
    def sound_says(self) -> str:
        """What becomes of the sound, in words."""
        return "none" if self._sound is None else self._sound.says

    def write(self, picture: NDArray[np.uint8], time: int, duration: int) -> None:
        """Add a frame (H, W, 3), and the sound up to it.

        Raises:
            ValueError: the sound is damaged.
            OSError: the file cannot be written.
        """
        with writing(self._name):
            frame = to_yuv(picture, self._video)
            frame.pts, frame.time_base, frame.duration = time, self._film.time_base, duration
            if self._sound is not None:
                self._sound.copy(until=time * self._film.time_base)
            self._container.mux(self._video.encode(frame))

    def finish(self, sound_until: Fraction | None = None) -> None:
        """End the video, with the sound up to a time in seconds, or all of it.

        Raises:
            ValueError: the sound is damaged.
            OSError: the file cannot be written.
        """
        with writing(self._name):
            if self._sound is not None:
                self._sound.copy(until=sound_until)
                self._sound.finish()
            self._container.mux(self._video.encode())
            self._container.close()


@contextmanager
def create_film(path: Path, film: FilmFormat, sound_of: Path | SampledSound) -> Iterator[FilmWriter]:
    """Write an mp4 to `path`, with the sound of another file or with samples.

    Raises:
        ValueError: the sound is damaged.
        OSError: the file cannot be written.
    """
    with ExitStack() as stack:
        sound: Sound | SampledSound | None
        sound = stack.enter_context(open_sound(sound_of)) if isinstance(sound_of, Path) else sound_of
        container = stack.enter_context(created(path))
        with writing(path.name):
            video = _add_video(container, film)
            track = None if sound is None else add_sound(container, sound, film.origin)
        yield FilmWriter(container, path.name, film, video, track)


@contextmanager
def created(path: Path) -> Iterator[OutputContainer]:
    """An mp4 that is new, its index first so that it plays while it loads; whoever writes it closes it.

    Raises:
        OSError: the file cannot be written.
    """
    with writing(path.name):
        container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
    try:
        yield container
    except BaseException:  # an interrupt too: the file is let go, and whatever it was goes on its way
        with suppress(av.FFmpegError):  # what is wrong is on its way already, and the file is of no use
            container.close()
        raise


@contextmanager
def writing(name: str) -> Iterator[None]:
    """What goes wrong while a file is written, in a sentence.

    Raises:
        OSError: the library could not write on.
    """
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, f"cannot write {name}: {error.strerror}") from error


def _add_video(container: OutputContainer, film: FilmFormat) -> VideoStream:
    video = add_h264(container, film.height, film.width, film.fps, film.colours)
    context = video.codec_context
    context.time_base = film.time_base
    context.sample_aspect_ratio = film.pixel_aspect
    context.flags |= Flags.frame_duration
    return video
