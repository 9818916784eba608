"""`llm-created push`: a run to the Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...errors import UsageError
from ...hub.push import to_hub
from ...runs.folders import RUN_FILE, find
from ...utils.console import out, say
from .. import flags


def push(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created push RUN REPO`."""
    if (Path(args.repo) / RUN_FILE).is_file():
        raise UsageError(f"{args.repo!r} is a folder of rows, and OWNER/NAME is wanted: does a pattern fit several?")
    with find(args.run).open() as journal:
        out(to_hub(journal, flags.pushed(args, args.repo), say))
    return 0
