"""A clip with sound as an mp4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from moviegen_core import replacing
from moviegen_runtime.media.frames import enlarged
from moviegen_runtime.media.writing import add_h264, to_yuv, usual_colours

from moviegen_miniature.sound.stage import SoundClip

_SCALE = 4
_LAYOUTS = {1: "mono", 2: "stereo"}
_BITS_PER_CHANNEL = 96_000


def write_sound_clip(clip: SoundClip, path: Path) -> None:
    """Write a clip as H.264, each pixel as a square of four by four, and its sound as AAC.

    Raises:
        OSError: the file cannot be written.
    """
    frames = enlarged(clip.frames, _SCALE)
    height, width = frames.shape[1:3]
    fps = Fraction(clip.fps).limit_denominator(1001)
    layout = _LAYOUTS[len(clip.samples)]
    with replacing(path) as aside, av.open(str(aside), "w", format="mp4") as container:
        video = add_h264(container, height, width, fps, usual_colours(height))
        audio = container.add_stream("aac", rate=clip.rate, layout=layout)
        audio.bit_rate = _BITS_PER_CHANNEL * len(clip.samples)
        for picture in frames:
            container.mux(video.encode(to_yuv(picture, video)))
        container.mux(video.encode())
        sound = AudioFrame.from_ndarray(np.ascontiguousarray(clip.samples), format="fltp", layout=layout)
        sound.sample_rate, sound.time_base, sound.pts = clip.rate, Fraction(1, clip.rate), 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
