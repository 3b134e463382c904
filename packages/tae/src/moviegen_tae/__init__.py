"""The temporal autoencoder of Movie Gen: video to latent and back."""

from moviegen_tae.config import TAEConfig, preset
from moviegen_tae.discriminator import PatchDiscriminator, adaptive_weight, hinge_loss
from moviegen_tae.framewise import FrameWise
from moviegen_tae.growth import deepen_decoder
from moviegen_tae.inflate import inflate, inflate_pretrained
from moviegen_tae.linear import LinearCode, principal_components
from moviegen_tae.losses import PerceptualFn, TAELoss, TAELossParts, TAELossWeights, outlier_penalty
from moviegen_tae.model import TAE, Posterior
from moviegen_tae.streaming import decode_stream, decode_tiled, encode_stream, encode_tiled
from moviegen_tae.tiling import Tiling
from moviegen_tae.weights import from_pretrained, locate, save

__all__ = [
    "TAE",
    "FrameWise",
    "LinearCode",
    "PatchDiscriminator",
    "PerceptualFn",
    "Posterior",
    "TAEConfig",
    "TAELoss",
    "TAELossParts",
    "TAELossWeights",
    "Tiling",
    "adaptive_weight",
    "decode_stream",
    "decode_tiled",
    "deepen_decoder",
    "encode_stream",
    "encode_tiled",
    "from_pretrained",
    "hinge_loss",
    "inflate",
    "inflate_pretrained",
    "locate",
    "outlier_penalty",
    "preset",
    "principal_components",
    "save",
]
