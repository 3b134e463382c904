"""A soundtrack for a film: tiny models of random weights, real files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from moviegen_audio import (
    AudioCodec,
    AudioCodecConfig,
    AudioConditions,
    AudioDiT,
    AudioDiTConfig,
    Sampler,
    Score,
    Search,
    Segment,
    Segmenting,
    SightConfig,
    codec_layers,
    sample,
)
from moviegen_core import TextContext
from moviegen_dit import TextEncoderSpec
from moviegen_runtime.features.clip_sight import ClipSight
from moviegen_runtime.media.cues import Cues
from moviegen_runtime.media.film import Film, open_film
from moviegen_runtime.media.loudness import measured
from moviegen_runtime.media.sound import RATE, Samples
from moviegen_runtime.media.sound_picture import film_picture
from moviegen_runtime.media.writing import write_clip
from moviegen_runtime.pipelines import score as score_module
from moviegen_runtime.pipelines.score import Composing, SoundCast, score
from moviegen_runtime.results import Scored
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

MakeFilm = Callable[..., Path]
QUICK = Composing(sampler=partial(sample, steps=1, method="euler", guidance=1.0))
CAPTION = "a ball bounces"


@dataclass(frozen=True)
class Words:
    """A text encoder whose states are a hash of each word."""

    name: str = "words"
    width: int = 8
    max_tokens: int = 16

    def encode(self, prompts: Sequence[str]) -> TextContext:
        (prompt,) = prompts
        if len(prompt.split()) > self.max_tokens:
            raise ValueError(f"more than {self.max_tokens} words")
        rows = [
            torch.randn(self.width, generator=torch.Generator().manual_seed(sum(word.encode())))
            for word in prompt.split()
        ]
        return TextContext(
            torch.stack(rows)[None], torch.ones(1, len(rows), dtype=torch.bool), encoder=self.name
        )


class Squares(nn.Module):
    """A frame encoder: means of four by four squares, projected."""

    width, size = 12, (16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(48, self.width)

    def encode(self, pictures: Tensor) -> Tensor:
        assert pictures.shape[1:] == (3, 16, 16)
        assert pictures.abs().max() <= 1
        given: Tensor = self.project(nn.functional.avg_pool2d(pictures, 4).flatten(1))
        return given


@pytest.fixture(scope="module")
def sound_cast() -> SoundCast:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = AudioCodec(
            AudioCodecConfig(
                sample_rate=16_000,
                rates=(4, 4, 5, 8),
                encoder_width=2,
                decoder_width=16,
                hidden_width=8,
                latent_channels=4,
            )
        )
        dit = AudioDiT(
            AudioDiTConfig(
                width=16,
                layers=1,
                heads=2,
                mlp_width=32,
                text_encoder=TextEncoderSpec(name="words", width=8),
                video_width=12,
                latent_channels=4,
            )
        )
        for parameter in dit.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
        return SoundCast(codec.eval(), dit.eval(), Words(), Squares())


Make = Callable[..., Scored]


@pytest.fixture
def make(sound_cast: SoundCast, tmp_path: Path) -> Make:
    """Scores tmp_path/in.* into tmp_path/out.mp4."""

    def run(source: Path, **options: object) -> Scored:
        given = {"caption": CAPTION, "composing": QUICK, "cast": sound_cast, **options}
        return score(source, tmp_path / "out.mp4", **given)  # type: ignore[arg-type]

    return run


def heard(path: Path) -> Samples:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate) == ("aac", RATE)
        return np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_film_gets_a_sound_of_its_length_and_keeps_its_picture(
    tmp_path: Path, make: Make, make_film: MakeFilm
) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(20))
    result = make(source)
    assert (result.frames, result.seconds, result.picture_copied) == (20, 2.5, True)
    assert left(tmp_path) == ["in.mp4", "out.mp4"]
    pictures = []
    for path in (source, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            pictures.append([bytes(packet) for packet in container.demux(video=0) if packet.size])
    assert pictures[0] == pictures[1]
    sound = heard(tmp_path / "out.mp4")
    assert abs(sound.shape[1] - 2.5 * RATE) < 1024
    assert sound.std() > 1e-3


def test_it_is_as_loud_as_asked_and_its_peak_stays_under_the_ceiling(
    tmp_path: Path, make: Make, make_film: MakeFilm
) -> None:
    result = make(make_film(tmp_path / "in.mp4", times=range(24)), loudness=-26.0)
    assert result.loudness.lufs == pytest.approx(-26, abs=0.01)
    assert result.loudness.peak <= -1
    decoded = measured([heard(tmp_path / "out.mp4")])
    assert decoded.lufs == pytest.approx(-26, abs=0.3)  # AAC is not exact
    assert decoded.peak < 0
    loud = make(tmp_path / "in.mp4", loudness=-2.0)
    assert loud.loudness.peak == pytest.approx(-1, abs=0.01) or loud.loudness.lufs == pytest.approx(-2)
    assert measured([heard(tmp_path / "out.mp4")]).peak < 0


def test_peaks_are_flattened_where_the_target_would_push_them_too_high(
    tmp_path: Path, make: Make, make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_film(tmp_path / "in.mp4", times=range(24))
    flattened = make(tmp_path / "in.mp4", loudness=-8.0)
    monkeypatch.setattr("moviegen_runtime.pipelines.score.FLATTENED", 0.0)
    sparing = make(tmp_path / "in.mp4", loudness=-8.0)
    assert sparing.loudness.peak == pytest.approx(-1, abs=0.01)
    assert flattened.loudness.peak <= -1 + 0.01
    assert flattened.loudness.lufs is not None
    assert sparing.loudness.lufs is not None
    assert flattened.loudness.lufs > sparing.loudness.lufs + 1
    assert 1 < flattened.gain / sparing.gain < 10 ** (6 / 20) * 1.02


def test_the_seed_decides_and_caption_and_picture_count(
    tmp_path: Path, make: Make, make_film: MakeFilm
) -> None:
    source, other = make_film(tmp_path / "in.mp4"), make_film(tmp_path / "other.mp4", pix_fmt="yuv444p")
    with av.open(str(other), "w") as container:
        video = container.add_stream("libx264", rate=8)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        for shade in range(12):
            picture = np.full((48, 64, 3), 20 * shade, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())

    def made(film: Path, **options: object) -> Samples:
        make(film, **options)
        return heard(tmp_path / "out.mp4")

    first = made(source)
    assert np.array_equal(made(source), first)
    for changed in (
        made(source, seed=1),
        made(source, caption="rain falls on a roof"),
        made(source, caption=None),
        made(other),
    ):
        assert changed.shape == first.shape
        assert not np.allclose(changed, first, atol=1e-3)


def test_what_is_seen_at_a_moment_is_heard_at_it(tmp_path: Path, make: Make) -> None:
    """A sampler that hums where the picture is not the first one: a flash from 1.25 s to 1.5 s."""

    def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model
        differs = (conditions.video - conditions.video[:, :1]).abs().amax(dim=2) > 0.01
        return 20 * differs[:, None].float().expand_as(noise)

    sounds = []
    for flash in ((), range(30, 36)):
        with av.open(str(tmp_path / "in.mp4"), "w") as container:
            video = container.add_stream("libx264", rate=24)
            video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
            for index in range(48):
                picture = np.full((48, 64, 3), 40, np.uint8)
                picture[:, :32] = 230 if index in flash else 40
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(video.encode())
        result = make(tmp_path / "in.mp4", composing=Composing(sampler=sampler))
        sounds.append(heard(tmp_path / "out.mp4") / result.gain)
    energy = np.square(sounds[1] - sounds[0])[0]
    assert energy.sum() > 1
    assert abs((energy * np.arange(len(energy))).sum() / energy.sum() / RATE - 1.375) < 0.03


class Neighbours(nn.Module):
    """A projection that sees three pictures on either side."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: Tensor) -> Tensor:
        padded = nn.functional.pad(features.mT, (3, 3), mode="replicate")
        given: Tensor = self.inner(nn.functional.avg_pool1d(padded, 7, stride=1).mT)
        return given


def test_segments_see_together_what_one_would_see(
    tmp_path: Path, make: Make, make_film: MakeFilm, sound_cast: SoundCast
) -> None:
    dit = copy.deepcopy(sound_cast.dit)
    dit.video = Neighbours(dit.video)
    source = make_film(tmp_path / "in.mp4", times=range(40))
    parts: list[Tensor] = []

    def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model
        parts.append(conditions.video)
        return noise

    told = []
    for length in (1.0, 10.0):
        segmenting = Segmenting(length, context=0.0)
        make(source, cast=replace(sound_cast, dit=dit), composing=Composing(segmenting, sampler=sampler))
        told.append(torch.cat(parts, dim=1))
        assert len(parts) == {1.0: 5, 10.0: 1}[length]
        parts.clear()
    assert told[0].std() > 1e-3
    torch.testing.assert_close(told[0], told[1])


@pytest.mark.parametrize("flash", [0.5, 1.5, 2.5])
def test_of_several_draws_the_one_that_clicks_at_the_flash_is_heard(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch, flash: float
) -> None:
    """Through real files and a real codec; the draws differ in the latent frame that is loud."""
    frames = np.zeros((72, 48, 64, 3), np.uint8)
    frames[round(24 * flash) :] = 220
    write_clip(frames, 24, tmp_path / "in.mp4")
    draws = torch.zeros(3, 4, 75)
    for draw, moment in zip(draws, (0.5, 1.5, 2.5), strict=True):
        draw[:, round(25 * moment)] = 30

    def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model, conditions
        assert noise.shape == draws.shape
        return draws

    opened: list[Path] = []

    def counted(path: Path, *, with_sound: bool) -> AbstractContextManager[Film]:
        opened.append(path)
        return open_film(path, with_sound=with_sound)

    monkeypatch.setattr(score_module, "open_film", counted)
    make(tmp_path / "in.mp4", composing=Composing(search=Search(candidates=3), sampler=sampler))
    sound = np.square(heard(tmp_path / "out.mp4")[0])
    assert abs(np.argmax(np.convolve(sound, np.ones(960), "same")) / RATE - flash) < 0.1
    assert opened == [tmp_path / "in.mp4"]  # what ranks and what is composed by is seen in one go


def test_a_score_of_another_kind_may_rank(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(16))
    draws = torch.randn(4, 4, 50, generator=torch.Generator().manual_seed(0))
    draws[2, 0, 0] = -9.0

    def least(codec: AudioCodec, cues: Cues) -> Score:
        def score(values: Tensor, segment: Segment) -> float:
            assert segment.frames == values.shape[2] == 50
            return -float(values[0, 0, 0])

        del codec, cues
        return score

    def given(latents: Tensor) -> Sampler:
        def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
            del model, conditions
            assert noise.shape == latents.shape
            return latents

        return sampler

    make(source, composing=Composing(search=Search(candidates=4), rank=least, sampler=given(draws)))
    ranked = heard(tmp_path / "out.mp4")
    make(source, composing=Composing(sampler=given(draws[2:3])))
    assert np.array_equal(heard(tmp_path / "out.mp4"), ranked)


def test_what_is_foreseen_of_a_film_does_not_depend_on_the_parts_it_is_watched_in(
    sound_cast: SoundCast, make: Make, make_film: MakeFilm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = sound_cast.dit.config.model_copy(
        update={"sight": SightConfig(side=16, channels=(4, 8), width=12, frames=5, bands=21)}
    )
    torch.manual_seed(0)
    dit = AudioDiT(config).eval()
    assert dit.sight is not None
    torch.nn.init.normal_(dit.sight.foreseen.weight)
    cast, given = replace(sound_cast, dit=dit, sight=dit.sight), []

    def noted(codec: AudioCodec, cues: Cues) -> Score:
        del codec
        given.append(cues)
        return lambda values, segment: 0.0 * len(values) * segment.frames

    source = make_film(tmp_path / "in.mp4", times=range(16))
    for at_once in (1024, 7):
        monkeypatch.setattr(score_module, "_MOMENTS_AT_ONCE", at_once)
        composing = Composing(search=Search(candidates=2), rank=noted, sampler=QUICK.sampler)
        make(source, cast=cast, composing=composing)
    whole, parts = given
    np.testing.assert_allclose(parts.moments, whole.moments)
    np.testing.assert_allclose(parts.strengths, whole.strengths, atol=1e-6)
    np.testing.assert_allclose(parts.timbres, whole.timbres, atol=1e-5)
    assert 20 < len(whole.moments) <= 50
    assert set(np.round(whole.moments * 25 - 0.5, 6)) <= set(range(50))
    assert whole.strengths.std() > 1e-3


def test_a_long_film_is_written_down_while_it_is_made(
    tmp_path: Path, make: Make, make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a segment of a second begins, all but the last eight seconds are in the file."""
    monkeypatch.setattr(codec_layers, "_VALUES_ON_CPU", 1 << 9)  # small windows for a small codec
    written: list[int] = []
    asked: list[int] = []

    def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model
        (folder,) = (path for path in tmp_path.iterdir() if (path / "features").exists())
        sound = folder / "sound"
        written.append(sound.stat().st_size // 4 if sound.exists() else 0)
        asked.append(conditions.frames)
        return noise

    source = make_film(tmp_path / "in.mp4", times=range(160))
    make(source, composing=Composing(Segmenting(length=1.5, context=0.5), sampler=sampler))
    assert max(asked) <= 38
    assert len(written) >= 19
    for place, samples in enumerate(written):
        assert samples >= (place - 8) * RATE
    assert heard(tmp_path / "out.mp4").shape[1] == pytest.approx(20 * RATE, abs=1024)


def test_a_picture_of_it_is_drawn_from_the_new_film(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    make(make_film(tmp_path / "in.mp4"), picture=tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as drawn:
        assert np.array_equal(np.asarray(drawn), film_picture(tmp_path / "out.mp4"))
    assert left(tmp_path) == ["in.mp4", "out.mp4", "out.png"]


@pytest.mark.parametrize("failure", [ValueError("enough"), KeyboardInterrupt(), MemoryError()])
def test_nothing_is_left_when_it_fails(
    tmp_path: Path, make: Make, make_film: MakeFilm, failure: BaseException
) -> None:
    calls = 0

    def sampler(*given: object) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise failure
        noise = given[-1]
        assert isinstance(noise, Tensor)
        return noise

    source = make_film(tmp_path / "in.mp4", times=range(32))
    (tmp_path / "out.mp4").write_bytes(b"before")
    with pytest.raises(type(failure)):
        make(
            source,
            composing=Composing(Segmenting(length=2.0, context=0.5), sampler=sampler),
            picture=tmp_path / "out.png",
        )
    assert left(tmp_path) == ["in.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"before"


@pytest.mark.parametrize("fps", [1, 240])
def test_slow_and_fast_films(tmp_path: Path, make: Make, make_film: MakeFilm, fps: int) -> None:
    source = make_film(tmp_path / "in.mp4", times=range(2 * fps), unit=Fraction(1, fps))
    assert make(source).seconds == 2
    assert heard(tmp_path / "out.mp4").shape[1] == pytest.approx(2 * RATE, abs=1024)


@pytest.mark.parametrize("times", [[0, 40, 80, 81, 200, 1000, 1033, 1500], [0], [0, 3]])
def test_uneven_and_very_short_films(
    tmp_path: Path, make: Make, make_film: MakeFilm, times: list[int]
) -> None:
    source = make_film(tmp_path / "in.mp4", times=times, unit=Fraction(1, 1000))
    result = make(source)
    assert result.frames == len(times)
    assert heard(tmp_path / "out.mp4").shape[1] >= result.seconds * RATE - 1024


def test_a_film_is_scored_whatever_its_own_sound_is(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    plain = make_film(tmp_path / "plain.mp4")
    make(plain)
    expected = heard(tmp_path / "out.mp4")
    tone = make_film(tmp_path / "tone.mp4", sound="aac").read_bytes()
    silence = make_film(tmp_path / "silence.mp4", sound="aac", amplitude=0.0).read_bytes()
    unknown = tone.replace(b"mp4a", b"zzzz").replace(b"esds", b"free")
    broken = bytearray(tone)
    with av.open(str(tmp_path / "tone.mp4")) as container:
        for packet in container.demux(audio=0):
            if packet.size:
                broken[packet.pos : packet.pos + packet.size] = bytes([0xA5]) * packet.size
    for data in (tone, silence, unknown, bytes(broken)):
        (tmp_path / "in.mp4").write_bytes(data)
        make(tmp_path / "in.mp4")
        assert np.array_equal(heard(tmp_path / "out.mp4"), expected)
        with av.open(str(tmp_path / "out.mp4")) as container:
            assert len(container.streams.audio) == 1


def test_what_an_mp4_cannot_show_is_coded_anew(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    result = make(make_film(tmp_path / "in.webm", codec="libvpx"))
    assert not result.picture_copied
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in container.decode(video=0)) == 12


def test_a_sound_alone_is_no_film(tmp_path: Path, make: Make) -> None:
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match=r"in\.mp4 has no video stream"):
        make(tmp_path / "in.mp4")
    assert left(tmp_path) == ["in.mp4"]


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_film_that_was_cut_off_is_named_before_anything_is_made(
    tmp_path: Path, make: Make, make_film: MakeFilm, kept: float
) -> None:
    data = make_film(tmp_path / "in.mkv", times=range(40)).read_bytes()
    (tmp_path / "in.mkv").write_bytes(data[: int(len(data) * kept)])

    def never(*_: object) -> Tensor:
        pytest.fail("made")

    with pytest.raises(ValueError, match=r"in\.mkv (is damaged|is cut off|has no video)"):
        make(tmp_path / "in.mkv", composing=Composing(sampler=never))
    assert left(tmp_path) == ["in.mkv"]


@pytest.mark.parametrize("seed", range(10))
def test_a_film_with_damage_anywhere_is_scored_or_named(
    tmp_path: Path, make: Make, make_film: MakeFilm, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(make_film(tmp_path / "in.mp4", sound="aac").read_bytes())
    for place in rng.integers(len(data), size=int(rng.integers(1, 30))):
        data[place] = rng.integers(256)
    (tmp_path / "in.mp4").write_bytes(data)
    try:
        make(tmp_path / "in.mp4")
    except (ValueError, OSError):
        assert left(tmp_path) == ["in.mp4"]
    else:
        assert heard(tmp_path / "out.mp4").size


def test_too_little_room_is_told_before_anything_is_made(
    tmp_path: Path, make: Make, make_film: MakeFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_film(tmp_path / "in.mp4")

    class Full:
        free = 1000

    monkeypatch.setattr(score_module.shutil, "disk_usage", lambda _: Full)
    with pytest.raises(ValueError, match="GB are free: make room, or write to another disk"):
        make(source)
    assert left(tmp_path) == ["in.mp4"]


def test_models_that_give_no_sound_are_told(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    def sampler(model: AudioDiT, conditions: AudioConditions, noise: Tensor) -> Tensor:
        del model, conditions
        return noise * torch.nan

    with pytest.raises(ValueError, match="not finite"):
        make(make_film(tmp_path / "in.mp4"), composing=Composing(sampler=sampler))
    assert left(tmp_path) == ["in.mp4"]


def test_a_caption_that_is_too_long_is_told_before_the_film_is_watched(
    tmp_path: Path, make: Make, make_film: MakeFilm
) -> None:
    told: list[object] = []
    with pytest.raises(ValueError, match="more than 16 words"):
        make(make_film(tmp_path / "in.mp4"), caption="la " * 17, on_progress=told.append)
    assert told == []
    assert left(tmp_path) == ["in.mp4"]


def test_models_that_do_not_fit_are_told(sound_cast: SoundCast) -> None:
    with pytest.raises(ValueError, match="text encoder: other here, words for the transformer"):
        replace(sound_cast, text=Words(name="other"))
    with pytest.raises(ValueError, match="width of token states: 9 here, 8"):
        replace(sound_cast, text=Words(width=9))


def test_progress_goes_from_watching_to_writing(tmp_path: Path, make: Make, make_film: MakeFilm) -> None:
    told: list[tuple[str, int, int]] = []
    make(
        make_film(tmp_path / "in.mp4"),
        on_progress=lambda progress: told.append((progress.stage, progress.done, progress.total)),
    )
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == ["watching", "composing", "writing"]
    for stage in ("watching", "composing", "writing"):
        counts = [(done, total) for each, done, total in told if each == stage]
        assert [done for done, _ in counts] == sorted(done for done, _ in counts)
        assert counts[-1][0] == counts[-1][1] > 0


def test_a_published_clip_can_be_what_sees(
    tmp_path: Path, make: Make, make_film: MakeFilm, sound_cast: SoundCast
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = CLIPVisionConfig(
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            image_size=16,
            patch_size=8,
            projection_dim=12,
        )
        CLIPVisionModelWithProjection(sizes).save_pretrained(tmp_path / "clip")
    source = make_film(tmp_path / "in.mp4", times=range(12))
    sounds = []
    for sight in (ClipSight(tmp_path / "clip"), sound_cast.sight):
        assert make(source, cast=replace(sound_cast, sight=sight)).frames == 12
        sounds.append(heard(tmp_path / "out.mp4"))
    assert not np.array_equal(*sounds)


def test_what_tells_timbres_in_other_bands_than_are_heard_is_refused(sound_cast: SoundCast) -> None:
    sight = SightConfig(side=16, channels=(4, 8), width=12, frames=5, bands=2)
    dit = AudioDiT(sound_cast.dit.config.model_copy(update={"sight": sight}))
    with pytest.raises(
        ValueError, match="timbres are heard in 21 bands; what sees for this transformer tells 2"
    ):
        replace(sound_cast, dit=dit)
