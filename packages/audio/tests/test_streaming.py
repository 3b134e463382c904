"""Sounds in pieces of any lengths against the same sounds whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from moviegen_audio import AudioCodec, AudioCodecConfig, decode_stream, encode_stream
from moviegen_core import AudioClip, AudioLatent
from torch import Tensor

CONFIG = AudioCodecConfig(
    sample_rate=8000, rates=(2, 4), encoder_width=4, decoder_width=8, hidden_width=8, latent_channels=3
)
LENGTH = 333  # 41 latent frames and 5 samples


@pytest.fixture(scope="module")
def codec() -> AudioCodec:
    torch.manual_seed(0)
    model = AudioCodec(CONFIG).double()
    model.set_normalisation(torch.randn(3).double(), torch.rand(3).double() + 0.5)
    return model.eval()


@pytest.fixture
def clip() -> AudioClip:
    generator = torch.Generator().manual_seed(1)
    return AudioClip(2 * torch.rand(2, 2, LENGTH, dtype=torch.float64, generator=generator) - 1, 8000)


def in_pieces(x: Tensor, lengths: list[int]) -> Iterator[Tensor]:
    """Pieces of these lengths, then the rest."""
    yield from x.split([*lengths, x.shape[-1] - sum(lengths)], dim=-1)


@pytest.mark.parametrize("lengths", [[], [1, 1, 1, 1], [100, 3], [LENGTH - 1], [40, 8, 250]])
@pytest.mark.parametrize("values", [1, 2**18])
def test_a_sound_in_pieces_is_the_sound(
    codec: AudioCodec, clip: AudioClip, lengths: list[int], values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", values)
    whole = codec.encode(clip)
    pieces = [AudioClip(piece, 8000) for piece in in_pieces(clip.samples, lengths)]
    latents = list(encode_stream(codec, pieces))
    assert not any(latent.values.requires_grad for latent in latents)
    joined = torch.cat([latent.values for latent in latents], dim=-1)
    torch.testing.assert_close(joined, whole.values, rtol=1e-9, atol=1e-9)
    assert sum(latent.num_samples for latent in latents) == LENGTH
    assert all(latent.num_samples == 8 * latent.values.shape[-1] for latent in latents[:-1])


@pytest.mark.parametrize("lengths", [[], [1, 1], [3, 30], [41]])
@pytest.mark.parametrize("values", [1, 2**18])
def test_a_latent_in_pieces_is_the_latent(
    codec: AudioCodec, clip: AudioClip, lengths: list[int], values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", values)
    latent = codec.encode(clip)
    tensors = list(in_pieces(latent.values, lengths))
    sizes = [8 * tensor.shape[-1] for tensor in tensors[:-1]]
    sizes.append(LENGTH - sum(sizes))
    pieces = [AudioLatent(values, 8, size, 8000) for values, size in zip(tensors, sizes, strict=True)]
    clips = list(decode_stream(codec, pieces))
    joined = torch.cat([clip.samples for clip in clips], dim=-1)
    torch.testing.assert_close(joined, codec.decode(latent).samples, rtol=1e-9, atol=1e-9)


def test_latents_come_before_the_sound_has_ended(codec: AudioCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound without end is encoded as it comes."""
    monkeypatch.setattr("moviegen_audio.codec_layers._VALUES_ON_CPU", 64)

    def endless() -> Iterator[AudioClip]:
        while True:
            yield AudioClip(torch.zeros(1, 1, 50, dtype=torch.float64), 8000)

    latents = encode_stream(codec, endless())
    clips = decode_stream(codec, latents)
    assert sum(next(clips).num_samples for _ in range(100)) > 100


def test_nothing_makes_nothing(codec: AudioCodec) -> None:
    assert list(encode_stream(codec, [])) == []
    assert list(decode_stream(codec, [])) == []


def test_pieces_that_are_not_of_one_sound_are_refused(codec: AudioCodec) -> None:
    sounds = [AudioClip(torch.zeros(batch, 1, 50, dtype=torch.float64), 8000) for batch in (1, 2)]
    with pytest.raises(ValueError, match="one batch size, not 1 and 2"):
        list(encode_stream(codec, sounds))
    with pytest.raises(ValueError, match="resample"):
        list(encode_stream(codec, [AudioClip(torch.zeros(1, 1, 50, dtype=torch.float64), 16000)]))
    latent = AudioLatent(torch.zeros(1, 3, 2, dtype=torch.float64), 8, 15, 8000)
    with pytest.raises(ValueError, match="only the last piece"):
        list(decode_stream(codec, [latent, latent]))
    two = AudioLatent(torch.zeros(2, 3, 2, dtype=torch.float64), 8, 16, 8000)
    one = AudioLatent(torch.zeros(1, 3, 2, dtype=torch.float64), 8, 16, 8000)
    with pytest.raises(ValueError, match="one batch size, not 1 and 2"):
        list(decode_stream(codec, [one, two]))
