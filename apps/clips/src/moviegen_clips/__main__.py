"""`python -m moviegen_clips`: the material and the measuring from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import tyro

from moviegen_clips.commands import Evaluate, Fetch, Licences, Sheet

Command = Fetch | Licences | Sheet | Evaluate
_COMMANDS: dict[str, Callable[..., Command]] = {
    "fetch": Fetch,
    "licences": Licences,
    "sheet": Sheet,
    "evaluate": Evaluate,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 2 the user can mend it (one sentence on stderr), 130 interrupted."""
    command: Command = tyro.extras.subcommand_cli_from_dict(
        _COMMANDS,
        prog="python -m moviegen_clips",
        description="Material of the autoencoder `clips`, and how well that does.",
        args=arguments,
    )
    try:
        command.run()
    except (ValueError, OSError) as error:
        print(f"moviegen_clips: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("moviegen_clips: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
