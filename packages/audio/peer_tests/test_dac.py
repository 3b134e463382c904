"""Codec, losses and discriminators against `descript-audio-codec`; of all sessions only `codec` has it.

Random weights of every tensor, frequencies and biases as well. Two orders of the same sums differ by
rounding: in single precision the two must agree to 1e-5 as vectors, and in double precision to 1e-7 at every
value. What its `audiotools` computes is in single precision always.
"""

from __future__ import annotations

import librosa
import pytest
import torch
from audiotools import AudioSignal
from dac.model.dac import Decoder, Encoder
from dac.model.discriminator import Discriminator as DacDiscriminator
from dac.nn.loss import GANLoss, MelSpectrogramLoss
from moviegen_audio import (
    AudioCodec,
    Discriminator,
    MelDistance,
    adversarial_loss,
    codec_preset,
    convert_dacvae,
    discriminator_loss,
    feature_matching_loss,
    mel_filters,
)
from moviegen_core import AudioClip
from torch import Tensor, nn
from torch.nn.utils import weight_norm

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs

RELATIVE = {torch.float32: 1e-5, torch.float64: 1e-7}
LATENTS, HIDDEN = 6, 32


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    ours, theirs = ours.detach(), theirs.detach()
    assert ours.dtype == theirs.dtype
    if ours.dtype == torch.float64:
        assert float((ours - theirs).abs().max()) <= RELATIVE[ours.dtype] * float(theirs.abs().max())
    assert float((ours - theirs).norm()) <= RELATIVE[ours.dtype] * float(theirs.norm())


class Peer(nn.Module):
    """DAC's encoder and decoder with the bottleneck of DAC-VAE between them."""

    def __init__(self, rates: list[int]) -> None:
        super().__init__()
        self.encoder = Encoder(8, rates, HIDDEN)
        self.in_proj = weight_norm(nn.Conv1d(HIDDEN, 2 * LATENTS, 1))
        self.out_proj = weight_norm(nn.Conv1d(LATENTS, HIDDEN, 1))
        self.decoder = Decoder(HIDDEN, 64, rates[::-1])
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))

    def published(self) -> dict[str, Tensor]:
        """The tensors by the names of DAC-VAE's checkpoint."""
        levels = len(self.decoder.model) - 4  # besides first convolution, Snake, last convolution and Tanh
        head = "decoder.wm_model.encoder_block.pre"
        renames = {
            "in_proj.": "quantizer.in_proj.",
            "out_proj.": "quantizer.out_proj.",
            f"decoder.model.{levels + 1}.": f"{head}.0.",
            f"decoder.model.{levels + 2}.": f"{head}.1.",
        }
        for level in range(1, levels + 1):
            block = f"decoder.model.{level}.block"
            renames |= {f"{block}.{dac}.": f"{block}.{vae}." for dac, vae in ((2, 4), (3, 5), (4, 8))}
        tensors = {}
        for name, tensor in self.state_dict().items():
            old = next((old for old in renames if name.startswith(old)), "")
            tensors[renames.get(old, "") + name.removeprefix(old)] = tensor
        return tensors


@pytest.fixture(params=[[2, 4, 6], [4, 8], [2, 8, 10, 12]], ids=str)
def peer(request: pytest.FixtureRequest) -> Peer:
    torch.manual_seed(0)
    return Peer(request.param).eval()


def noise(length: int, dtype: torch.dtype, batch: int = 2) -> Tensor:
    return (2 * torch.rand(batch, 1, length, generator=torch.Generator().manual_seed(1)) - 1).to(dtype)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("dtype", RELATIVE)
def test_the_codec_is_dac_without_its_quantiser(peer: Peer, gradients: bool, dtype: torch.dtype) -> None:
    """With and without gradients a sound goes whole and in pieces."""
    codec = convert_dacvae(peer.published()).to(dtype)
    peer = peer.to(dtype)
    x = noise(5 * codec.hop, dtype)
    with torch.set_grad_enabled(gradients):
        mean, _ = peer.in_proj(peer.encoder(x)).chunk(2, dim=1)
        assert_near(codec.posterior(AudioClip(x, codec.sample_rate)).mean, mean)
        assert_near(codec.decode_moments(mean, x.shape[-1]), peer.decoder(peer.out_proj(mean)))


@pytest.mark.parametrize(("rate", "window", "bands"), [(48000, 2048, 320), (16000, 512, 80), (44100, 32, 5)])
def test_filters_are_those_of_librosa(rate: int, window: int, bands: int) -> None:
    theirs = librosa.filters.mel(sr=rate, n_fft=window, n_mels=bands)
    torch.testing.assert_close(
        mel_filters(rate, window, bands), torch.from_numpy(theirs), rtol=1e-5, atol=1e-9
    )


def test_the_mel_distance_is_that_of_dac() -> None:
    pairs = [(5, 32), (10, 64), (20, 128), (40, 256), (80, 512), (160, 1024), (320, 2048)]
    theirs = MelSpectrogramLoss(
        n_mels=[bands for bands, _ in pairs],
        window_lengths=[window for _, window in pairs],
        mel_fmin=[0.0] * len(pairs),
        mel_fmax=[None] * len(pairs),
        pow=1.0,
        mag_weight=0.0,
    )
    one, other = noise(5000, torch.float32), 0.5 * noise(5000, torch.float32).flip(-1)
    expected = theirs(AudioSignal(one, 44100), AudioSignal(other, 44100))
    torch.testing.assert_close(MelDistance(44100)(one, other), expected, rtol=1e-5, atol=0)


def discriminators() -> tuple[Discriminator, DacDiscriminator]:
    """Ours with the weights of DAC's."""
    torch.manual_seed(0)
    theirs = DacDiscriminator(periods=[2, 3, 7], fft_sizes=[512, 256])
    ours = Discriminator([2, 3, 7], [512, 256])
    tensors = list(theirs.state_dict().values())  # of each convolution bias, length and direction, in order
    for own, tensor in zip(ours.state_dict().values(), tensors, strict=True):
        assert own.shape == tensor.shape
        own.copy_(tensor.add_(0.05 * torch.randn_like(tensor)))
    return ours, theirs


@pytest.mark.parametrize("length", [4096, 5000])
def test_the_discriminators_are_those_of_dac(length: int) -> None:
    ours, theirs = discriminators()
    real, fake = noise(length, torch.float32), 0.3 * noise(length, torch.float32).flip(-1) + 0.1
    seen, expected = ours(real), theirs(real)
    assert [len(features) for features in seen] == [len(features) for features in expected]
    for features, others in zip(seen, expected, strict=True):
        for feature, other in zip(features, others, strict=True):
            assert_near(feature, other)
    gan = GANLoss(theirs)
    signals = AudioSignal(fake, 44100), AudioSignal(real, 44100)
    torch.testing.assert_close(discriminator_loss(ours(real), ours(fake)), gan.discriminator_loss(*signals))
    adversarial, matching = gan.generator_loss(*signals)
    torch.testing.assert_close(adversarial_loss(ours(fake)), adversarial)
    torch.testing.assert_close(feature_matching_loss(ours(real), ours(fake)), matching)


def test_the_preset_has_the_size_of_the_peer() -> None:
    """DAC's own classes at the sizes of the preset have as many parameters, but for the bottleneck."""
    with torch.device("meta"):
        encoder, decoder = Encoder(64, [2, 8, 10, 12], 1024), Decoder(1024, 1536, [12, 10, 8, 2])
        codec = AudioCodec(codec_preset("paper"))
    for ours, theirs in ((codec.encoder.layers[:-1], encoder), (codec.decoder.layers[1:], decoder)):
        assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
