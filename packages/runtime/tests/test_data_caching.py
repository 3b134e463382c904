"""Caching of latents: what is stored is what the models give, interrupted or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from moviegen_core import TextContext, VideoClip
from moviegen_runtime.data import caching
from moviegen_runtime.data.caching import LatentJob, cache_latents, clips_done
from moviegen_runtime.data.latents import ShardedLatents
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.text import MiniLM
from moviegen_tae import TAE, TAEConfig


class Clips:
    """Seven noisy clips of two shapes, three captions among them."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> CaptionedClip:
        frames = 9 if index == 4 else 12
        pixels = np.random.default_rng(index).integers(0, 256, (frames, 16, 24, 3), dtype=np.uint8)
        return CaptionedClip(pixels, 8.0, ("a red bus", "a frog that jumps up and down", "rain")[index % 3])


class Letters:
    """A text encoder whose states are letters; it reads prompts of at most `max_tokens` letters."""

    name = "letters"
    width = 2
    weights_hash = "c" * 64
    precision = "float32"

    def __init__(self, max_tokens: int = 64) -> None:
        self.max_tokens = max_tokens
        self.calls: list[list[str]] = []
        self.freed = 0

    def encode(self, prompts: Sequence[str]) -> TextContext:
        self.calls.append(list(prompts))
        longest = max(map(len, prompts))
        codes = torch.tensor([[ord(letter) for letter in prompt.ljust(longest)] for prompt in prompts])
        mask = torch.tensor([[place < len(prompt) for place in range(longest)] for prompt in prompts])
        return TextContext(torch.stack([codes / 128, codes % 7], dim=-1).float(), mask, self.name)

    def check(self, prompt: str) -> None:
        if len(prompt) > self.max_tokens:
            raise ValueError(f"the prompt has {len(prompt)} letters; shorten it")

    def free(self) -> None:
        self.freed += 1


class MoreLetters(Letters):
    """The same encoder with other weights."""

    weights_hash = "d" * 64


@pytest.fixture(scope="module")
def tae() -> TAE:
    torch.manual_seed(0)
    config = TAEConfig(
        channels=(8, 8, 8, 8), encoder_blocks=(0, 0, 0, 0), decoder_blocks=(0, 0, 0, 0), norm_groups=2
    )
    model = TAE(config).eval()
    model.set_normalisation(torch.linspace(-1, 1, 16), torch.linspace(0.5, 2, 16))
    return model


def make_job(tae: TAE, encoder: Letters | MiniLM | None = None, **changes: object) -> LatentJob:
    values: dict[str, object] = {
        "source": Clips(),
        "origin": "seven clips",
        "num_clips": 7,
        "tae": tae,
        "tae_hash": "a" * 64,
        "encoders": (Letters() if encoder is None else encoder,),
    }
    return LatentJob(**{**values, **changes})  # type: ignore[arg-type]


def run(job: LatentJob, folder: Path) -> tuple[list[int], list[str]]:
    counts: list[int] = []
    skipped: list[str] = []
    assert cache_latents(job, folder, counts.append, skipped.append) == len(ShardedLatents(folder))
    return counts, skipped


def test_latents_are_the_normalised_posterior_mean_of_each_clip(tae: TAE, tmp_path: Path) -> None:
    counts, skipped = run(make_job(tae), tmp_path / "set")
    assert (sum(counts), skipped) == (7, [])
    cached = ShardedLatents(tmp_path / "set", tae="a" * 64)
    for index in range(7):
        clip = Clips()[index]
        frames = torch.from_numpy(clip.frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
        with torch.no_grad():
            mean = tae.posterior(VideoClip(frames, 8.0)).mean[0]
        wanted = (mean - tae.latent_mean.view(-1, 1, 1, 1)) / tae.latent_std.view(-1, 1, 1, 1)
        sample = cached[index]
        torch.testing.assert_close(sample.latent.float(), wanted, rtol=1e-3, atol=1e-3)
        assert (sample.caption, sample.fps, sample.num_frames) == (clip.caption, 8.0, len(clip.frames))


def test_text_is_the_caption_with_its_frame_rate_and_no_padding(tae: TAE, tmp_path: Path) -> None:
    encoder = Letters()
    run(make_job(tae, encoder), tmp_path / "set")
    cached = ShardedLatents(tmp_path / "set")
    for index in range(7):
        prompt = f"FPS-8. {Clips()[index].caption}"
        wanted = Letters().encode([prompt]).embeddings[0].half()
        assert torch.equal(cached[index].text["letters"], wanted)
    assert [len(call) for call in encoder.calls] == [3]  # each distinct prompt once
    assert encoder.freed == 1


def test_states_are_those_of_minilm_itself(tae: TAE, tmp_path: Path) -> None:
    encoder = MiniLM.load()
    run(make_job(tae, encoder, num_clips=3), tmp_path / "set")
    cached = ShardedLatents(tmp_path / "set")
    for index in range(3):
        wanted = encoder.encode([f"FPS-8. {Clips()[index].caption}"]).embeddings[0]
        torch.testing.assert_close(cached[index].text["minilm"].float(), wanted, rtol=2e-3, atol=2e-3)


def test_an_interrupted_job_goes_on_to_the_same_files(
    tae: TAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "CLIPS_PER_SHARD", 3)
    monkeypatch.setattr(caching, "_BATCH_PIXELS", 2 * 12 * 16 * 24)
    run(make_job(tae), tmp_path / "whole")
    folder, told = tmp_path / "parts", []

    def stop_at_the_third(count: int) -> None:
        told.append(count)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_latents(make_job(tae), folder, stop_at_the_third, told.append)
    assert clips_done(make_job(tae), folder) == 3
    assert run(make_job(tae), folder) == ([1, 1, 1, 1], [])
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    assert len(whole) == 7  # three shards with an index each, and the header


def test_caching_a_complete_set_again_does_nothing(tae: TAE, tmp_path: Path) -> None:
    run(make_job(tae), tmp_path / "set")
    assert run(make_job(tae), tmp_path / "set") == ([], [])


def test_a_caption_that_cannot_be_read_is_named_and_skipped(tae: TAE, tmp_path: Path) -> None:
    _, skipped = run(make_job(tae, Letters(max_tokens=20)), tmp_path / "set")
    assert skipped == [
        f"clip {index} ('a frog that jumps up and down'): the prompt has 36 letters; shorten it"
        for index in (1, 4)
    ]
    cached = ShardedLatents(tmp_path / "set")
    assert [cached[index].caption for index in range(5)] == [
        "a red bus",
        "rain",
        "a red bus",
        "rain",
        "a red bus",
    ]


def test_caching_nothing_is_an_error_and_leaves_nothing(tae: TAE, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reads none of the captions"):
        run(make_job(tae, Letters(max_tokens=3)), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_damaged_clip_stops_the_job_and_leaves_no_half_shard(tae: TAE, tmp_path: Path) -> None:
    class Damaged(Clips):
        def __getitem__(self, index: int) -> CaptionedClip:
            if index == 5:
                raise ValueError("clip 5 is damaged")
            return super().__getitem__(index)

    with pytest.raises(ValueError, match="clip 5 is damaged"):
        run(make_job(tae, source=Damaged()), tmp_path / "set")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["dataset.json"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tae_hash": "b" * 64}, "tae = "),
        ({"origin": "other clips"}, 'source = "seven clips", not "other clips"'),
        ({"num_clips": 6}, "num_clips = 7, not 6"),
        ({"encoders": (MoreLetters(),)}, "encoder_hashes = "),
    ],
)
def test_another_job_does_not_go_on(
    tae: TAE, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    run(make_job(tae), tmp_path / "set")
    with pytest.raises(ValueError, match=sentence):
        run(make_job(tae, **change), tmp_path / "set")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_clips": 8}, "the source has 7 clips"),
        ({"num_clips": 0}, "the source has 7 clips"),
        ({"encoders": (Letters(), Letters())}, "each of them once"),
        ({"encoders": ()}, "at least one text encoder"),
    ],
)
def test_an_impossible_job_is_refused(tae: TAE, change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_job(tae, **change)
