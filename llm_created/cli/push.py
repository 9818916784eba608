"""`llm-created push`: a run to the Hub."""

from __future__ import annotations

import argparse

from ..hub.push import to_hub
from ..runs.folders import find
from ..runs.journal import Journal
from ..utils.console import out, say
from . import flags


def push(args: argparse.Namespace, argv: list[str]) -> int:
    """`llm-created push RUN REPO`."""
    with Journal(find(args.run)) as journal:
        out(to_hub(journal, flags.pushed(args, args.repo), say))
    return 0
