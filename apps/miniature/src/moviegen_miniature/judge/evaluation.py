"""Everything that is asked of the miniature, measured in one run: the judge's own validation, true clips
through the autoencoder, samples of seen and held-out combinations, paraphrases, and what is scored apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from moviegen_core import VideoAutoencoder
from moviegen_runtime import Cast, TextToVideoRequest
from moviegen_runtime.metrics import Frames

from moviegen_miniature.casting import Split
from moviegen_miniature.judge import goals
from moviegen_miniature.judge.intervals import mean_interval, wilson
from moviegen_miniature.judge.report import Goal, Row, facts_table, form_table, goals_table
from moviegen_miniature.judge.scoring import Judge
from moviegen_miniature.judge.trials import Asked, Sampling, fidelity, prompts, reworded, sampled, written
from moviegen_miniature.judge.validation import controls, judged, true_row
from moviegen_miniature.phrases import usual_captions
from moviegen_miniature.prompts import PARAPHRASES, Prompt
from moviegen_miniature.scene import Scene

TRUSTED = 0.95
"""Share of the true clips of a kind that must be all right, for samples of that kind to be judged."""
_SHEET_CLIPS = 8


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        num_prompts: of each kind.
        splits: combinations that training saw, or those that it never saw, or both.
        seeds: trials of these; the goals and what is scored apart take the first.
        paraphrases: prompts in other words.
        paraphrase_seeds: samples of each.
        steps: of the solver; None: the model's own; likewise `guidance`.
        apart: whether paraphrases and the kinds that are scored apart are measured, too.
    """

    num_prompts: int
    splits: Sequence[Split] = ("seen", "held_out")
    seeds: Sequence[int] = (0,)
    paraphrases: Sequence[Prompt] = PARAPHRASES
    paraphrase_seeds: int = 5
    steps: int | None = None
    guidance: float | None = None
    apart: bool = True

    def sampling(self, seed: int) -> Sampling:
        return Sampling(seed, self.steps, self.guidance)


@dataclass
class Evaluation:
    """What was measured so far.

    Args:
        judge: reads all clips.
        plan: how much is measured.
        say: hears of progress.
        shown: the first clips of each kind, as they came.
    """

    judge: Judge
    plan: Plan
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shown: list[Frames] = field(default_factory=list)

    def run(self, cast: Cast | None, tae: VideoAutoencoder | None) -> None:
        """Measure all that a cast and an autoencoder are needed for; None: not this part."""
        asked = {
            split: prompts(self.judge.sprites, split, self.plan.num_prompts) for split in self.plan.splits
        }
        for split, listed in asked.items():
            self.rows.append(true_row(self.judge, split, _scenes(listed)))
        self.rows += controls(self.judge, _scenes(asked[self.plan.splits[0]]))
        for split, listed in asked.items():
            if tae is not None:
                self._autoencoder(tae, split, listed)
            if cast is not None:
                self._samples(cast, split, listed)
        if not self.plan.apart or "seen" not in self.plan.splits:
            return
        if cast is not None:
            self._paraphrases(cast)
        self._apart(cast, "camera pans", self._kind(pan_probability=1.0))
        self._apart(cast, "two actors", self._kind(two_actors_probability=1.0))
        self._apart(cast, "32 frames", self._kind(frames=32))

    def __str__(self) -> str:
        tables = [goals_table(self.goals)] if self.goals else []
        tables += ["\n".join(self.notes)] if self.notes else []
        return "\n\n".join([*tables, facts_table(self.rows), form_table(self.rows)])

    def _autoencoder(self, tae: VideoAutoencoder, split: Split, asked: list[Asked]) -> None:
        result = fidelity(self.judge.sprites, tae, _scenes(asked))
        self.rows.append(judged(self.judge, f"autoencoder, {split}", result.clips, _scenes(asked)))
        self.shown += result.clips[:_SHEET_CLIPS]
        noise, similarity = mean_interval(result.psnr).value, mean_interval(result.ssim).value
        self.notes.append(f"autoencoder, {split}: PSNR {noise:.2f} dB, SSIM {similarity:.3f}")
        if split == "held_out":
            self.goals[:0] = goals.autoencoder_goals(result, self.rows[-1])

    def _samples(self, cast: Cast, split: Split, asked: list[Asked]) -> None:
        for number, seed in enumerate(self.plan.seeds):
            clips = sampled(cast, asked, self.plan.sampling(seed), self.say)
            self.shown += clips[:_SHEET_CLIPS]
            row = judged(self.judge, f"samples, {split}, seed {seed}", clips, _scenes(asked))
            self.rows.append(row)
            if number == 0:
                self.goals += goals.sample_goals(row) if split == "seen" else [goals.held_out_goal(row)]

    def _paraphrases(self, cast: Cast) -> None:
        """In their own words, then as `moviegen generate` has them read, which is what is asked for."""
        plain = written(self.plan.paraphrases)
        reread = reworded(cast, plain)
        if reread != plain:
            self._row_of("paraphrases, not rewritten", cast, plain)
            right = sum(
                asked.prompt in usual_captions(prompt.combination)
                for asked, prompt in zip(reread, self.plan.paraphrases, strict=True)
            )
            self.notes.append(f"paraphrases: {right} of {len(reread)} are rewritten into what they mean")
        row = self._row_of("paraphrases", cast, reread)
        self.goals.append(goals.paraphrase_goal(row))

    def _row_of(self, name: str, cast: Cast, asked: list[Asked]) -> Row:
        """Some samples of each prompt."""
        clips: list[Frames] = []
        for seed in range(self.plan.paraphrase_seeds):
            clips += sampled(cast, asked, self.plan.sampling(seed), self.say)
        self.rows.append(judged(self.judge, name, clips, _scenes(asked) * self.plan.paraphrase_seeds))
        return self.rows[-1]

    def _kind(
        self, *, frames: int = Scene.frames, pan_probability: float = 0.0, two_actors_probability: float = 0.0
    ) -> list[Asked]:
        return prompts(
            self.judge.sprites,
            "seen",
            self.plan.num_prompts,
            frames=frames,
            pan_probability=pan_probability,
            two_actors_probability=two_actors_probability,
        )

    def _apart(self, cast: Cast | None, name: str, asked: list[Asked]) -> None:
        """A kind that is scored apart: true clips, then samples if the judge reads those and the cast can."""
        true = true_row(self.judge, name, _scenes(asked))
        self.rows.append(true)
        if cast is None:
            return
        right = wilson(sum(verdict.all_four for verdict in true.verdicts), len(true.verdicts)).value
        refusal = _refusal(cast, asked[0])
        if right < TRUSTED:
            refusal = f"the judge reads only {right:.0%} of their true clips right"
        if refusal is not None:
            self.notes.append(f"{name}: no samples are judged, for {refusal}")
            return
        seed = self.plan.seeds[0]
        clips = sampled(cast, asked, self.plan.sampling(seed), self.say)
        self.rows.append(judged(self.judge, f"samples, {name}, seed {seed}", clips, _scenes(asked)))


def _scenes(asked: Sequence[Asked]) -> list[Scene]:
    return [scene for _, scene in asked]


def _refusal(cast: Cast, asked: Asked) -> str | None:
    """Why a cast was not made for such clips; None: it was."""
    request = TextToVideoRequest(prompt=asked.prompt, frames=asked.scene.frames, size=str(asked.scene.side))
    try:
        cast.settings.check(request.resolved(cast.settings.defaults))
    except ValueError as error:
        return str(error)
    return None
