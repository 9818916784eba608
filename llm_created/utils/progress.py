"""How far something slow is: a line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from .console import rewrite, say

# Seconds: what takes no longer says nothing.
QUIET, REFRESH, PLAIN_EVERY = 2.0, 0.2, 5.0
Told = Callable[[str, int, int], None]


class Progress:
    """Told how far something is, as often as one likes."""

    def __init__(self) -> None:
        self._next, self._shown = time.monotonic() + QUIET, False

    def __call__(self, what: str, done: int, total: int) -> None:
        """So many of all have been done: `12,000 of 16,000 replies read`, where `what` is `replies read`."""
        now = time.monotonic()
        if now < self._next:
            return
        line, terminal = f"{done:,} of {total:,} {what}", sys.stderr.isatty()
        if terminal:
            rewrite([line], int(self._shown), sys.stderr)
        else:
            say(line)
        self._next, self._shown = now + (REFRESH if terminal else PLAIN_EVERY), terminal

    def end(self) -> None:
        """Nothing more comes: a line that was rewritten goes."""
        if self._shown:
            rewrite([], 1, sys.stderr)
            self._shown = False
