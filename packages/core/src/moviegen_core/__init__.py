"""Contracts of the Movie Gen cast: values, shapes, protocols, configuration and the weights format."""

from moviegen_core.config import ArchConfig
from moviegen_core.files import replacing
from moviegen_core.protocols import AttentionFn, AudioAutoencoder, TextEncoder, VideoAutoencoder
from moviegen_core.shapes import Stride, VideoShape
from moviegen_core.values import AudioClip, AudioLatent, TextContext, VideoClip, VideoLatent
from moviegen_core.weights import load_pretrained, locate_pretrained, save_pretrained, weights_hash

__all__ = [
    "ArchConfig",
    "AttentionFn",
    "AudioAutoencoder",
    "AudioClip",
    "AudioLatent",
    "Stride",
    "TextContext",
    "TextEncoder",
    "VideoAutoencoder",
    "VideoClip",
    "VideoLatent",
    "VideoShape",
    "load_pretrained",
    "locate_pretrained",
    "replacing",
    "save_pretrained",
    "weights_hash",
]
