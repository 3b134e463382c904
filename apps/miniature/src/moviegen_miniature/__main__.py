"""`python -m moviegen_miniature`: the stage and the judge from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import tyro

from moviegen_miniature.commands import Bench, Fetch, Sheet
from moviegen_miniature.judge_commands import Gallery, JudgeModel, JudgeTrain, Real
from moviegen_miniature.phrases import Phrases
from moviegen_miniature.sampling.command import SamplingStudy
from moviegen_miniature.scaling import Scaling
from moviegen_miniature.sound.commands import SoundCheck, SoundFilms
from moviegen_miniature.sound.judge_command import SoundJudge
from moviegen_miniature.sound.sampling_command import SoundSamplingStudy
from moviegen_miniature.upsampler_figures import UpsamplerFigures

Command = (
    Fetch
    | Bench
    | Sheet
    | Phrases
    | JudgeTrain
    | JudgeModel
    | Gallery
    | Real
    | SamplingStudy
    | Scaling
    | SoundCheck
    | SoundFilms
    | SoundJudge
    | SoundSamplingStudy
    | UpsamplerFigures
)
_COMMANDS: dict[str, Callable[..., Command]] = {
    "fetch": Fetch,
    "bench": Bench,
    "sheet": Sheet,
    "phrases": Phrases,
    "judge-train": JudgeTrain,
    "judge": JudgeModel,
    "gallery": Gallery,
    "real": Real,
    "sampling": SamplingStudy,
    "scaling": Scaling,
    "sound-check": SoundCheck,
    "sound-films": SoundFilms,
    "sound-judge": SoundJudge,
    "sound-sampling": SoundSamplingStudy,
    "upsampler-figures": UpsamplerFigures,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 2 the user can mend it (one sentence on stderr), 130 interrupted."""
    command: Command = tyro.extras.subcommand_cli_from_dict(
        _COMMANDS,
        prog="python -m moviegen_miniature",
        description="The stage of the miniature, and its judge.",
        args=arguments,
    )
    try:
        command.run()
    except (ValueError, OSError) as error:
        print(f"moviegen_miniature: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("moviegen_miniature: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
