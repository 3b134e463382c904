"""What packages promise each other: public names, and the protocols of core."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest
import torch
from moviegen_audio import AudioCodec, codec_preset
from moviegen_core import (
    AttentionFn,
    AudioAutoencoder,
    AudioClip,
    TextEncoder,
    VideoAutoencoder,
    VideoClip,
    VideoShape,
)
from moviegen_dit import VideoDiT, sdpa_attention
from moviegen_tae import TAE, TAEConfig
from projects import PACKAGES, Project

each_package = pytest.mark.parametrize("project", PACKAGES, ids=str)


def small_tae() -> TAE:
    torch.manual_seed(0)
    config = TAEConfig(
        channels=(8, 8, 8, 8),
        encoder_blocks=(1, 1, 1, 1),
        decoder_blocks=(1, 1, 1, 1),
        latent_channels=4,
        norm_groups=4,
    )
    return TAE(config).eval()


@each_package
def test_every_promised_name_is_there_once(project: Project) -> None:
    module = import_module(project.module)
    assert len(module.__all__) == len(set(module.__all__)) > 0
    for name in module.__all__:
        assert getattr(module, name) is not None


@each_package
def test_every_promised_class_and_function_says_what_it_is(project: Project) -> None:
    module = import_module(project.module)
    promised = {name: getattr(module, name) for name in module.__all__}
    documented = {
        name: thing for name, thing in promised.items() if inspect.isclass(thing) or inspect.isfunction(thing)
    }
    assert [name for name, thing in documented.items() if not inspect.getdoc(thing)] == []


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def test_the_autoencoder_is_one() -> None:
    tae: VideoAutoencoder = small_tae()
    assert members(VideoAutoencoder) <= set(dir(tae))
    clip = VideoClip(torch.zeros(1, 3, 13, 16, 16), fps=8.0)
    with torch.no_grad():
        latent = tae.encode(clip)
        decoded = tae.decode(latent)
    assert latent.shape == tae.stride.latent(clip.shape)
    assert latent.values.shape[1] == tae.latent_channels
    assert latent.clip_shape == clip.shape == decoded.shape == VideoShape(13, 16, 16)
    assert decoded.fps == clip.fps


def test_the_codec_is_an_autoencoder_of_sound() -> None:
    codec: AudioAutoencoder = AudioCodec(codec_preset("miniature"))
    assert members(AudioAutoencoder) <= set(dir(codec))
    clip = AudioClip(torch.zeros(1, 2, 1000), codec.sample_rate)
    with torch.no_grad():
        latent = codec.encode(clip)
        decoded = codec.decode(latent)
    assert latent.values.shape == (1, codec.latent_channels, -(-1000 // codec.hop))
    assert (decoded.num_samples, decoded.sample_rate) == (clip.num_samples, clip.sample_rate)


def test_the_default_attention_is_one() -> None:
    attention: AttentionFn = sdpa_attention
    q, k, v = torch.randn(3, 2, 5, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([5, 3])
    out = attention(q, k, v, key_lengths=lengths)
    for sample, length in enumerate(lengths.tolist()):
        scores = torch.einsum("snk,tnk->nst", q[sample], k[sample, :length]) / 8**0.5
        expected = torch.einsum("nst,tnk->snk", scores.softmax(-1), v[sample, :length])
        torch.testing.assert_close(out[sample], expected)
    assert torch.equal(attention(q, k, v, key_lengths=torch.tensor([0, 5]))[0], torch.zeros_like(q[0]))
    assert inspect.signature(VideoDiT).parameters["attention"].default is sdpa_attention


def test_the_text_encoder_is_one() -> None:
    text = import_module("moviegen_runtime.text")
    encoder: TextEncoder = text.MiniLM.load()
    assert members(TextEncoder) <= set(dir(encoder))
    context = encoder.encode(["a cow", "a cow stands still on a green field"])
    assert context.embeddings.shape[0::2] == (2, encoder.width)
    assert context.encoder == encoder.name
    assert 0 < context.lengths[0] < context.lengths[1] <= encoder.max_tokens


def test_a_request_needs_no_torch() -> None:
    source = (
        "import sys\n"
        "from moviegen_runtime import TextToVideoRequest\n"
        "TextToVideoRequest(prompt='a cow')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
