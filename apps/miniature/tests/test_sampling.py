"""The study of solvers: schedules by hand, and errors that are none where nothing differs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from moviegen_dit import Linear, LinearQuadratic
from moviegen_miniature.__main__ import main
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.trials import prompts
from moviegen_miniature.sampling.report import schedules_table
from moviegen_miniature.sampling.solvers import Solver, literal, schedules, shortcuts
from moviegen_miniature.sampling.study import Study
from moviegen_miniature.sprites import Sprites
from moviegen_runtime import Cast, TextToVideoRequest, load


def test_the_literal_reading_starts_its_second_half_from_standstill() -> None:
    times = literal(50, 250)
    assert times.shape == (51,)
    assert times[:26].tolist() == pytest.approx([step / 250 for step in range(26)])
    assert times[26].item() == pytest.approx(0.1 + 0.9 / 625)  # less than a linear step of 0.004
    assert times[38].item() == pytest.approx(0.1 + 0.9 * (13 / 25) ** 2)
    assert times[-1] == 1
    assert literal(3, 250).tolist() == pytest.approx([0, 0.004, 0.004 + 0.996 / 4, 1])
    with pytest.raises(ValueError, match="at least the 300 steps taken, not 250"):
        literal(300, 250)


def test_every_schedule_and_shortcut_rises_from_0_to_1() -> None:
    compared = schedules([50, 25, 10])
    assert len(compared) == 18
    assert len({(each.name, each.steps) for each in compared}) == 18
    plain = Solver("", Linear(30).times())
    for solver in compared + shortcuts(plain):
        assert (solver.times.diff() > 0).all()
        assert (solver.times[0], solver.times[-1]) == (0, 1)
    smooth = next(each for each in compared if each.name == "linear-quadratic of 1000, smooth")
    assert torch.equal(smooth.times, LinearQuadratic(50, 1000).times())
    assert (shortcuts(plain)[0].interval, shortcuts(plain)[0].reuse) == ((0.0, 1.0), 1)


@pytest.fixture(scope="module")
def cast() -> Cast:
    return load("miniature", device="cpu", micro_batch=2)


@pytest.fixture(scope="module")
def study(cast: Cast, sprites: Sprites) -> Study:
    return Study(cast, prompts(sprites, "seen", 3), guidance=6.0, micro_batch=2)


def test_clips_are_those_of_the_pipeline(cast: Cast, study: Study) -> None:
    """With the schedule and the scale of a request, up to the padding of prompts."""
    latents, _ = study.latents(Solver("linear", Linear(2).times()), 3, print)
    text = study._texts[2].removeprefix("FPS-8. ")
    request = TextToVideoRequest(prompt=text, seed=2, steps=2, guidance=6, schedule="linear")
    expected = cast.generate(request).clip.frames
    frames = study.clips(latents)[2]
    assert abs(frames / 127.5 - 1 - expected[0].permute(1, 2, 3, 0).clamp(-1, 1).numpy()).max() < 0.02


def test_the_reference_has_no_error_and_is_kept(
    study: Study, sprites: Sprites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, same = Judge.load(None, sprites), Solver("linear", Linear(3).times())
    latents, seconds = study.reference(3, 2, tmp_path, print)
    outcome = study.outcome(same, study.latents(same, 3, print), latents, judge)
    assert outcome.latent_error < 1e-5
    assert outcome.psnr > 60
    assert len(outcome.verdicts) == 3
    two = study.outcome(
        Solver("linear", Linear(2).times()),
        study.latents(Solver("linear", Linear(2).times()), 2, print),
        latents,
        judge,
    )
    assert two.latent_error > 0.1
    cells = schedules_table(outcome, [two]).splitlines()[-1].split(" | ")
    assert cells[1] == "2"
    assert float(cells[2]) == pytest.approx(100 * two.latent_error, abs=0.006)
    monkeypatch.setattr(study, "latents", lambda *_: pytest.fail("sampled again"))
    again, kept = study.reference(3, 2, tmp_path, print)
    assert torch.equal(again, latents)
    assert kept == pytest.approx(seconds, rel=1e-6)


@pytest.mark.parametrize("damage", [b"", b"nothing of a kind"])
def test_a_damaged_reference_is_named(study: Study, tmp_path: Path, damage: bytes) -> None:
    study.reference(1, 1, tmp_path, print)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"reference-\w+\.safetensors is damaged; remove it"):
        study.reference(1, 1, tmp_path, print)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--num-prompts", "0"], "--num-prompts must be at least 1, not 0"),
        (["--num-prompts", "2"], "--reference-prompts must be at least 1 and at most --num-prompts, 2"),
        (["--steps", "300"], "emulate must be at least the 300 steps taken, not 250"),
        (["--reference-steps", "0"], "steps must be from 1 to 10000, not 0"),
    ],
)
def test_bad_options_are_one_sentence(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moviegen_miniature.stage.open_stage", lambda **_: pytest.fail("began"))
    assert main(["sampling", *options]) == 2
    assert sentence in capsys.readouterr().err
