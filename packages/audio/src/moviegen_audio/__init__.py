"""The sound of Movie Gen: the codec and the audio transformer."""

from moviegen_audio.captions import SoundCaption
from moviegen_audio.codec import AudioCodec, AudioPosterior
from moviegen_audio.conditions import AudioConditions, AudioContext, FrameFeatures
from moviegen_audio.config import (
    AudioCodecConfig,
    AudioDiTConfig,
    SightConfig,
    codec_preset,
    dit_preset,
    sight_preset,
)
from moviegen_audio.convert import convert_dacvae, convert_dacvae_file
from moviegen_audio.discriminator import Discriminator
from moviegen_audio.downmix import downmix
from moviegen_audio.extending import Sampler, Score, Search, extend, score_sound
from moviegen_audio.filling import Maker, continue_sound, fill_gap
from moviegen_audio.losses import (
    AudioCodecLoss,
    AudioCodecLossParts,
    AudioCodecLossWeights,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from moviegen_audio.masking import AudioMasking, Hidden
from moviegen_audio.mel import MelDistance, MelSpectrogram, mel_filters
from moviegen_audio.model import AudioDiT
from moviegen_audio.sampling import ConditionsFn, sample, sample_windows
from moviegen_audio.segments import Segment, Segmenting
from moviegen_audio.sight import Sight
from moviegen_audio.streaming import decode_stream, decode_values, encode_stream
from moviegen_audio.weights import (
    load_codec,
    load_dit,
    load_sight,
    locate_codec,
    locate_dit,
    locate_sight,
    save_codec,
    save_dit,
    save_sight,
)

__all__ = [
    "AudioCodec",
    "AudioCodecConfig",
    "AudioCodecLoss",
    "AudioCodecLossParts",
    "AudioCodecLossWeights",
    "AudioConditions",
    "AudioContext",
    "AudioDiT",
    "AudioDiTConfig",
    "AudioMasking",
    "AudioPosterior",
    "ConditionsFn",
    "Discriminator",
    "FrameFeatures",
    "Hidden",
    "Maker",
    "MelDistance",
    "MelSpectrogram",
    "Sampler",
    "Score",
    "Search",
    "Segment",
    "Segmenting",
    "Sight",
    "SightConfig",
    "SoundCaption",
    "adversarial_loss",
    "codec_preset",
    "continue_sound",
    "convert_dacvae",
    "convert_dacvae_file",
    "decode_stream",
    "decode_values",
    "discriminator_loss",
    "dit_preset",
    "downmix",
    "encode_stream",
    "extend",
    "feature_matching_loss",
    "fill_gap",
    "load_codec",
    "load_dit",
    "load_sight",
    "locate_codec",
    "locate_dit",
    "locate_sight",
    "mel_filters",
    "sample",
    "sample_windows",
    "save_codec",
    "save_dit",
    "save_sight",
    "score_sound",
    "sight_preset",
]
