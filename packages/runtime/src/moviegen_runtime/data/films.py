"""The sound source `films`: a list of films, or of sound files, with what is heard in them.

Legend: N samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from moviegen_audio import SoundCaption

from moviegen_runtime.data.pack import CaptionedFile, PackList, read_list
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.media.film import open_film, open_sound
from moviegen_runtime.media.hearing import heard
from moviegen_runtime.media.reading import MAX_CLIP_PIXELS, opened, read_clip

_MOST_SECONDS = 600.0
"""Of a file that are used: its last piece is reached by reading all before it."""
_QUALITY = 7.0  # as the paper asks for at inference; ours where a list says nothing
_ANSWERS = {"": False, "no": False, "false": False, "0": False, "yes": True, "true": True, "1": True}
_TOLD = 3


@dataclass(frozen=True)
class _Film:
    """A line of the list that can be used.

    Args:
        begin: what the file calls the moment at which its first piece begins, in seconds.
        pieces: how many it gives.
    """

    path: Path
    heard: SoundCaption
    begin: Fraction
    pieces: int


class FilmSounds:
    """Pieces of films with their sound, or of sound files, one after the other from each one's beginning.

    What is left over at the end of a file is dropped. Sounds are mixed to one channel.

    Args:
        listing: CSV in UTF-8 whose first line names the columns `path` and `caption`: what is heard. Relative
            paths are relative to it. Further columns are read where they are there: `music`, what the music
            is like, empty where there is none; `quality` of the recording, 1 to 10, 7 where it is empty;
            `speech` and `vocals`, yes or no.
        rate: samples a second; a codec reads its own.
        seconds: length of a piece.
        pieces: most that one file gives.
        pictures: whether the files are films whose pictures are kept; otherwise pictures are not read.
        fps: of the pictures, frames a second.
        size: side in pixels of their largest centred square.

    Raises:
        ValueError: an option is out of its range, or lines of the list cannot be used.
    """

    def __init__(
        self,
        *,
        listing: str,
        rate: int,
        seconds: float = 4.0,
        pieces: int = 1,
        pictures: bool = False,
        fps: float = 12.0,
        size: int = 64,
    ) -> None:
        if not 1 <= rate <= 384_000:
            raise ValueError(f"rate must be from 1 to 384000, not {rate!r}")
        if pieces < 1 or not 0 < seconds * pieces <= _MOST_SECONDS:
            raise ValueError(
                f"pieces of one file must be at least one and last {_MOST_SECONDS:g} s at most together, not "
                f"{pieces} of {seconds:g} s"
            )
        if not 0 < fps <= 240 or not 8 <= size <= 1024:
            raise ValueError(f"fps must be up to 240 and size from 8 to 1024, not {fps!r} and {size!r}")
        self.rate, self.seconds, self.pictures = rate, seconds, pictures
        self.fps, self.size = fps, size
        self._check_pieces()
        files = read_list(Path(listing))
        self.fingerprint = files.sha256
        self._films = self._looked_at(files, listing, pieces)
        self._ends = np.cumsum([film.pieces for film in self._films])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> CaptionedSound:
        """A piece; its file is read from the beginning up to its end.

        Raises:
            IndexError: there are not so many.
            ValueError: the file is damaged, or ends before its header says so.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        film = self._films[number]
        place = index - int(self._ends[number]) + film.pieces
        begin = film.begin + place * Fraction(self.seconds)
        count = round(self.seconds * self.rate)
        samples = heard(film.path, begin=begin, samples=count, rate=self.rate, complete=True)
        picture = self._picture(film, place) if self.pictures else None
        return CaptionedSound(samples, self.rate, film.heard, picture)

    def _check_pieces(self) -> None:
        if round(self.seconds * self.rate) < 1:
            raise ValueError(f"a piece of {self.seconds:g} s has no samples: give longer seconds")
        frames = round(self.seconds * self.fps)
        if self.pictures and not 1 <= frames <= MAX_CLIP_PIXELS // self.size**2:
            raise ValueError(
                f"a piece must have from 1 to {MAX_CLIP_PIXELS // self.size**2} frames at size {self.size}; "
                f"{self.seconds:g} s at {self.fps:g} fps are {frames}"
            )

    def _looked_at(self, files: PackList, listing: str, most: int) -> tuple[_Film, ...]:
        """The films of a list, by their headers and first frames."""
        films: dict[int, _Film] = {}
        problems: dict[int, str] = {}
        for file in files.files:
            try:
                films[file.line] = self._film(file, most)
            except ValueError as error:
                problems[file.line] = f"line {file.line}: {error}"
        if problems:
            told = [*problems.values()][:_TOLD]
            more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
            raise ValueError(f"take these lines out of {listing}, or mend them: {'; '.join(told)}{more}")
        return tuple(films.values())

    def _film(self, file: CaptionedFile, most: int) -> _Film:
        if not file.caption:
            raise ValueError(f"{file.path} has no caption")
        begin, seconds = _extent(file.path, with_picture=self.pictures)
        count = min(most, math.floor(seconds / self.seconds + 1e-3))
        if count < 1:
            raise ValueError(f"{file.path} lasts {max(seconds, 0):.2f} s, a piece {self.seconds:g} s")
        return _Film(file.path, sound_caption(file), begin, count)

    def _picture(self, film: _Film, place: int) -> CaptionedClip:
        """Of a piece; where the picture ends before, its last frame stays."""
        first, last = (round(self.seconds * self.fps * edge) for edge in (place, place + 1))
        frames = read_clip(film.path, size=(self.size, self.size), fps=self.fps, max_frames=last).frames
        return CaptionedClip(
            frames[np.minimum(np.arange(first, last), len(frames) - 1)], self.fps, film.heard.description
        )


def sound_caption(file: CaptionedFile) -> SoundCaption:
    """What a line says of what is heard.

    Raises:
        ValueError: a column says what it cannot.
    """
    music = file.others.get("music", "")
    quality = file.others.get("quality", "")
    try:
        value = float(quality) if quality else _QUALITY
    except ValueError as error:
        raise ValueError(f"quality must be a number from 1 to 10, not {quality!r}") from error
    return SoundCaption(
        quality=value,
        speech=_answer(file, "speech"),
        vocals=_answer(file, "vocals"),
        music=1.0 if music else 0.0,
        description=file.caption,
        music_description=music,
    )


def _answer(file: CaptionedFile, column: str) -> bool:
    said = file.others.get(column, "").lower()
    if said not in _ANSWERS:
        raise ValueError(f"{column} must be yes or no, not {said!r}")
    return _ANSWERS[said]


def _extent(path: Path, *, with_picture: bool) -> tuple[Fraction, float]:
    """When a file begins, in its own seconds, and how many seconds it lasts by its header.

    Raises:
        ValueError: it cannot be read, or has no sound, or no picture where there is to be one.
    """
    with opened(path) as container, open_sound(path) as sound:
        if sound is None:
            raise ValueError(f"{path} has no sound")
        unit, own = sound.stream.time_base or Fraction(1), sound.stream.duration
        begin = (sound.stream.start_time or 0) * unit
        end = begin + (own * unit if own is not None else Fraction(container.duration or 0, av.time_base))
    if with_picture:
        with open_film(path, with_sound=False) as film:
            begin = film.format.origin
            if film.expected:
                end = min(end, begin + film.expected / film.format.fps)
    return begin, float(end - begin)
