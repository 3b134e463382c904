"""The command `moviegen`: one module a subcommand, none of which imports torch before it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


class Command(Protocol):
    """A subcommand, its arguments parsed."""

    def run(self) -> None:
        """Do the work.

        Raises:
            ValueError: one sentence for the user: what was wrong, what would be right.
            OSError: a file could not be read or written.
        """
        ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the subcommand that `arguments` (None: those of the process) name, and exit.

    Exit codes: 0 done, 2 the user can mend it (one sentence on stderr), 130 interrupted.
    """
    try:
        parse(arguments).run()
    except (ValueError, OSError) as error:
        _say(f"moviegen: {_sentence(error)}")
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        _say("moviegen: interrupted")
        sys.exit(EXIT_INTERRUPTED)


def parse(arguments: Sequence[str] | None = None) -> Command:
    """The subcommand with its arguments; wrong usage and --help exit."""
    import tyro

    from moviegen_runtime.cli.data import Data
    from moviegen_runtime.cli.env import Env
    from moviegen_runtime.cli.generate import Generate
    from moviegen_runtime.cli.reconstruct import Reconstruct
    from moviegen_runtime.cli.score import Score
    from moviegen_runtime.cli.tae import Tae
    from moviegen_runtime.cli.train import Train

    commands: dict[str, Callable[..., Command]] = {
        "generate": Generate,
        "score": Score,
        "reconstruct": Reconstruct,
        "train": Train,
        "data": Data,
        "tae": Tae,
        "env": Env,
    }
    parsed: Command = tyro.extras.subcommand_cli_from_dict(
        commands, prog="moviegen", description="Movies from text, by the Movie Gen cast.", args=arguments
    )
    return parsed


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _sentence(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
