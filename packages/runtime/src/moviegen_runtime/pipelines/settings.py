"""What a cast says about itself besides its weights: how to sample it, what it was trained on. No torch here.

The files `cast.json` and `phrasebook.json` of a model folder hold it; the shipped miniature's are
`miniature.json` and `miniature_phrasebook.json` beside this file.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from moviegen_runtime.requests import (
    Frames,
    SamplingSettings,
    ScoreSettings,
    Size,
    TextToVideoRequest,
    parse_size,
)
from moviegen_runtime.text.phrasebook import Phrasebook
from moviegen_runtime.validation import read_model

MINIATURE = "miniature"
"""The cast whose weights come with the packages."""
SETTINGS_FILE = "cast.json"
PHRASEBOOK_FILE = "phrasebook.json"


class Extent(BaseModel):
    """The longest and largest clips that a cast was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: Frames
    size: Size


class CastSettings(BaseModel):
    """Defaults of a request, and how far requests may go.

    Args:
        defaults: what a request that leaves a field open gets.
        sound: the same for requests of soundtracks; the paper's if nothing is said.
        trained: beyond it a request is refused; None: as far as the model's position tables reach.
        text_encoders: where each text encoder's weights are, by its name: a folder, relative ones to the
            model's, or a Hub id; an encoder that is not named has a folder of its name in the model's.
        sight: the same for the CLIP that sees films for a transformer of sound without a network of its own
            for pictures; None: the model's folder `sight`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    defaults: SamplingSettings
    sound: ScoreSettings = ScoreSettings()
    trained: Extent | None = None
    text_encoders: dict[str, str] = Field(default_factory=dict)
    sight: str | None = None

    def check(self, request: TextToVideoRequest) -> None:
        """Refuse a resolved request beyond what the cast was trained on.

        Raises:
            ValueError: too many frames, or a larger picture.
        """
        settings = request.settings()
        width, height = parse_size(settings.size)
        if self.trained is None:
            return
        most_width, most_height = parse_size(self.trained.size)
        if settings.frames > self.trained.frames or width > most_width or height > most_height:
            raise ValueError(
                f"this model was trained on up to {self.trained.frames} frames of {self.trained.size} "
                f"pixels; it cannot make {settings.frames} of {settings.size}"
            )


def miniature_settings() -> CastSettings:
    """Settings of the shipped miniature, which are also those of a folder that says nothing."""
    return read_model(Path(__file__).with_name("miniature.json"), CastSettings)


def folder_settings(folder: Path) -> CastSettings:
    """Settings of a model folder: its `cast.json`, or the miniature's defaults without its limits.

    Raises:
        ValueError: the file is damaged or says something that is not known.
    """
    path = folder / SETTINGS_FILE
    if path.is_file():
        return read_model(path, CastSettings)
    miniature = miniature_settings()
    return CastSettings(defaults=miniature.defaults, sound=miniature.sound)


def cast_phrasebook(model: Path | str) -> Phrasebook | None:
    """The phrases of a cast's captions, if it says them.

    Args:
        model: "miniature", or the cast's folder.

    Raises:
        ValueError: the file is damaged.
    """
    if str(model) == MINIATURE:
        return read_model(Path(__file__).with_name("miniature_phrasebook.json"), Phrasebook)
    path = Path(model) / PHRASEBOOK_FILE
    return read_model(path, Phrasebook) if path.is_file() else None
