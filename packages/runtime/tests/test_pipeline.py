"""What comes out of a cast depends on the request alone, and is what the method says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import moviegen_dit
import pytest
import torch
from moviegen_core import VideoLatent, VideoShape
from moviegen_runtime import Cast, Progress, TextToVideoRequest, load
from moviegen_runtime.pipelines.noise import noise, upsampling_seed
from moviegen_runtime.pipelines.text_to_video import schedule
from moviegen_runtime.pipelines.upsample import upsample
from moviegen_runtime.requests import MAX_SEED
from moviegen_runtime.text import MiniLM

PROMPT = "a red bus drives to the left"


def ask(prompt: str = PROMPT, **fields: object) -> TextToVideoRequest:
    return TextToVideoRequest.model_validate({"prompt": prompt, **fields})


@torch.inference_mode()
def test_a_clip_is_noise_led_by_guided_euler_steps_and_decoded(cast: Cast) -> None:
    """Against the method written out by hand, with two passes of the transformer for guidance."""
    context = MiniLM.load().encode([f"FPS-8. {PROMPT}"])
    with_prompt, without = cast.dit.prepare([context]), cast.dit.null_conditions(1)
    state = torch.randn(1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(11))
    for step in range(4):
        t = torch.tensor([step / 4])
        free, led = cast.dit(state, t, without), cast.dit(state, t, with_prompt)
        state = state + 0.25 * (free + 3.0 * (led - free))
    expected = cast.tae.decode(VideoLatent(state, cast.tae.stride, num_frames=9, fps=8.0))
    video = cast.generate(ask(seed=11))
    assert video.clip.shape == VideoShape(9, 32, 32)
    assert video.clip.fps == 8.0
    torch.testing.assert_close(video.clip.frames, expected.frames, rtol=1e-4, atol=1e-5)
    assert float(video.clip.frames.std()) > 0.01


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("micro_batch", [1, 3])
def test_a_sample_is_the_same_whatever_surrounds_it(
    tiny_model: Path, micro_batch: int, threads: int, torch_threads: None
) -> None:
    """To the bit one at a time; in a larger micro-batch up to rounding, since its place there counts."""
    del torch_threads
    torch.set_num_threads(threads)
    cast = load(tiny_model, device="cpu", micro_batch=micro_batch)
    prompts = [PROMPT, "over the snowy hills, a penguin stands still", "a cow"]
    requests = [ask(prompt, seed=seed) for seed in range(2) for prompt in prompts]
    requests.insert(2, ask(frames=1, seed=5))
    together = cast.generate(requests)
    for request, video in zip(requests, together, strict=True):
        alone = cast.generate(request)
        difference = (alone.clip.frames - video.clip.frames).norm() / alone.clip.frames.norm()
        assert float(difference) <= (0.0 if micro_batch == 1 else 1e-4)
        assert video.request == alone.request
    assert len({float(video.clip.frames.sum()) for video in together}) == len(requests)


@pytest.fixture
def torch_threads() -> Iterator[None]:
    """Gives the number of threads back after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_micro_batches_of_another_size_agree_up_to_rounding(tiny_model: Path, cast: Cast) -> None:
    alone = cast.generate(ask()).clip.frames
    batched = load(tiny_model, device="cpu", micro_batch=4).generate(ask()).clip.frames
    assert float((batched - alone).norm() / alone.norm()) < 1e-4


def test_noise_depends_on_its_seed_alone() -> None:
    shape = VideoShape(2, 4, 4)
    first = noise(7, 4, shape)
    torch.manual_seed(123)
    assert torch.equal(first, noise(7, 4, shape))
    assert not torch.equal(first, noise(8, 4, shape))
    assert noise(2**63 - 1, 4, shape).isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31, 2**32 - 1, 2**32, 2**62, MAX_SEED])
def test_the_noise_of_upsampling_is_not_that_of_the_clip(seed: int) -> None:
    """Nor like it, although a generator reads the lower half of a seed alone."""
    own = upsampling_seed(seed)
    assert 0 <= own <= MAX_SEED
    assert upsampling_seed(own) == seed  # so no two seeds share one
    shape = VideoShape(8, 16, 16)
    both = torch.stack([noise(seed, 4, shape).flatten(), noise(own, 4, shape).flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.05


def test_a_clip_leaves_the_global_random_state_alone(cast: Cast) -> None:
    before = torch.random.get_rng_state()
    cast.generate(ask(steps=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_left_open_is_filled_in_and_told(cast: Cast) -> None:
    video = cast.generate(ask("  a cow ", steps=3, schedule="linear-quadratic"))
    assert video.request.model_dump() == {
        "prompt": "a cow",
        "seed": 0,
        "rewriting": None,
        "upscale": 1,
        "frames": 9,
        "size": "32x32",
        "fps": 8.0,
        "steps": 3,
        "guidance": 3.0,
        "schedule": "linear-quadratic",
        "method": "euler",
        "guidance_interval": (0.0, 1.0),
        "reuse": 1,
    }
    assert video.stages["reading the prompt"]["text"] == "FPS-8. a cow"
    assert video.stages["sampling"]["times"] == pytest.approx([0, 0.004, 0.255, 1.0])
    assert set(video.weights) == {"tae", "dit", "minilm"}
    json.dumps({name: dict(stage) for name, stage in video.stages.items()}, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("linear", [0, 0.5, 1]),
        ("linear-quadratic", [0, 0.004, 1]),
        ("quadratic", [0, 0.25, 1]),
    ],
)
def test_a_request_names_its_schedule(cast: Cast, name: str, times: list[float]) -> None:
    request = ask(steps=2, schedule=name).resolved(cast.settings.defaults)
    assert schedule(request.settings()).times().tolist() == pytest.approx(times)


def test_the_rate_reaches_the_prompt_and_the_clip(cast: Cast) -> None:
    slow, fast = cast.generate([ask(fps=8), ask(fps=24)])
    assert fast.clip.fps == 24.0
    assert fast.stages["reading the prompt"]["text"] == f"FPS-24. {PROMPT}"
    assert not torch.equal(slow.clip.frames, fast.clip.frames)


@pytest.mark.parametrize(
    "fields",
    [
        *({"prompt": "a cow"}, {"seed": 1}, {"guidance": 1.0}, {"method": "heun"}),
        *({"guidance_interval": (0.2, 0.6)}, {"reuse": 2}, {"schedule": "quadratic"}),
    ],
)
def test_every_setting_changes_the_clip(cast: Cast, fields: dict[str, object]) -> None:
    assert not torch.equal(cast.generate(ask()).clip.frames, cast.generate(ask(**fields)).clip.frames)


def test_shortcuts_that_leave_nothing_out_change_nothing(cast: Cast) -> None:
    plain, same = cast.generate([ask(), ask(guidance_interval=(0, 0.99), reuse=1)])
    assert torch.equal(plain.clip.frames, same.clip.frames)


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_a_run_reuses_nothing_of_another(tiny_model: Path, micro_batch: int) -> None:
    """With 3 steps the cache would be at another place of its cycle in a second run."""
    cast = load(tiny_model, device="cpu", micro_batch=micro_batch)
    request = ask(steps=3, reuse=2)
    first, again, alone = *cast.generate([request, request]), cast.generate(request)
    for other in (again, alone):
        torch.testing.assert_close(other.clip.frames, first.clip.frames, rtol=1e-4, atol=1e-5)


def test_progress_tells_every_stage_and_every_step(cast: Cast) -> None:
    seen: list[Progress] = []
    cast.generate([ask(seed=0), ask(seed=1)], on_progress=seen.append)
    assert list(dict.fromkeys(progress.stage for progress in seen)) == [
        "reading the prompt",
        "sampling",
        "decoding",
    ]
    assert [(p.done, p.total) for p in seen if p.stage == "sampling"] == [(done, 8) for done in range(9)]


def test_an_interruption_stops_within_a_step(cast: Cast) -> None:
    steps = 0

    def interrupt(progress: Progress) -> None:
        nonlocal steps
        if progress.stage == "sampling":
            steps = progress.done
            if steps == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cast.generate(ask(steps=100), on_progress=interrupt)
    assert steps == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"frames": 25}, "up to 24 frames of 48x48 pixels; it cannot make 25 of 32x32"),
        ({"size": "32x64"}, "up to 24 frames of 48x48 pixels"),
        ({"size": "40x32"}, "width must be a multiple of 16 pixels for this model, not 40"),
        ({"size": "32x24"}, "height must be a multiple of 16"),
        ({"steps": 251, "schedule": "linear-quadratic"}, "takes no more, not 251; use the linear schedule"),
        ({"prompt": "bus " * 140}, r"has \d+ tokens with what is said around it"),
    ],
)
def test_what_the_model_cannot_do_is_refused_before_sampling(
    cast: Cast, fields: dict[str, object], sentence: str
) -> None:
    stages = []
    with pytest.raises(ValueError, match=sentence):
        cast.generate([ask(), ask(**fields)], on_progress=lambda progress: stages.append(progress.stage))
    assert "sampling" not in stages


def test_an_upscaled_clip_is_the_clip_through_the_upsampler(tiny_upsampling_model: Path) -> None:
    """The clip itself is what it is without; the larger one has noise of its own, by the seed alone."""
    cast = load(tiny_upsampling_model, device="cpu", with_upsampler=True)
    assert cast.upsampler is not None
    small, large, again = cast.generate([ask(seed=3), ask(seed=3, upscale=2), ask(seed=3, upscale=2)])
    assert (small.clip.shape, large.clip.shape) == (VideoShape(9, 32, 32), VideoShape(9, 64, 64))
    told = large.stages["upsampling"]
    assert (told["factor"], told["steps"]) == (2, 20)
    assert told["seed"] == upsampling_seed(3)
    expected = upsample(small.clip, cast.tae, cast.upsampler, seed=told["seed"])
    assert torch.equal(large.clip.frames, expected.frames)
    assert torch.equal(large.clip.frames, again.clip.frames)
    assert "upsampler" in large.weights
    assert "upsampler" not in small.weights
    assert "upsampling" not in small.stages
    stages = []
    other = cast.generate(ask(seed=4, upscale=2, steps=1), on_progress=stages.append)
    assert other.stages["upsampling"]["seed"] == upsampling_seed(4)
    steps = [progress.done for progress in stages if progress.stage == "upsampling"]
    assert steps == list(range(21))


def test_what_cannot_be_upscaled_is_refused_before_sampling(cast: Cast, tiny_upsampling_model: Path) -> None:
    upsampling = load(tiny_upsampling_model, device="cpu", with_upsampler=True)
    stages: list[str] = []
    for model, fields, sentence in (
        (cast, {}, "was loaded without an upsampler, so it cannot upscale"),
        (upsampling, {"size": "48x32"}, "takes up to 32x32 pixels, not 48x32"),
    ):
        with pytest.raises(ValueError, match=sentence):
            model.generate(ask(upscale=2, **fields), on_progress=lambda each: stages.append(each.stage))
    assert stages == []


def test_no_upsampler_is_told_before_a_model_is_read(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("moviegen_tae.from_pretrained")
    with pytest.raises(ValueError, match=f"^{tiny_model} has no upsampler, so it cannot upscale: give by"):
        load(tiny_model, device="cpu", with_upsampler=True)


def test_the_shipped_upsampler_fits_the_shipped_cast() -> None:
    cast = load("miniature", device="cpu", with_sound=False, with_upsampler=True)
    video = cast.generate(ask(frames=1, steps=1, upscale=2))
    assert video.clip.shape == VideoShape(1, 128, 128)
    assert set(video.weights) >= {"tae", "dit", "upsampler"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"factor": 3}, "this upsampler makes a video 3 times as large, not 2 times"),
        (
            {"latent_channels": 5, "condition_channels": 5},
            "makes 4 channels, the upsampler takes 5: they must",
        ),
        ({"patch": (2, 2, 2)}, "frames must be a multiple of 2 and at most 12, not 9"),
    ],
)
def test_an_upsampler_that_does_not_fit_is_refused_before_sampling(
    tiny_upsampling_model: Path, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_upsampling_model, folder)
    config = moviegen_dit.upsampler_from_pretrained(folder / "upsampler").config
    other = moviegen_dit.UpsamplerConfig.model_validate(config.model_dump() | change)
    moviegen_dit.save_upsampler(moviegen_dit.SpatialUpsampler(other), folder / "upsampler")
    cast = load(folder, device="cpu", with_upsampler=True)
    stages: list[str] = []
    with pytest.raises(ValueError, match=sentence):
        cast.generate(ask(upscale=2), on_progress=lambda progress: stages.append(progress.stage))
    assert stages == []


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("config.json", "{", r"upsampler/config\.json is not valid JSON"),
        ("config.json", '{"format": 1, "kind": "dit", "config": {}}', "holds 'dit' weights, not 'upsampler'"),
        ("model.safetensors", "nothing", r"upsampler/model\.safetensors is damaged"),
        ("model.safetensors", None, r"cannot read \S+/upsampler/model\.safetensors"),
    ],
)
def test_a_damaged_upsampler_is_named_where_it_is_asked_for(
    tiny_upsampling_model: Path, tmp_path: Path, name: str, text: str | None, sentence: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_upsampling_model, folder)
    if text is None:
        (folder / "upsampler" / name).unlink()
    else:
        (folder / "upsampler" / name).write_text(text)
    load(folder, device="cpu")
    with pytest.raises(ValueError, match=sentence):
        load(folder, device="cpu", with_upsampler=True)


def test_clips_beyond_the_training_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    settings = json.loads((folder / "cast.json").read_text())
    (folder / "cast.json").write_text(json.dumps(settings | {"trained": {"frames": 9, "size": "32"}}))
    cast = load(folder, device="cpu")
    cast.generate(ask(steps=1))
    for fields in ({"frames": 10}, {"size": "48x32"}):
        with pytest.raises(ValueError, match="trained on up to 9 frames of 32x32 pixels"):
            cast.generate(ask(**fields))


def test_a_folder_without_defaults_takes_the_miniatures(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "cast.json").unlink()
    assert load(folder, device="cpu").settings.defaults.frames == 16


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("cast.json", "{", r"cast\.json is not valid JSON"),
        ("cast.json", '{"defaults": {}}', r"cast\.json: defaults\.frames"),
        ("cast.json", '{"default": 1}', r"cast\.json: "),
        ("dit/config.json", "{}", r"config\.json must hold exactly"),
        ("tae/model.safetensors", "nothing", r"model\.safetensors is damaged"),
    ],
)
def test_a_damaged_model_folder_is_named(
    tiny_model: Path, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=sentence):
        load(folder, device="cpu")


def test_a_folder_without_both_models_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold the folders tae and dit, and tae is missing"):
        load(tmp_path)
    shutil.copytree(tiny_model / "tae", tmp_path / "tae")
    with pytest.raises(ValueError, match="dit is missing"):
        load(tmp_path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(tiny_model: Path, device: str) -> None:
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used here; there is cpu"):
        load(tiny_model, device=device)


def test_half_precision_agrees_roughly_with_float32(tiny_model: Path, cast: Cast) -> None:
    exact = cast.generate(ask()).clip.frames
    rough = load(tiny_model, device="cpu", dtype="bfloat16").generate(ask()).clip.frames
    assert rough.dtype == torch.float32
    assert 0 < float((rough - exact).norm() / exact.norm()) < 0.1
