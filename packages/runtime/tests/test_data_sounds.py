"""Cached sounds: what is stored is what the models give, interrupted or not; what lies is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    Sight,
    SightConfig,
    SoundCaption,
    save_codec,
    save_sight,
)
from moviegen_core import AudioClip, TextContext, weights_hash
from moviegen_runtime.cli.data import Sounds as SoundsCommand
from moviegen_runtime.data import sound_caching, source
from moviegen_runtime.data.sound_caching import SoundJob, cache_sounds, sounds_done
from moviegen_runtime.data.sound_latents import (
    SeenFrames,
    ShardedSounds,
    SoundProperties,
    SoundSample,
    parse_sound,
    write_sound,
)
from moviegen_runtime.data.sounds import CaptionedSound
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.features.clip_sight import ClipSight
from safetensors.torch import load, save
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

CODEC = AudioCodecConfig(
    sample_rate=1000, rates=(4, 10), encoder_width=2, decoder_width=8, hidden_width=8, latent_channels=4
)


class Sounds:
    """Seven sounds of two lengths, some in stereo, with films of two sizes and rates."""

    def __init__(self, rate: int = 1000, pictures: bool = True) -> None:
        self.rate, self.pictures = rate, pictures

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> CaptionedSound:
        random = np.random.default_rng(index)
        samples = random.normal(0, 0.1, (1 + index % 2, 500 + 30 * (index == 4))).astype(np.float32)
        side, fps = (8, 8.0) if index % 3 else (12, 12.0)
        frames = random.integers(0, 256, (5, side, side, 3), dtype=np.uint8)
        heard = SoundCaption(8, False, False, 0.1, ("a bell", "rain", "a dog")[index % 3])
        picture = CaptionedClip(frames, fps, "noise") if self.pictures else None
        return CaptionedSound(samples, self.rate, heard, picture)


class Letters:
    """A text encoder whose states are letters."""

    name = "letters"
    width = 2
    weights_hash = "c" * 64
    precision = "float32"
    max_tokens = 400

    def encode(self, prompts: Sequence[str]) -> TextContext:
        longest = max(map(len, prompts))
        codes = torch.tensor([[ord(letter) for letter in prompt.ljust(longest)] for prompt in prompts])
        mask = torch.tensor([[place < len(prompt) for place in range(longest)] for prompt in prompts])
        return TextContext(torch.stack([codes / 128, codes % 7], dim=-1).float(), mask, self.name)

    def check(self, prompt: str) -> None:
        if "dog" in prompt:
            raise ValueError("this encoder does not like dogs")

    def free(self) -> None:
        pass


class Means:
    """A frozen sight: the mean of each colour."""

    width, size, weights_hash = 3, (8, 8), "e" * 64

    def encode(self, pictures: Tensor) -> Tensor:
        return pictures.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def codec() -> AudioCodec:
    torch.manual_seed(0)
    made = AudioCodec(CODEC).eval()
    made.set_normalisation(torch.linspace(-0.1, 0.1, 4), torch.linspace(0.5, 2, 4))
    return made


def make_job(codec: AudioCodec, **changes: Any) -> SoundJob:
    values: dict[str, Any] = {
        "source": Sounds(),
        "origin": "seven sounds",
        "num_sounds": 7,
        "codec": codec,
        "codec_hash": "a" * 64,
        "encoders": (Letters(),),
        "sight": Means(),
    }
    return SoundJob(**{**values, **changes})


def run(job: SoundJob, folder: Path) -> list[str]:
    skipped: list[str] = []
    assert cache_sounds(job, folder, lambda _: None, skipped.append) == len(ShardedSounds(folder))
    return skipped


def test_a_set_holds_what_codec_and_encoders_give(codec: AudioCodec, tmp_path: Path) -> None:
    skipped = run(make_job(codec), tmp_path / "set")
    assert [line.split(" ")[1] for line in skipped] == ["2", "5"]  # the dogs
    cached = ShardedSounds(tmp_path / "set", codec="a" * 64)
    for place, index in enumerate((0, 1, 3, 4, 6)):
        sound, sample = Sounds()[index], cached[place]
        mono = torch.from_numpy(sound.samples).mean(dim=0)[None, None]
        with torch.no_grad():
            wanted = codec.encode(AudioClip(mono, 1000)).values[0]
        torch.testing.assert_close(sample.latent.float(), wanted, rtol=1e-3, atol=1e-3)
        assert sample.num_samples == mono.shape[2]
        assert sample.caption == sound.heard.text()
        states = Letters().encode([sound.heard.text()]).embeddings[0]
        assert torch.equal(sample.text["letters"], states.half())
        assert sample.seen is not None
        assert sound.picture is not None
        assert sample.seen.fps == sound.picture.fps
        # Pictures of another size are made as large as the encoder reads them, which about keeps their means.
        exact = sound.picture.frames.shape[1] == 8
        seen = torch.from_numpy(sound.picture.frames / 127.5 - 1).mean(dim=(1, 2))
        torch.testing.assert_close(sample.seen.values.double(), seen, atol=1e-3 if exact else 0.1, rtol=1e-3)
    assert cached.properties.features == ("e" * 64, 3)


def test_sounds_alone_have_no_films(codec: AudioCodec, tmp_path: Path) -> None:
    run(make_job(codec, sight=None, source=Sounds(pictures=False)), tmp_path / "set")
    cached = ShardedSounds(tmp_path / "set")
    assert cached.properties.features is None
    assert cached[0].seen is None


def test_a_job_that_was_interrupted_writes_the_same_bytes(
    codec: AudioCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound_caching, "SOUNDS_PER_SHARD", 3)
    run(make_job(codec), tmp_path / "whole")

    def interrupt(count: int, seen: list[int]) -> None:
        seen.append(count)
        if sum(seen) > 3:
            raise KeyboardInterrupt

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        cache_sounds(make_job(codec), tmp_path / "legs", lambda n: interrupt(n, seen), lambda _: None)
    assert sounds_done(make_job(codec), tmp_path / "legs") == 3
    with pytest.raises(ValueError, match="is not finished"):
        ShardedSounds(tmp_path / "legs")
    run(make_job(codec), tmp_path / "legs")
    for path in sorted((tmp_path / "whole").iterdir()):
        assert path.read_bytes() == (tmp_path / "legs" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_sounds": 8}, "has 7 sounds, so it cannot give 8"),
        ({"encoders": ()}, "at least one text encoder"),
        ({"source": Sounds(rate=2000)}, "reads 1000 samples a second, sound 0 has 2000"),
        ({"source": Sounds(pictures=False)}, "sound 0 has no film"),
    ],
)
def test_what_cannot_be_cached_is_refused(
    codec: AudioCodec, changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        run(make_job(codec, **changes), tmp_path / "set")


def test_another_job_or_codec_is_refused(codec: AudioCodec, tmp_path: Path) -> None:
    run(make_job(codec), tmp_path / "set")
    with pytest.raises(ValueError, match="was begun with codec"):
        run(make_job(codec, codec_hash="b" * 64), tmp_path / "set")
    with pytest.raises(ValueError, match="latents of the codec aaaaaaaaaaaa, not of bbbbbbbbbbbb"):
        ShardedSounds(tmp_path / "set", codec="b" * 64)


PROPERTIES = SoundProperties(
    codec="a" * 64,
    sample_rate=1000,
    hop=40,
    encoders={"letters": 2},
    encoder_hashes={"letters": "c" * 64},
    features=("e" * 64, 3),
    source="test",
    num_sounds=1,
)
SAMPLE = SoundSample(
    torch.zeros(4, 3),
    {"letters": torch.zeros(5, 2)},
    "a bell",
    100,
    SeenFrames(torch.ones(2, 3), 8.0),
)


def with_tensors(change: Callable[[dict[str, Tensor]], object]) -> Callable[[dict[str, bytes]], None]:
    def changed(members: dict[str, bytes]) -> None:
        tensors = load(members["safetensors"])
        change(tensors)
        members["safetensors"] = save(tensors)

    return changed


@pytest.mark.parametrize(
    ("evil", "sentence"),
    [
        (
            with_tensors(lambda t: t.update(latent=torch.zeros(4, 2).half())),
            "latent of 2 frames cannot stand",
        ),
        (with_tensors(lambda t: t.update(latent=torch.zeros(4, 3))), "latent must be finite float16"),
        (with_tensors(lambda t: t.update(other=torch.zeros(1).half())), "tensors are"),
        (lambda m: m.update(json=m["json"].replace(b'"frames":2', b'"frames":0')), "it has no frames"),
        (lambda m: m.update(json=m["json"].replace(b'"frames":2', b'"frames":3')), "features"),
        (lambda m: m.update(json=m["json"].replace(b"8.0", b"-1")), "record is damaged"),
        (lambda m: m.update(safetensors=b"pickle"), "tensors are damaged"),
    ],
)
def test_evil_samples_are_refused(evil: Callable[[dict[str, bytes]], None], sentence: str) -> None:
    members = write_sound(SAMPLE)
    assert parse_sound(members, PROPERTIES).num_samples == 100
    evil(members)
    with pytest.raises(ValueError, match=sentence):
        parse_sound(members, PROPERTIES)


def test_what_cannot_be_stored_is_told() -> None:
    with pytest.raises(ValueError, match="latent of the sound 'a bell' is not finite"):
        write_sound(replace(SAMPLE, latent=torch.full((4, 3), torch.inf)))


def test_the_command_caches_and_goes_on(
    codec: AudioCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point = SimpleNamespace(name="seven", load=lambda: Sounds)
    monkeypatch.setattr(source, "entry_points", lambda group: [point] if "sound" in group else [])
    save_codec(codec, tmp_path / "codec")
    torch.manual_seed(0)
    sight = Sight(SightConfig(side=8, channels=(4,), width=5, frames=1, bands=2))
    save_sight(sight, tmp_path / "sight")
    job = SoundsCommand(
        out=tmp_path / "set",
        codec=str(tmp_path / "codec"),
        source="seven",
        set=("rate=1000", "pictures=true"),
        num_sounds=3,
        sight=str(tmp_path / "sight"),
    )
    job.run()
    assert "3 sounds in" in capsys.readouterr().err
    cached = ShardedSounds(tmp_path / "set")
    assert cached.properties.features == (weights_hash(tmp_path / "sight"), 5)
    seen, picture = cached[1].seen, Sounds()[1].picture
    assert seen is not None
    assert picture is not None
    pixels = torch.from_numpy(picture.frames).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(seen.values.float(), sight.encode(pixels), atol=2e-3, rtol=2e-3)
    job.run()
    assert "3 were done before" in capsys.readouterr().err
    with pytest.raises(ValueError, match="num_sounds = 3, not 4"):
        replace(job, num_sounds=4).run()
    with pytest.raises(ValueError, match="no sound source is called 'stage'"):
        replace(job, source="stage").run()


def test_the_command_keeps_features_of_a_clip(
    codec: AudioCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = SimpleNamespace(name="seven", load=lambda: Sounds)
    monkeypatch.setattr(source, "entry_points", lambda group: [point] if "sound" in group else [])
    save_codec(codec, tmp_path / "codec")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = CLIPVisionConfig(
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            image_size=8,
            patch_size=4,
            projection_dim=5,
        )
        CLIPVisionModelWithProjection(sizes).save_pretrained(tmp_path / "clip")
    job = SoundsCommand(
        out=tmp_path / "set",
        codec=str(tmp_path / "codec"),
        source="seven",
        num_sounds=2,
        clip=str(tmp_path / "clip"),
    )
    job.run()
    cached, sight = ShardedSounds(tmp_path / "set"), ClipSight(tmp_path / "clip")
    assert cached.properties.features == (sight.weights_hash, 5)
    seen, picture = cached[1].seen, Sounds()[1].picture
    assert seen is not None
    assert picture is not None
    pixels = torch.from_numpy(picture.frames).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(seen.values.float(), sight.encode(pixels), atol=2e-3, rtol=2e-3)
    with pytest.raises(ValueError, match="give --sight or --clip, not both"):
        replace(job, sight="somewhere").run()
