"""The codec: its shapes and sizes, whole sounds against pieces, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from moviegen_audio import AudioCodec, AudioCodecConfig, AudioPosterior, codec_preset
from moviegen_audio.codec import reflection
from moviegen_audio.codec_layers import Downsample, Layer, ResidualUnit, Snake, Upsample
from moviegen_core import AudioClip, AudioLatent
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

CONFIG = AudioCodecConfig(
    sample_rate=8000, rates=(2, 3, 5), encoder_width=4, decoder_width=32, hidden_width=16, latent_channels=3
)


def codec(dtype: torch.dtype = torch.float64) -> AudioCodec:
    """With every parameter random, frequencies and biases too."""
    torch.manual_seed(0)
    model = AudioCodec(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.set_normalisation(torch.randn(3), torch.rand(3) + 0.5)
    return model.to(dtype).eval()


def sound(length: int, batch: int = 2, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    return 2 * torch.rand(batch, channels, length, dtype=torch.float64, generator=generator) - 1


@pytest.mark.parametrize(("length", "frames"), [(1, 1), (29, 1), (30, 1), (31, 2), (640, 22)])
@pytest.mark.parametrize("gradients", [False, True])
def test_lengths_are_rounded_up_and_come_back_exactly(length: int, frames: int, gradients: bool) -> None:
    model = codec()
    with torch.set_grad_enabled(gradients):
        latent = model.encode(AudioClip(sound(length), 8000))
        clip = model.decode(latent)
    assert latent.values.shape == (2, 3, frames)
    assert (latent.hop, latent.num_samples, latent.sample_rate) == (30, length, 8000)
    assert clip.samples.shape == (2, 1, length)
    assert clip.samples.abs().max() < 1


@pytest.mark.parametrize("values", [1, 700, 2**18])
def test_pieces_give_what_the_whole_gives(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients a sound goes through in windows; of one position each, of some, or of all."""
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", values)
    model, clip = codec(), AudioClip(sound(1234), 8000)
    with torch.no_grad():
        pieces = model.posterior(clip)
        decoded = model.decode_moments(pieces.mean, 1234)
    whole = model.posterior(clip)
    torch.testing.assert_close(pieces.mean, whole.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(pieces.std, whole.std, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(decoded, model.decode_moments(whole.mean, 1234), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "layer",
    [ResidualUnit(4, 3), Downsample(4, 8, 3), Downsample(4, 8, 4), Upsample(8, 4, 2), Upsample(8, 4, 5)],
)
def test_layers_are_the_convolutions_of_torch(layer: Layer) -> None:
    """With the paddings that DAC gives them, and kernels by torch's own weight norm."""
    layer = layer.double()
    x = sound(60, 2, 4 if not isinstance(layer, Upsample) else 8)
    torch.manual_seed(0)
    for part in (getattr(layer, name) for name in ("conv", "conv1", "conv2") if hasattr(layer, name)):
        part.weight_g.data.uniform_(0.5, 2.0)
        part.bias.data.normal_()

    def norm(part: Any) -> Tensor:
        return torch._weight_norm(part.weight_v, part.weight_g, 0)

    if isinstance(layer, ResidualUnit):
        y = F.conv1d(layer.snake1(x), norm(layer.conv1), layer.conv1.bias, padding=9, dilation=3)
        expected = x + F.conv1d(layer.snake2(y), norm(layer.conv2), layer.conv2.bias)
    elif isinstance(layer, Downsample):
        padding = math.ceil(layer.step / 2)
        expected = F.conv1d(layer.snake(x), norm(layer.conv), layer.conv.bias, layer.step, padding)
    else:
        assert isinstance(layer, Upsample)
        rate = layer.rate
        options = {"stride": rate, "padding": math.ceil(rate / 2), "output_padding": rate % 2}
        expected = F.conv_transpose1d(layer.snake(x), norm(layer.conv), layer.conv.bias, **options)
    torch.testing.assert_close(layer(x), expected)


def test_snake_and_its_gradients() -> None:
    snake = Snake(3).double()
    snake.alpha.data.uniform_(0.2, 2.0, generator=torch.Generator().manual_seed(0))
    x = sound(7, 2, 3).requires_grad_()
    expected = x + torch.sin(snake.alpha * x) ** 2 / snake.alpha
    torch.testing.assert_close(snake(x), expected, atol=1e-8, rtol=1e-8)
    assert torch.autograd.gradcheck(lambda x, _: snake(x), (x, snake.alpha))


def test_gradients_reach_every_parameter() -> None:
    model = codec()
    posterior = model.posterior(AudioClip(sound(90), 8000))
    (model.decode_moments(posterior.sample(), 90).square().mean() + posterior.kl()).backward()
    assert [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0] == []


def test_memory_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest tensor that any layer makes is no larger for a sound ten times as long."""
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", 2**12)
    model, peaks = codec(), []
    for length in (3000, 30000):
        sizes: list[int] = []

        class Sizes(TorchDispatchMode):
            seen = sizes

            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = func(*args, **(kwargs or {}))
                if isinstance(out, Tensor):
                    self.seen.append(out.untyped_storage().nbytes())
                return out

        def pieces(length: int = length) -> Iterator[Tensor]:
            for start in range(0, length, 600):
                yield sound(600) + start

        with torch.no_grad(), Sizes():
            for posterior in model.posterior_stream(pieces()):
                for _ in model.decoder.stream(iter([posterior.mean])):
                    pass
        peaks.append(max(sizes))
    assert peaks[0] == peaks[1]


def test_a_sound_is_reflected_at_its_end() -> None:
    x = torch.arange(4.0).view(1, 1, 4)
    assert reflection(x, 3).tolist() == [[[2.0, 1.0, 0.0]]]
    assert reflection(x, 8).tolist() == [[[2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]]]
    assert reflection(x[..., :1], 2).tolist() == [[[0.0, 0.0]]]


def test_the_divergence_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.randn(2, 3, 5, generator=generator), torch.rand(2, 3, 5, generator=generator) + 0.1
    normal, standard = torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(normal, standard).mean()
    torch.testing.assert_close(AudioPosterior(mean, std).kl(), expected)


def test_latents_are_normalised_and_back() -> None:
    model = codec()
    clip = AudioClip(sound(90), 8000)
    with torch.no_grad():
        latent = model.encode(clip)
        mean = model.posterior(clip).mean
    torch.testing.assert_close((mean - model.latent_mean[:, None]) / model.latent_std[:, None], latent.values)
    torch.testing.assert_close(model.denormalise(latent.values), mean)


@pytest.mark.parametrize(
    ("name", "hop", "encoder", "decoder"),
    [("paper", 1920, 27_288_704, 65_310_818), ("miniature", 640, 1_351_968, 1_613_842)],
)
def test_sizes_of_the_presets(name: str, hop: int, encoder: int, decoder: int) -> None:
    """Without the bottleneck; those of `paper` are what Meta's DAC-VAE has besides its watermark branch."""
    with torch.device("meta"):
        model = AudioCodec(codec_preset(name))
    counts = [
        sum(p.numel() for layer in layers for p in layer.parameters())
        for layers in (model.encoder.layers[:-1], model.decoder.layers[1:])
    ]
    assert (model.hop, model.sample_rate / model.hop) == (hop, 25)
    assert counts == [encoder, decoder]


def test_an_unknown_preset_is_explained() -> None:
    with pytest.raises(ValueError, match="there are paper, miniature"):
        codec_preset("large")


def test_widths_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8, since each of 3 levels halves it: it is 36"):
        AudioCodecConfig.model_validate({**CONFIG.model_dump(), "decoder_width": 36})


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="8000 samples a second, not 44100: resample"):
        codec().encode(AudioClip(sound(100), 44100))


@pytest.mark.parametrize(("channels", "hop", "rate"), [(4, 30, 8000), (3, 15, 8000), (3, 30, 16000)])
def test_a_latent_of_another_codec_is_refused(channels: int, hop: int, rate: int) -> None:
    with pytest.raises(ValueError, match="this codec decodes 3 channels of 30 samples a frame at 8000"):
        codec().decode(AudioLatent(torch.zeros(1, channels, 1), hop, hop, rate))


def test_statistics_that_would_break_latents_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        codec().set_normalisation(torch.zeros(1), torch.ones(1))
    with pytest.raises(ValueError, match="std positive"):
        codec().set_normalisation(torch.zeros(3), torch.zeros(3))
