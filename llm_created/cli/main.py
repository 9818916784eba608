"""The command `llm-created`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import LLMCreatedError
from ..utils import console
from .words import parser


@console.until_nobody_reads()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code says how it ended: 0 done, 1 failed, 2 wrong call, 3 stopped short."""
    argv = list(sys.argv[1:] if argv is None else argv)
    console.show_logs()
    known, commands = parser()
    args = known.parse_args(argv)
    if args.version:
        from ..utils.version import __version__

        console.out(f"llm-created {__version__}")
        return 0
    if not args.command:
        known.print_help()
        return 0
    try:
        return int(_function(args.command)(args, argv))
    except LLMCreatedError as error:
        # What stopped short says on a second line how to go on.
        said = commands[args.command].spoken(str(error) if error.exit_code == 3 else f"error: {error}")
        console.say(*(said.split("\n") if error.in_lines else [said]))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


# Commands that do not stand in a file of their own name, and one that is not the command line's.
_MODULES = {"preview": "create", "tasks": "runs", "show": "runs", "rm": "runs", "audit": "review"}
_ELSEWHERE = {"push-model": "llm_created.train.publish"}


def _function(command: str) -> Any:
    """What a command does, imported when it is wanted."""
    word = command.replace("-", "_")
    module = _ELSEWHERE.get(command, f"llm_created.cli.commands.{_MODULES.get(command, word)}")
    return getattr(importlib.import_module(module), word)
