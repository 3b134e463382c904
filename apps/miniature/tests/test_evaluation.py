"""One run measures everything, and says what it leaves out and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import moviegen_miniature.judge.evaluation as evaluation
import moviegen_tae
import pytest
from moviegen_miniature.judge import Judge
from moviegen_miniature.judge.evaluation import Evaluation, Plan
from moviegen_miniature.judge.trials import generate_seconds
from moviegen_miniature.judge_commands import JudgeModel
from moviegen_miniature.prompts import PARAPHRASES
from moviegen_miniature.sprites import Sprites
from moviegen_runtime import load
from moviegen_runtime.pipelines.settings import CastSettings, Extent

KINDS = ["camera pans", "two actors", "32 frames"]


def test_a_judge_alone_is_validated(sprites: Sprites) -> None:
    measured = Evaluation(Judge.load(None, sprites), Plan(2), print)
    measured.run(None, None)
    names = [row.name for row in measured.rows]
    true = [f"true clips, {name}" for name in ("seen", "held_out", *KINDS)]
    assert [name for name in names if name.startswith("true")] == true
    assert names[2:5] == ["shuffled captions", "patches of colour", "another actor halfway"]
    assert [len(row.verdicts) for row in measured.rows] == [2, 2, 20, 2, 2, 2, 2, 2]
    assert all(verdict.sharpness == pytest.approx(1) for verdict in measured.rows[0].verdicts)
    assert not measured.goals
    assert str(measured).startswith("| ")


def test_everything_is_measured_in_one_run(sprites: Sprites, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the shipped models; no judge reads the drawings of tests, so here it is trusted all the same."""
    plan = Plan(1, paraphrases=PARAPHRASES[:2], paraphrase_seeds=2, steps=1)
    measured = Evaluation(Judge.load(None, sprites), plan, print)
    monkeypatch.setattr(evaluation, "TRUSTED", 0.0)
    measured.run(load("miniature", micro_batch=2), moviegen_tae.from_pretrained("miniature").eval())
    rows = {row.name: row for row in measured.rows}
    for split in ("seen", "held_out"):
        assert len(rows[f"autoencoder, {split}"].likenesses) == 1
        assert len(rows[f"samples, {split}, seed 0"].likenesses) == 1
    assert len(rows["paraphrases"].verdicts) == len(rows["paraphrases, not rewritten"].verdicts) == 4
    assert "paraphrases: 1 of 2 are rewritten into what they mean" in measured.notes
    assert {f"samples, {kind}, seed 0" for kind in KINDS} <= rows.keys()
    assert [goal.name for goal in measured.goals].count("paraphrases: all three") == 1
    assert len({goal.name for goal in measured.goals}) == len(measured.goals) == 15
    assert len(measured.shown) == 4


def test_samples_alone_have_one_row_a_split(sprites: Sprites) -> None:
    measured = Evaluation(Judge.load(None, sprites), Plan(1, steps=1, apart=False), print)
    measured.run(load("miniature"), None)
    samples = [row.name for row in measured.rows[-2:]]
    assert samples == ["samples, seen, seed 0", "samples, held_out, seed 0"]
    assert not any("paraphrases" in goal.name for goal in measured.goals)
    assert not measured.notes


def test_samples_are_not_judged_where_true_clips_are_misread(sprites: Sprites) -> None:
    plan = Plan(1, ("seen",), paraphrases=PARAPHRASES[:1], paraphrase_seeds=1, steps=1)
    measured = Evaluation(Judge.load(None, sprites), plan, print)
    measured.run(load("miniature"), None)
    assert not [row.name for row in measured.rows if row.name.startswith(("samples, cam", "samples, two"))]
    assert sum("the judge reads only 0% of their true clips right" in note for note in measured.notes) == 3


def test_longer_clips_are_judged_of_a_cast_that_makes_them(
    sprites: Sprites, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transformer's position tables reach 32 frames; what it was trained on is a setting of the cast."""
    monkeypatch.setattr(evaluation, "TRUSTED", 0.0)
    cast = load("miniature")
    unlimited = replace(cast, settings=CastSettings(defaults=cast.settings.defaults))
    measured = Evaluation(Judge.load(None, sprites), Plan(1, steps=1), print)
    measured._apart(unlimited, "32 frames", measured._kind(frames=32))
    assert [row.name for row in measured.rows] == ["true clips, 32 frames", "samples, 32 frames, seed 0"]
    assert not measured.notes
    limited = CastSettings(defaults=cast.settings.defaults, trained=Extent(frames=16, size="64x64"))
    measured._apart(replace(cast, settings=limited), "32 frames", measured._kind(frames=32))
    assert [row.name for row in measured.rows][2:] == ["true clips, 32 frames"]
    (note,) = measured.notes
    assert note.startswith("32 frames: no samples")
    assert "16 frames" in note


def test_bad_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--num-prompts must be at least 1"):
        JudgeModel(num_prompts=0).run()
    with pytest.raises(ValueError, match="--seeds must be whole numbers"):
        JudgeModel(seeds=(-1,)).run()
    with pytest.raises(ValueError, match="there is no training"):
        JudgeModel(runs=tmp_path).run()
    with pytest.raises(ValueError, match=r"moviegen generate failed: .*not a model folder"):
        generate_seconds(str(tmp_path))
