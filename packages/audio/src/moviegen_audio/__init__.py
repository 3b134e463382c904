"""The sound of Movie Gen: the codec and the audio transformer."""

from moviegen_audio.codec import AudioCodec, AudioPosterior
from moviegen_audio.config import AudioCodecConfig, codec_preset
from moviegen_audio.convert import convert_dacvae, convert_dacvae_file
from moviegen_audio.discriminator import Discriminator
from moviegen_audio.downmix import downmix
from moviegen_audio.losses import (
    AudioCodecLoss,
    AudioCodecLossParts,
    AudioCodecLossWeights,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from moviegen_audio.mel import MelDistance, MelSpectrogram, mel_filters
from moviegen_audio.streaming import decode_stream, encode_stream
from moviegen_audio.weights import load_codec, locate_codec, save_codec

__all__ = [
    "AudioCodec",
    "AudioCodecConfig",
    "AudioCodecLoss",
    "AudioCodecLossParts",
    "AudioCodecLossWeights",
    "AudioPosterior",
    "Discriminator",
    "MelDistance",
    "MelSpectrogram",
    "adversarial_loss",
    "codec_preset",
    "convert_dacvae",
    "convert_dacvae_file",
    "decode_stream",
    "discriminator_loss",
    "downmix",
    "encode_stream",
    "feature_matching_loss",
    "load_codec",
    "locate_codec",
    "mel_filters",
    "save_codec",
]
